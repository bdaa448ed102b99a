"""What is written down of requests that change something: who, what, when, and how it ended."""

from typing import NamedTuple, Protocol

from cove.server.caller import Caller


class AuditEntry(NamedTuple):
    """``socket``: the scoped socket that it came by, or empty. ``started``: nanoseconds since the epoch.

    ``seconds``: until the answer began, or ended. ``message``: why it was refused.
    """

    caller: Caller
    socket: str
    method: str
    target: str
    status: int
    started: int
    seconds: float
    message: str = ""


class Audit(Protocol):
    def write(self, entry: AuditEntry) -> None:
        """Never raises: a log that cannot be written must not stop the engine."""


def worth_writing(method: str, status: int) -> bool:
    """Reading is not written down, unless it was refused."""
    return method not in ("GET", "HEAD", "OPTIONS") or status in (401, 403)
