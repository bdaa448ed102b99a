"""``cove install-docker-names``: have this command line and its engine answer to Docker's names as well."""

from __future__ import annotations

import os
import sys

from cove.cli.command import Command, exactly
from cove.cli.failure import Failure
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values

NAMES = {"docker": "cove", "dockerd": "coved"}
DIRECTORY = "/usr/local/bin"


def _run(session: Session, values: Values, _arguments: list[str]) -> int:
    directory = values.text("directory")
    links = {os.path.join(directory, name): _program(own) for name, own in NAMES.items()}
    if values.on("remove"):
        for link, program in links.items():
            _remove(session, link, program)
        return 0
    taken = [link for link, program in links.items() if os.path.lexists(link) and not _is_ours(link, program)]
    if taken and not values.on("force"):
        raise Failure(f"{', '.join(taken)}: there is another program of that name (--force replaces it)")
    for link, program in links.items():
        _install(session, link, program)
    return 0


def _program(own: str) -> str:
    """Our program of this name: beside the one that runs."""
    return os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), own)


def _is_ours(link: str, program: str) -> bool:
    return os.path.islink(link) and os.path.realpath(link) == os.path.realpath(program)


def _install(session: Session, link: str, program: str) -> None:
    temporary = f"{link}.new"
    try:
        os.symlink(program, temporary)
        os.replace(temporary, link)
    except OSError as error:
        raise Failure(f"{link}: {(error.strerror or str(error)).lower()}") from None
    session.print(f"{link} -> {program}")


def _remove(session: Session, link: str, program: str) -> None:
    if _is_ours(link, program):
        os.unlink(link)
        session.print(f"removed {link}")


COMMAND = Command(
    _run,
    "[OPTIONS]",
    exactly(0),
    (
        Flag("directory", STRING, "Where the names are put", default=DIRECTORY, short="d"),
        Flag("force", BOOL, "Replace other programs of these names", "f"),
        Flag("remove", BOOL, "Remove the names again"),
    ),
    long="Have `docker` and `dockerd` start this command line and its engine",
)
