"""Reading a container's log: the last lines, those since a time, and what is being written now.

The shim writes and rotates the files (``log_files``). This module only reads. Following waits for inotify events and
for the end of the container, never for time to pass.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path

from cove.engine.logs.files import File, inode, snapshot
from cove.engine.logs.formats import Format, JsonLines
from cove.kernel import inotify
from cove.kernel.inotify import Inotify
from cove.wire.streams import LogEntry

_WATCHED = inotify.MODIFY | inotify.CREATE | inotify.MOVED_TO


async def read(
    path: Path,
    tail: int | None,
    follow: "asyncio.Future[int] | None",
    *,
    since: int = 0,
    format_: Callable[[], Format] = JsonLines,
    caught_up: Callable[[], None] = lambda: None,
) -> AsyncGenerator[list[LogEntry], None]:
    """The entries of a log, oldest first, in batches.

    ``tail``: only so many of the last (None: all). ``follow``: go on with new ones until this future is done and the
    file is read to its end; without it, what is there at the call is read and no more. ``since``: nanoseconds since the
    epoch; what is older may be left out, but is not always. ``caught_up``: called before what is new.
    """
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(Inotify()) if follow is not None else None
        if watch is not None:
            watch.add(path.parent, _WATCHED)  # before the first read, so that nothing is written unnoticed
        files = snapshot(path, format_)
        for file in files:
            stack.callback(file.close)
        files = await _positioned(files, tail, since)
        for file in files if follow is None else files[:-1]:
            async for batch in file.entries(None if file is not files[-1] else file.size()):
                yield batch
            file.close()
        if follow is not None and watch is not None:
            newest = _Newest(path, files[-1] if files else None, format_)
            stack.callback(newest.close)
            following = _follow(newest, watch, follow, caught_up)
            async with contextlib.aclosing(following):  # it lets go of the descriptor before that is closed
                async for batch in following:
                    yield batch


async def _positioned(files: list[File], tail: int | None, since: int) -> list[File]:
    """The files that are needed, oldest first, where to begin in each."""
    if since:
        recent = [file for file in files if file.written() >= since]
        files = recent or files[-1:]
        if tail is None and files:
            await files[0].seek_since(since)
    if tail is None:
        return files
    for number in range(len(files) - 1, -1, -1):
        tail = await files[number].seek_tail(tail)
        if tail <= 0:
            return files[number:]
    return files


class _Newest:
    """The newest file of a log, and those that replace it in turn; none is skipped as long as it is kept."""

    def __init__(self, path: Path, file: File | None, format_: Callable[[], Format]) -> None:
        self._path = path
        self._file = file
        self._format = format_

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    async def rest(self) -> AsyncIterator[list[LogEntry]]:
        """Every whole record that is there now."""
        if self._file is None:
            self._file = self._first(0)
        while self._file is not None:
            successor = self._successor(self._file)  # asked before reading: a file that was left is complete
            async for batch in self._file.entries():
                yield batch
            if successor is None:
                return
            self._file.close()
            self._file = successor

    def _successor(self, file: File) -> File | None:
        """The file that was begun after this one; the oldest there is if this one is no longer kept."""
        if inode(str(self._path)) == file.inode():
            return None
        files = snapshot(self._path, self._format)
        known = [number for number, other in enumerate(files) if other.follows_from(file)]
        return _chosen(files, known[-1] + 1 if known else 0)

    def _first(self, at: int) -> File | None:
        return _chosen(snapshot(self._path, self._format), at)


def _chosen(files: list[File], at: int) -> File | None:
    """One of the files; the others are closed."""
    for number, other in enumerate(files):
        if number != at:
            other.close()
    return files[at] if at < len(files) else None


async def _follow(
    reader: _Newest, watch: Inotify, ended: "asyncio.Future[int]", caught_up: Callable[[], None]
) -> AsyncGenerator[list[LogEntry], None]:
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
            caught_up()
            yield []  # for what that has let go
            if last:
                return
            await changed.wait()
    finally:
        ended.remove_done_callback(done)
        loop.remove_reader(watch.fileno())
