"""What is told while images move."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

SECONDS = 0.1
"""Between two messages about the same bar (moby's rate for progress)."""


class Step(NamedTuple):
    """One message. ``id``: what it is about. ``current`` and ``total`` in bytes; None where there is no bar.

    ``aux``: what a client reads rather than its user.
    """

    status: str = ""
    id: str = ""
    current: int | None = None
    total: int = 0
    aux: dict[str, Any] | None = None


Tell = Callable[[Step], None]


class Bar:
    """How far something is, told of now and then. ``id``: what names its line."""

    def __init__(self, id: str, tell: Tell) -> None:
        self._id = id
        self._tell = tell
        self._next = 0.0

    def at(self, status: str, done: int, total: int, *, at_once: bool = False) -> None:
        """``done`` of ``total`` bytes; ``at_once``: the status is new."""
        now = time.monotonic()
        if done and (at_once or done == total or now >= self._next):
            self._next = now + SECONDS
            self._tell(Step(status, self._id, done, total))
