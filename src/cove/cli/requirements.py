"""Options that not every daemon can act on; loaded only when one of them is given."""

from __future__ import annotations

from cove.client.api import ConnectionFailed, parse_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Flag

SYSTEM = "linux"
"""What the containers of our own daemon run on; the answers of Docker's for Windows are never asked for."""


def unmet(session: Session, flags: list[Flag]) -> list[str]:
    """What is wrong with each of ``flags``, in Docker's words; nothing when the daemon cannot be asked."""
    try:
        session.client.negotiate()
    except ConnectionFailed:
        return []
    return [problem for flag in flags if (problem := _problem(flag, session.client.version))]


def _problem(flag: Flag, version: str) -> str:
    if not flag.needs[0].isdecimal():
        return (
            f'"--{flag.name}" is only supported on a Docker daemon running on {flag.needs}, '
            f"but the Docker daemon is running on {SYSTEM}"
        )
    if parse_version(version) < parse_version(flag.needs):
        return f'"--{flag.name}" requires API version {flag.needs}, but the Docker daemon API version is {version}'
    return ""
