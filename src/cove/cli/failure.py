"""How a command ends when it does not end well: what goes to stderr, and the exit code."""

from __future__ import annotations

from cove.client.api import ConnectionFailed
from cove.client.http import BrokenAnswer
from cove.errors import CoveError


class Failure(Exception):
    """Print ``message`` (nothing when empty) and exit with ``code``."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


BAD_FLAG = 125
"""Docker's exit code of a command line with an option that cannot be used; its usage is printed after the message."""


def describe(error: CoveError) -> str:
    """What a user is told of an error: the daemon's words are marked as the daemon's."""
    if isinstance(error, ConnectionFailed | BrokenAnswer):
        return error.message
    return f"Error response from daemon: {error.message}"
