"""Reading a container's log: the last lines, a span of time, and what is being written now.

The shim writes and rotates the files (``path`` and older ``path.1``, ``path.2`` …); this module only reads. Following
waits for inotify events and for the end of the container, never for time to pass.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from cove.kernel.inotify import Watch

CHUNK = 1 << 18
"""Bytes that are read and parsed at a time, so that the event loop is never kept for long."""


class LogLine(msgspec.Struct, omit_defaults=True):
    """One line as it lies in the file. ``time``: RFC 3339, up to nine digits of a second; ``log``: with its newline."""

    log: str
    stream: str
    time: str
    attrs: dict[str, str] | None = None


_decode = msgspec.json.Decoder(LogLine).decode


async def read(path: Path, tail: int | None, follow: "asyncio.Future[object] | None") -> AsyncIterator[LogLine]:
    """The lines of a log, oldest first.

    ``tail``: only so many of the last lines (None: all). ``follow``: go on with new lines until this future is done
    and the file is read to its end.
    """
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(Watch(path)) if follow is not None and path.exists() else None
        older, current = _open(path, stack)
        position = 0
        if tail is not None:
            older, position = _seek_tail(older, current, tail)
        for descriptor, start in older:
            async for line in _lines(descriptor, start):
                yield line
        if current is None:
            return
        tracker = _Tracker(path, current, position, stack)
        async for line in tracker.rest():
            yield line
        if follow is not None and watch is not None:
            async for line in _follow(tracker, watch, follow):
                yield line


class _Tracker:
    """Where reading has come to in the newest file, across rotations."""

    def __init__(self, path: Path, descriptor: int, position: int, stack: contextlib.ExitStack) -> None:
        self._path = path
        self._descriptor = descriptor
        self._position = position
        self._stack = stack

    async def rest(self) -> AsyncIterator[LogLine]:
        """Every whole line that is there now, in this file and in those that have replaced it."""
        while True:
            rotated = self._rotated()
            while chunk := _whole_lines(
                os.pread(self._descriptor, CHUNK, self._position), self._descriptor, self._position
            ):
                self._position += len(chunk)
                for line in _parsed(chunk):
                    yield line
                await asyncio.sleep(0)
            if not rotated or not self._reopen():
                return

    def _rotated(self) -> bool:
        try:
            return os.stat(self._path).st_ino != os.fstat(self._descriptor).st_ino
        except FileNotFoundError:
            return False

    def _reopen(self) -> bool:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self._stack.callback(os.close, self._descriptor)
        self._position = 0
        return True


async def _follow(tracker: _Tracker, watch: Watch, ended: "asyncio.Future[object]") -> AsyncIterator[LogLine]:
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def readable() -> None:
        watch.drain()
        changed.set()

    loop.add_reader(watch.fileno(), readable)
    ended.add_done_callback(lambda _: changed.set())
    try:
        while True:
            last = ended.done()  # before reading: what was written until then is in the file
            changed.clear()
            async for line in tracker.rest():
                yield line
            if last:
                return
            await changed.wait()
    finally:
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
    end = os.fstat(descriptor).st_size
    if wanted <= 0:
        return end, 0
    position, missing = end, wanted
    while position > 0:
        start = max(0, position - CHUNK)
        block = os.pread(descriptor, position - start, start)
        limit = len(block) - 1 if position == end and block.endswith(b"\n") else len(block)
        cut = limit
        while (cut := block.rfind(b"\n", 0, cut)) >= 0:
            missing -= 1
            if missing == 0:
                return start + cut + 1, 0
        position = start
    return 0, missing - 1 if end else missing


async def _lines(descriptor: int, position: int) -> AsyncIterator[LogLine]:
    while chunk := _whole_lines(os.pread(descriptor, CHUNK, position), descriptor, position):
        position += len(chunk)
        for line in _parsed(chunk):
            yield line
        await asyncio.sleep(0)


def _whole_lines(chunk: bytes, descriptor: int, position: int) -> bytes:
    """The chunk up to its last newline, read further where a single line is longer than it."""
    end = chunk.rfind(b"\n") + 1
    while not end and len(chunk) >= CHUNK:
        more = os.pread(descriptor, CHUNK, position + len(chunk))
        if not more:
            break
        chunk += more
        end = chunk.rfind(b"\n") + 1
    return chunk[:end]


def _parsed(chunk: bytes) -> Iterator[LogLine]:
    for line in chunk.splitlines():
        with contextlib.suppress(msgspec.DecodeError):  # a line that a full disk cut short
            yield _decode(line)
