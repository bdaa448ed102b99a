"""The two formats of a log's files, as a reader sees them: records from a position, the last ones, those since a time.

What writes them is ``cove.runtime.logs``: ``jsonfile`` and ``blocks``.
"""

import calendar
import contextlib
import os
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec

from cove.runtime.logs import blocks
from cove.runtime.logs.lines import pieces
from cove.wire.streams import STDERR, STDOUT, LogEntry

WINDOW = 1 << 16
"""Bytes that are looked at around one step of a search."""


class Place(NamedTuple):
    """Where to go on. ``skip``: entries to leave out there; ``missing``: how many more there should have been."""

    position: int
    skip: int = 0
    missing: int = 0


class Format(Protocol):
    """One file's. Positions are those of whole records."""

    def begin(self, descriptor: int) -> int:
        """The position of the first record."""

    def take(self, data: bytes) -> tuple[list[LogEntry], int]:
        """The records that ``data`` begins with, and how many bytes they are."""

    def tail(self, descriptor: int, size: int, wanted: int) -> Place:
        """Where the last ``wanted`` entries begin."""

    def since(self, descriptor: int, size: int, moment: int) -> int:
        """A position shortly before the first record of this time (nanoseconds since the epoch) or later."""


class _Record(msgspec.Struct, omit_defaults=True):
    log: str
    stream: str
    time: str
    attrs: dict[str, str] | None = None


_decode = msgspec.json.Decoder(_Record).decode


class JsonLines:
    def begin(self, descriptor: int) -> int:
        return 0

    def take(self, data: bytes) -> tuple[list[LogEntry], int]:
        whole = data.rfind(b"\n") + 1
        entries = []
        for line in data[:whole].split(b"\n"):
            with contextlib.suppress(msgspec.DecodeError):  # nothing, or a line that a full disk cut short
                entries.append(_entry(line))
        return entries, whole

    def tail(self, descriptor: int, size: int, wanted: int) -> Place:
        position = after_last_newline(descriptor, size)
        if wanted <= 0:
            return Place(position)
        last = position - 1  # ends the last line: it is no line's beginning
        while position > 0:
            start = max(0, position - WINDOW)
            block = os.pread(descriptor, position - start, start)
            cut = min(len(block), last - start)
            while (cut := block.rfind(b"\n", 0, cut)) >= 0:
                wanted -= 1
                if wanted == 0:
                    return Place(start + cut + 1)
            position = start
        return Place(0, 0, wanted - (last >= 0))

    def since(self, descriptor: int, size: int, moment: int) -> int:
        def probe(position: int) -> tuple[int, int] | None:
            found = _line_after(descriptor, position, size)
            if found is None:
                return None
            start, line = found
            with contextlib.suppress(msgspec.DecodeError):
                return start, _entry(line).time
            return start, 0

        return _search(0, size, moment, probe)


def _entry(line: bytes) -> LogEntry:
    record = _decode(line)
    stream = STDERR if record.stream == "stderr" else STDOUT
    return LogEntry(stream, nanoseconds(record.time), record.log.encode(), record.attrs)


def _line_after(descriptor: int, position: int, size: int) -> tuple[int, bytes] | None:
    """The first whole line that begins at ``position`` or later, and where."""
    data, at = b"", position
    while at < size:
        more = os.pread(descriptor, min(WINDOW, size - at), at)
        if not more:
            return None
        data += more
        at += len(more)
        start = data.find(b"\n") + 1 if position else 0
        end = data.find(b"\n", start) if start or not position else -1
        if end >= 0:
            return position + start, data[start:end]
    return None


def after_last_newline(descriptor: int, size: int) -> int:
    """The offset where the last whole line ends; 0 when there is none."""
    while size > 0:
        start = max(0, size - WINDOW)
        found = os.pread(descriptor, size - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        size = start
    return 0


def _search(low: int, high: int, moment: int, probe: Callable[[int], tuple[int, int] | None]) -> int:
    """Halve ``low`` to ``high`` down to a window. ``probe`` gives the next record's position and time."""
    while high - low > WINDOW:
        middle = (low + high) // 2
        found = probe(middle)
        if found is None or found[0] >= high or found[1] >= moment:
            high = middle
        else:
            low = found[0]
    return low


class BlockLog:
    """``blocks`` says how a file looks."""

    def __init__(self) -> None:
        self._mark = b"\0" * blocks.MARK_SIZE

    def begin(self, descriptor: int) -> int:
        found = blocks.mark(os.pread(descriptor, blocks.HEADER_SIZE, 0))
        if found is not None:
            self._mark = found
        return blocks.HEADER_SIZE

    def take(self, data: bytes) -> tuple[list[LogEntry], int]:
        entries: list[LogEntry] = []
        at = 0
        while len(data) - at >= blocks.HEAD_SIZE:
            block = blocks.head(data, at, self._mark)
            if block is None:
                at = self._next_mark(data, at + 1)
            elif at + block.end > len(data):
                break
            else:
                content = data[at + blocks.HEAD_SIZE : at + block.end - blocks.TAIL_SIZE]
                entries += [LogEntry(block.stream, block.time, piece) for piece in pieces(content)]
                at += block.end
        return entries, at

    def tail(self, descriptor: int, size: int, wanted: int) -> Place:
        end = size if self._before(descriptor, size) is not None else self._whole(descriptor, size)
        if wanted <= 0:
            return Place(end)
        window = _Backward(descriptor)
        while (begin := self._before_in(window, end)) is not None:
            content = window.read(begin + blocks.HEAD_SIZE, end - begin - blocks.OVERHEAD)
            count = len(pieces(content))
            if count >= wanted:
                return Place(begin, count - wanted)
            wanted -= count
            end = begin
        return Place(blocks.HEADER_SIZE, 0, wanted)

    def since(self, descriptor: int, size: int, moment: int) -> int:
        def probe(position: int) -> tuple[int, int] | None:
            at = position
            while at < size:
                data = os.pread(descriptor, min(WINDOW, size - at), at)
                found = data.find(self._mark)
                if found < 0:
                    at += max(1, len(data) - blocks.MARK_SIZE + 1)
                    continue
                at += found
                block = blocks.head(os.pread(descriptor, blocks.HEAD_SIZE, at), 0, self._mark)
                if block is not None and self._before(descriptor, at + block.end) == at:
                    return at, block.time
                at += 1
            return None

        return _search(blocks.HEADER_SIZE, size, moment, probe)

    def _before(self, descriptor: int, end: int) -> int | None:
        return blocks.before(descriptor, end, self._mark)

    def _before_in(self, window: "_Backward", end: int) -> int | None:
        if end < blocks.HEADER_SIZE + blocks.OVERHEAD:
            return None
        begin = end - blocks.OVERHEAD - blocks.length(window.read(end - blocks.TAIL_SIZE, blocks.TAIL_SIZE))
        if begin < blocks.HEADER_SIZE:
            return None
        block = blocks.head(window.read(begin, blocks.HEAD_SIZE), 0, self._mark)
        return begin if block is not None and begin + block.end == end else None

    def _whole(self, descriptor: int, size: int) -> int:
        """The end of the last whole block: the next one is being written, or was not to its end."""
        at = blocks.HEADER_SIZE
        while block := blocks.head(os.pread(descriptor, blocks.HEAD_SIZE, at), 0, self._mark):
            if at + block.end > size:
                break
            at += block.end
        return at

    def _next_mark(self, data: bytes, start: int) -> int:
        found = data.find(self._mark, start)
        return found if found >= 0 else max(start, len(data) - blocks.MARK_SIZE + 1)


class _Backward:
    """Reads a file from its end, a window at a time."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._start = 0
        self._data = b""

    def read(self, start: int, size: int) -> bytes:
        if start < self._start or start + size > self._start + len(self._data):
            self._start = max(0, min(start, start + size - WINDOW))
            self._data = os.pread(self._descriptor, start + size - self._start, self._start)
        return self._data[start - self._start : start - self._start + size]


def nanoseconds(text: str) -> int:
    """A record's time, nanoseconds since the epoch; 0 when it cannot be read."""
    try:
        fraction = text[20:].rstrip("Z")
        return _second(text[:19]) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))
    except ValueError:
        return 0


@lru_cache(maxsize=8)
def _second(text: str) -> int:
    """``2026-01-02T03:04:05``; a log has many lines in a second."""
    date, _, clock = text.partition("T")
    year, month, day = map(int, date.split("-"))
    hour, minute, second = map(int, clock.split(":"))
    return calendar.timegm((year, month, day, hour, minute, second))
