"""``cove pause`` and ``cove unpause``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.session import for_each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.command import Run
    from cove.cli.session import Session
    from cove.flags import Values


def _runner(action: str) -> Run:
    def run(session: Session, values: Values, arguments: list[str]) -> int:
        return for_each(session, arguments, lambda name: session.client.json("POST", f"/containers/{name}/{action}"))

    return run


PAUSE = Command(_runner("pause"), "CONTAINER [CONTAINER...]", at_least(1))
UNPAUSE = Command(_runner("unpause"), "CONTAINER [CONTAINER...]", at_least(1))
