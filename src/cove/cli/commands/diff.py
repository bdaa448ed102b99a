"""``cove diff``"""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values

_KINDS = {0: "C", 1: "A", 2: "D"}


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    if not arguments[0]:
        raise Failure("Container name cannot be empty")
    for change in session.client.items("GET", f"/containers/{arguments[0]}/changes"):
        session.stdout.write(f"{_KINDS[change['Kind']]} {change['Path']}\n")
    return 0


COMMAND = Command(_run, "CONTAINER", exactly(1))
