"""Bytes that pass by while something is copied: counted, and shown on a terminal."""

from __future__ import annotations

import time

from cove.cli.attachment import write_all
from cove.cli.humanize import size
from cove.cli.terminal import STDERR, is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EVERY = 0.2
"""Seconds between two numbers."""


class Counted:
    """Iterate to have the pieces; then ``total`` is their bytes. ``doing``: what is said while they pass."""

    def __init__(self, pieces: Iterable[bytes], doing: str, *, shown: bool) -> None:
        self._pieces = pieces
        self._doing = doing
        self._shown = shown and is_terminal(STDERR)
        self.total = 0

    def __iter__(self) -> Iterator[bytes]:
        due = time.monotonic() + EVERY
        for piece in self._pieces:
            self.total += len(piece)
            if self._shown and time.monotonic() >= due:
                due = time.monotonic() + EVERY
                self._say(f"{self._doing} - {size(self.total)}")
            yield piece

    def end(self, text: str) -> None:
        """Say that all of it is there."""
        if self._shown:
            self._say(f"{text}\n")

    def _say(self, text: str) -> None:
        write_all(STDERR, b"\r\x1b[K" + text.encode())
