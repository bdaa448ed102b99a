"""Reading a container's log: the last lines, and what is being written now.

The shim writes and rotates the files: ``path``, and older ``path.1``, ``path.2`` …; a log of one file is truncated
instead. This module only reads. Following waits for inotify events and for the end of the container, never for time
to pass.
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
    and the file is read to its end; without it, what is there at the call is read and no more.
    """
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(Inotify()) if follow is not None else None
        if watch is not None:
            watch.add(path.parent, _WATCHED)  # before the first read, so that nothing is written unnoticed
        files = _snapshot(path)
        for file in files:
            stack.callback(file.close)
        if tail is not None:
            _seek_tail(files, tail)
        for file in files if follow is None else files[:-1]:
            async for batch in file.lines(file.size()):
                yield batch
            file.close()
        if follow is not None and watch is not None:
            newest = _Newest(path, files[-1] if files else None)
            stack.callback(newest.close)
            async for batch in _follow(newest, watch, follow):
                yield batch


class _File:
    """Reads whole lines of one file, which it owns, from a position on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.position = 0

    def close(self) -> None:
        """Does nothing the second time."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def inode(self) -> int:
        return os.fstat(self._descriptor).st_ino

    async def lines(self, end: int | None = None) -> AsyncIterator[list[LogLine]]:
        """Those that are there, or those before ``end``, however fast more are written."""
        if self.size() < self.position:  # a log of one file is truncated to rotate it
            self.position = 0
        while chunk := self._whole_lines(end):
            self.position += len(chunk)
            yield _parsed(chunk)
            await asyncio.sleep(0)

    def seek_tail(self, wanted: int) -> int:
        """Go to where at most ``wanted`` whole lines follow; how many more there would have to be."""
        position = _after_last_newline(self._descriptor, self.size())
        last = position - 1  # ends the last line: it is no line's beginning
        self.position = position if wanted <= 0 else 0
        while position > 0 and wanted > 0:
            start = max(0, position - CHUNK)
            block = os.pread(self._descriptor, position - start, start)
            cut = min(len(block), last - start)
            while (cut := block.rfind(b"\n", 0, cut)) >= 0:
                wanted -= 1
                if wanted == 0:
                    self.position = start + cut + 1
                    return 0
            position = start
        return wanted - (last >= 0) if wanted > 0 else 0

    def _whole_lines(self, end: int | None) -> bytes:
        """The next chunk up to its last newline, read further where a single line is longer than it."""
        chunk = b""
        while b"\n" not in chunk:
            at = self.position + len(chunk)
            more = os.pread(self._descriptor, CHUNK if end is None else min(CHUNK, max(0, end - at)), at)
            if not more:
                return b""
            chunk += more
        return chunk[: chunk.rfind(b"\n") + 1]


class _Newest:
    """The newest file of a log, and those that replace it in turn; none is skipped as long as it is kept."""

    def __init__(self, path: Path, file: _File | None) -> None:
        self._path = path
        self._file = file

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    async def rest(self) -> AsyncIterator[list[LogLine]]:
        """Every whole line that is there now."""
        if self._file is None:
            self._file = next(iter(_snapshot(self._path)), None)
        while self._file is not None:
            successor = self._successor(self._file)  # asked before reading: a file that was left is complete
            async for batch in self._file.lines():
                yield batch
            if successor is None:
                return
            self._file.close()
            self._file = successor

    def _successor(self, file: _File) -> _File | None:
        """The file that was begun after this one; the oldest there is if this one is no longer kept."""
        if _inode(str(self._path)) == file.inode():
            return None
        files = _snapshot(self._path)
        known = [other.inode() for other in files]
        at = known.index(file.inode()) + 1 if file.inode() in known else 0
        for number, other in enumerate(files):
            if number != at:
                other.close()
        return files[at] if at < len(files) else None


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


def _snapshot(path: Path) -> list[_File]:
    """Every file of the log, oldest first, as they are between two renames of a rotation."""
    while True:
        opened = {name: _File(descriptor) for name in _names(path) if (descriptor := _open(name)) >= 0}
        found = list(opened.values())
        if _names(path) == list(opened) and all(_inode(name) == file.inode() for name, file in opened.items()):
            return found
        for file in found:
            file.close()


def _names(path: Path) -> list[str]:
    """The names of the log's files, oldest first."""
    prefix = f"{path.name}."
    try:
        numbers = [name.removeprefix(prefix) for name in os.listdir(path.parent) if name.startswith(prefix)]
    except FileNotFoundError:  # the container was removed
        return []
    older = sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)
    return [*(f"{path}.{number}" for number in older), *([str(path)] if path.exists() else [])]


def _open(name: str) -> int:
    """A descriptor; -1 when there is no such file any more."""
    try:
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def _inode(name: str) -> int:
    try:
        return os.stat(name).st_ino
    except FileNotFoundError:
        return 0


def _seek_tail(files: list[_File], wanted: int) -> None:
    """Leave ``wanted`` lines to read in all of the files."""
    for file in reversed(files):
        wanted = file.seek_tail(wanted)


def _after_last_newline(descriptor: int, size: int) -> int:
    """The offset where the last whole line ends; 0 when there is none."""
    while size > 0:
        start = max(0, size - CHUNK)
        found = os.pread(descriptor, size - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        size = start
    return 0


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
