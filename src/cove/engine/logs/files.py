"""The files of one log: which there are, in order, and reading one of them in whole records."""

import asyncio
import os
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from cove.engine.logs.formats import Format
from cove.wire.streams import LogEntry

CHUNK = 1 << 18
"""Bytes that are read and parsed at a time, so that the event loop is never kept for long."""

_GZIP = 31  # zlib's window of 32 KiB, with gzip's header


class File:
    """Reads one file, which it owns, from a position on. A compressed one is unpacked when it is first read."""

    def __init__(self, descriptor: int, format_: Format, *, compressed: bool) -> None:
        self._descriptor = descriptor
        self._format = format_
        self._compressed = compressed
        status = os.fstat(descriptor)
        self._identity = (status.st_ino, status.st_mtime_ns) if compressed else (status.st_ino, 0)
        self._position = -1
        self._skip = 0

    def close(self) -> None:
        """Does nothing the second time."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def inode(self) -> int:
        """Of the file that has the name, packed or not."""
        return self._identity[0]

    def written(self) -> int:
        """When it was written to last, nanoseconds since the epoch; no record in it is younger."""
        return self._identity[1] or os.fstat(self._descriptor).st_mtime_ns

    def follows_from(self, other: "File") -> bool:
        """Whether this is ``other``, be it compressed since."""
        return self.inode() == other.inode() or (self._compressed and self._identity[1] == other.written())

    async def unpack(self) -> None:
        """Do what must be before the file is read. Raises OSError."""
        if self._compressed:
            self._compressed = False
            packed, self._descriptor = self._descriptor, -1
            self._descriptor = await asyncio.to_thread(_unpacked, packed)
        if self._position < 0:
            self._position = self._format.begin(self._descriptor)

    async def seek_tail(self, wanted: int) -> int:
        """Go to where ``wanted`` entries follow; how many more there would have to be."""
        await self.unpack()
        if wanted > _MANY:
            place = await asyncio.to_thread(self._format.tail, self._descriptor, self.size(), wanted)
        else:
            place = self._format.tail(self._descriptor, self.size(), wanted)
        self._position, self._skip = place.position, place.skip
        return place.missing

    async def seek_since(self, moment: int) -> None:
        """Go to shortly before the first record of this time or later."""
        await self.unpack()
        self._position = max(self._position, self._format.since(self._descriptor, self.size(), moment))

    async def entries(self, end: int | None = None) -> AsyncIterator[list[LogEntry]]:
        """Those that are there, or those before ``end``, however fast more are written."""
        await self.unpack()
        begin = self._format.begin(self._descriptor)
        if self.size() < self._position or self._position == begin:
            self._position = begin  # a log of one file is emptied to rotate it
        wanted = CHUNK
        while data := self._read(wanted, end):
            found, used = self._format.take(data)
            if used:
                self._position += used
                yield self._unskipped(found)
                await asyncio.sleep(0)
                wanted = CHUNK
            elif len(data) < wanted:
                return
            else:
                wanted *= 4  # a single record that is longer

    def _read(self, wanted: int, end: int | None) -> bytes:
        if end is not None:
            wanted = min(wanted, max(0, end - self._position))
        return os.pread(self._descriptor, wanted, self._position)

    def _unskipped(self, found: list[LogEntry]) -> list[LogEntry]:
        kept, self._skip = found[self._skip :], max(0, self._skip - len(found))
        return kept


_MANY = 20_000
"""Entries of a tail that are not found at once."""


def _unpacked(packed: int) -> int:
    """A descriptor of a nameless file with the content of a gzip file, whose descriptor is taken over."""
    unpacker = zlib.decompressobj(_GZIP)
    with tempfile.TemporaryFile(buffering=0) as target, open(packed, "rb") as source:
        while chunk := source.read(CHUNK):
            target.write(unpacker.decompress(chunk))
        return os.dup(target.fileno())


def snapshot(path: Path, format_: Callable[[], Format]) -> list[File]:
    """Every file of the log, oldest first, as they are between two renames of a rotation."""
    while True:
        opened = {
            name: File(descriptor, format_(), compressed=name.endswith(".gz"))
            for name in _names(path)
            if (descriptor := _open(name)) >= 0
        }
        found = list(opened.values())
        if _names(path) == list(opened) and all(inode(name) == file.inode() for name, file in opened.items()):
            return found
        for file in found:
            file.close()


def _names(path: Path) -> list[str]:
    """The names of the log's files, oldest first; of one that was just compressed, the plain one."""
    prefix = f"{path.name}."
    try:
        listed = os.listdir(path.parent)
    except FileNotFoundError:  # the container was removed
        return []
    numbered: dict[int, str] = {}
    for name in sorted(listed, reverse=True):  # x.1.gz before x.1, which replaces it
        number = name.removeprefix(prefix).removesuffix(".gz")
        if name.startswith(prefix) and number.isdecimal():
            numbered[int(number)] = str(path.parent / name)
    older = [numbered[number] for number in sorted(numbered, reverse=True)]
    return [*older, *([str(path)] if path.exists() else [])]


def _open(name: str) -> int:
    """A descriptor; -1 when there is no such file any more."""
    try:
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def inode(name: str) -> int:
    try:
        return os.stat(name).st_ino
    except FileNotFoundError:
        return 0
