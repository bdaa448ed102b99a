"""``cove stop`` and ``cove restart``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.session import for_each
from cove.flags import INT, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.command import Run
    from cove.cli.session import Session
    from cove.flags import Values


def _runner(action: str) -> Run:
    def run(session: Session, values: Values, arguments: list[str]) -> int:
        timeout = values.number("timeout") if values.changed("timeout") else None
        query = {"t": timeout, "signal": values.text("signal") or None}
        return for_each(
            session, arguments, lambda name: session.client.json("POST", f"/containers/{name}/{action}", query)
        )

    return run


_FLAGS = (
    Flag("signal", STRING, "Signal to send to the container", "s"),
    Flag("timeout", INT, "Seconds to wait before killing the container", "t"),
    Flag("time", INT, "Seconds to wait before killing the container", hidden=True, into="timeout"),
)

STOP = Command(_runner("stop"), "[OPTIONS] CONTAINER [CONTAINER...]", at_least(1), _FLAGS)
RESTART = Command(_runner("restart"), "[OPTIONS] CONTAINER [CONTAINER...]", at_least(1), _FLAGS)
