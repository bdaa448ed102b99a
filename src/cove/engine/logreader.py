"""Reading a container's log: the last lines, and what is being written now.

The shim writes and rotates the files (``path``, and older ``path.1``, ``path.2`` …); this module only reads. Following
waits for inotify events and for the end of the container, never for time to pass.
"""

import asyncio
import calendar
import contextlib
import os
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path

import msgspec

from cove.kernel import inotify
from cove.kernel.inotify import Inotify

CHUNK = 1 << 18
"""Bytes that are read and parsed at a time, so that the event loop is never kept for long."""

_WATCHED = inotify.MODIFY | inotify.CREATE | inotify.MOVED_TO


class LogLine(msgspec.Struct, omit_defaults=True):
    """One line as it lies in the file. ``time``: RFC 3339, up to nine digits of a second; ``log``: with its newline."""

    log: str
    stream: str
    time: str
    attrs: dict[str, str] | None = None


_decode = msgspec.json.Decoder(LogLine).decode


async def read(path: Path, tail: int | None, follow: "asyncio.Future[int] | None") -> AsyncIterator[list[LogLine]]:
    """The lines of a log, oldest first, in batches.

    ``tail``: only so many of the last lines (None: all). ``follow``: go on with new lines until this future is done
    and the file is read to its end.
    """
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(Inotify()) if follow is not None else None
        if watch is not None:
            watch.add(path.parent, _WATCHED)  # before the first read, so that nothing is written unnoticed
        older, current = _open(path, stack)
        position = 0
        if tail is not None:
            older, position = _seek_tail(older, current, tail)
        for descriptor, start in older:
            async for batch in _File(descriptor, start).lines():
                yield batch
        reader = _Newest(path, current, position, stack)
        async for batch in reader.rest():
            yield batch
        if follow is not None and watch is not None:
            async for batch in _follow(reader, watch, follow):
                yield batch


class _File:
    """Reads whole lines of one file from a position on."""

    def __init__(self, descriptor: int, position: int) -> None:
        self._descriptor = descriptor
        self._position = position

    async def lines(self) -> AsyncIterator[list[LogLine]]:
        while chunk := self._whole_lines():
            self._position += len(chunk)
            yield _parsed(chunk)
            await asyncio.sleep(0)

    def _whole_lines(self) -> bytes:
        """The next chunk up to its last newline, read further where a single line is longer than it."""
        chunk = os.pread(self._descriptor, CHUNK, self._position)
        end = chunk.rfind(b"\n") + 1
        while not end and len(chunk) % CHUNK == 0 and chunk:
            more = os.pread(self._descriptor, CHUNK, self._position + len(chunk))
            if not more:
                break
            chunk += more
            end = chunk.rfind(b"\n") + 1
        return chunk[:end]

    def is_at(self, path: Path) -> bool:
        """The file has this name still; also while no file has it, between the two steps of a rotation."""
        try:
            return os.stat(path).st_ino == os.fstat(self._descriptor).st_ino
        except FileNotFoundError:
            return True


class _Newest:
    """The newest file of a log, and those that replace it in turn."""

    def __init__(self, path: Path, descriptor: int | None, position: int, stack: contextlib.ExitStack) -> None:
        self._path = path
        self._stack = stack
        self._file = _File(descriptor, position) if descriptor is not None else None

    async def rest(self) -> AsyncIterator[list[LogLine]]:
        """Every whole line that is there now."""
        while self._file is not None or self._reopen():
            assert self._file is not None
            current = self._file.is_at(self._path)  # asked before reading: a file that was left is complete
            async for batch in self._file.lines():
                yield batch
            if current:
                return
            self._file = None

    def _reopen(self) -> bool:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self._stack.callback(os.close, descriptor)
        self._file = _File(descriptor, 0)
        return True


async def _follow(reader: _Newest, watch: Inotify, ended: "asyncio.Future[int]") -> AsyncIterator[list[LogLine]]:
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def readable() -> None:
        watch.read()
        changed.set()

    def done(_: object) -> None:
        changed.set()

    loop.add_reader(watch.fileno(), readable)
    ended.add_done_callback(done)
    try:
        while True:
            last = ended.done()  # asked before reading: what was written until then is in the file
            changed.clear()
            async for batch in reader.rest():
                yield batch
            if last:
                return
            await changed.wait()
    finally:
        ended.remove_done_callback(done)
        loop.remove_reader(watch.fileno())


def _open(path: Path, stack: contextlib.ExitStack) -> tuple[list[tuple[int, int]], int | None]:
    """Descriptors of the older files with where to start in each, oldest first, and of the newest file."""
    found: list[int] = []
    for number in range(len(list(path.parent.glob(f"{path.name}.*"))) + 1):
        name = f"{path}.{number}" if number else str(path)
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        stack.callback(os.close, descriptor)
        found.append(descriptor)
    if not found:
        return [], None
    return [(descriptor, 0) for descriptor in reversed(found[1:])], found[0]


def _seek_tail(older: list[tuple[int, int]], current: int | None, wanted: int) -> tuple[list[tuple[int, int]], int]:
    """Where to start for ``wanted`` lines: the older files that are still needed, and the newest's position."""
    if current is None:
        return [], 0
    position, left = _tail_position(current, wanted)
    needed: list[tuple[int, int]] = []
    for descriptor, _ in reversed(older):
        if left <= 0:
            break
        start, left = _tail_position(descriptor, left)
        needed.insert(0, (descriptor, start))
    return needed, position


def _tail_position(descriptor: int, wanted: int) -> tuple[int, int]:
    """The offset from which at most ``wanted`` whole lines follow, and how many more there would have to be."""
    position = os.fstat(descriptor).st_size
    missing = wanted
    first = True
    while position > 0 and wanted > 0:
        start = max(0, position - CHUNK)
        block = os.pread(descriptor, position - start, start)
        cut = len(block) - 1 if first and block.endswith(b"\n") else len(block)
        first = False
        while (cut := block.rfind(b"\n", 0, cut)) >= 0:
            missing -= 1
            if missing == 0:
                return start + cut + 1, 0
        position = start
    if wanted <= 0:
        return position, 0
    return 0, missing - (0 if first else 1)


def _parsed(chunk: bytes) -> list[LogLine]:
    lines = []
    for line in chunk.split(b"\n"):
        with contextlib.suppress(msgspec.DecodeError):  # nothing, or a line that a full disk cut short
            lines.append(_decode(line))
    return lines


def nanoseconds(text: str) -> int:
    """A line's time, nanoseconds since the epoch; 0 when it cannot be read."""
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
