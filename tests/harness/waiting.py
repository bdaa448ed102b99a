"""Waiting for what another process does in its own time: bounded, with a message that says what was there."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.005


def eventually(look: Callable[[], T], wanted: Callable[[T], bool] = bool, seconds: float = 10) -> T:
    """Look until what is seen is wanted, and return it. Raises AssertionError with what was seen last."""
    deadline = time.monotonic() + seconds
    while not wanted(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {seconds} s"
        time.sleep(POLL_SECONDS)
    return seen
