"""``cove undo``: bring a removed container or volume back."""

from __future__ import annotations

from urllib.parse import quote

from cove.cli.command import Arguments, Command
from cove.flags import STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    which = f"/{quote(arguments[0].strip('/'), safe='')}" if arguments else ""
    restored = session.client.json("POST", f"/trash{which}/restore", {"name": values.text("name") or None})
    for warning in restored["Warnings"]:
        session.warn(f"WARNING: {warning}")
    session.print(restored["Name"])
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] [CONTAINER|VOLUME]",
    Arguments(0, 1),
    (Flag("name", STRING, "Bring it back under another name"),),
    long="Bring back what was removed last, or the container or volume that is named; a container with its anonymous "
    "volumes",
)
