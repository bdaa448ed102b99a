"""Output cut into whole lines, and into pieces of long ones, each with the time at which it was read."""

import time
from collections.abc import Callable
from io import BytesIO

PIECE = 16 * 1024
"""Bytes of one line that fit in one record (Docker's copier)."""

Keep = Callable[[str, bytes, int], None]
"""Is given the stream, the data, and when it was read, in nanoseconds since the epoch.

The data is whole lines; or pieces of one line, ``PIECE`` bytes each, without its end; or the end of the output.
"""


class _Unfinished:
    """A stream's last line, as far as it was read. ``since``: when its first piece was kept, if one was."""

    __slots__ = ("data", "since")

    def __init__(self) -> None:
        self.data = b""
        self.since: int | None = None


class Lines:
    """Collects output of ``stdout`` and ``stderr`` until there is something to keep."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._unfinished: dict[str, _Unfinished] = {}

    def feed(self, stream: str, data: bytes) -> None:
        """Take ``data``, read just now."""
        unfinished = self._unfinished.setdefault(stream, _Unfinished())
        now = time.time_ns()
        end = data.rfind(b"\n") + 1
        if end:
            self._complete(stream, unfinished, unfinished.data + data[:end] if unfinished.data else data[:end], now)
            unfinished.data = b""
        if end < len(data):
            unfinished.data += data[end:] if end else data
            self._pieces(stream, unfinished, now)

    def border(self) -> tuple[int, dict[str, bytes]]:
        """A time between what was kept and what will be, and what was read and waits to be kept, by stream."""
        now = time.time_ns()
        for unfinished in self._unfinished.values():
            if unfinished.since is not None:
                unfinished.since = now + 1  # the line's other pieces come after the border
        return now, {stream: unfinished.data for stream, unfinished in self._unfinished.items() if unfinished.data}

    def finish(self) -> None:
        """Keep the last lines that have no newline."""
        for stream, unfinished in self._unfinished.items():
            if unfinished.data:
                self._keep(stream, unfinished.data, unfinished.since or time.time_ns())
        self._unfinished.clear()

    def _complete(self, stream: str, unfinished: _Unfinished, data: bytes, now: int) -> None:
        """Keep whole lines; the first may be the last piece of one that was begun."""
        if unfinished.since is not None:
            end = data.index(b"\n") + 1
            self._keep(stream, data[:end], unfinished.since)
            unfinished.since = None
            data = data[end:]
        if data:
            self._keep(stream, data, now)

    def _pieces(self, stream: str, unfinished: _Unfinished, now: int) -> None:
        """Keep what an endless line has in whole pieces."""
        whole = len(unfinished.data) // PIECE * PIECE
        if not whole:
            return
        unfinished.since = unfinished.since or now
        data, unfinished.data = unfinished.data[:whole], unfinished.data[whole:]
        self._keep(stream, data, unfinished.since)


def pieces(data: bytes) -> list[bytes]:
    """What was kept together, as its records: lines with their newlines, long ones in pieces."""
    lines = BytesIO(data).readlines()
    if not has_long_line(data):
        return lines
    return [piece for line in lines for piece in _split(line)]


def has_long_line(data: bytes) -> bool:
    """Whether a line of ``data``, with its newline, is longer than a piece: looked for piece by piece."""
    at, size = 0, len(data)
    while size - at > PIECE:
        newline = data.rfind(b"\n", at, at + PIECE)
        if newline < 0:
            return True
        at = newline + 1
    return False


def _split(line: bytes) -> list[bytes]:
    """A line with its newline, in pieces; the newline does not count."""
    whole = (len(line) - 1) // PIECE * PIECE
    return [line[at : at + PIECE] for at in range(0, whole, PIECE)] + [line[whole:]]
