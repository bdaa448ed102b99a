"""``cove kill``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.session import for_each
from cove.flags import STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    query = {"signal": values.text("signal") or None}
    return for_each(session, arguments, lambda name: session.client.json("POST", f"/containers/{name}/kill", query))


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER [CONTAINER...]",
    at_least(1),
    (Flag("signal", STRING, "Signal to send to the container", "s"),),
)
