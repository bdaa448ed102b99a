"""``cove rm``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.session import for_each
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    query = {
        "v": 1 if values.on("volumes") else None,
        "link": 1 if values.on("link") else None,
        "force": 1 if values.on("force") else None,
        "now": 1 if values.on("now") else None,
    }
    return for_each(
        session,
        arguments,
        lambda name: session.client.json("DELETE", f"/containers/{name.strip('/')}", query),
        ignore_missing=values.on("force"),
    )


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    at_least(1),
    (
        Flag("force", BOOL, "Force the removal of a running container (uses SIGKILL)", "f"),
        Flag("link", BOOL, "Remove the specified link", "l"),
        Flag("now", BOOL, "Delete at once, past the trash"),
        Flag("volumes", BOOL, "Remove anonymous volumes associated with the container", "v"),
    ),
)
