"""The format of the ``local`` driver, and of the cache that is kept beside a remote one: blocks of raw output.

A file begins with ``MAGIC`` and four random bytes, its mark. A block holds what was read at one time from one stream,
as it is: lines with their newlines, long lines in pieces (``lines.pieces`` takes it apart again). Little-endian:

==========  ======================================================
4 bytes     the file's mark
1 byte      the stream: 1 stdout, 2 stderr
8 bytes     when it was read, nanoseconds since the epoch
4 bytes     the length of the data
…           the data
4 bytes     the length again, so that a file can be read backwards
==========  ======================================================

Nothing is escaped, decoded or split on the way to the disk. A container cannot know the mark, so a reader that looks
for it from somewhere in the middle finds blocks, and not what a container wrote to look like one.
"""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"covelog1"
MARK_SIZE = 4
HEADER_SIZE = len(MAGIC) + MARK_SIZE
MAX_DATA = 1 << 24
"""Bytes of data in a block that a reader believes; a shim reads far less at a time."""

STREAMS = {"stdout": 1, "stderr": 2}

_HEAD = struct.Struct("<4sBQI")
_TAIL = struct.Struct("<I")
HEAD_SIZE = _HEAD.size
TAIL_SIZE = _TAIL.size
OVERHEAD = HEAD_SIZE + TAIL_SIZE


class Head(NamedTuple):
    """``end``: of the block, as an offset from its beginning."""

    stream: int
    time: int
    end: int


def mark(header: bytes) -> bytes | None:
    """The mark of a file that begins with ``header``; None when it is no file of blocks."""
    whole = len(header) >= HEADER_SIZE and header.startswith(MAGIC)
    return header[len(MAGIC) : HEADER_SIZE] if whole else None


def head(data: bytes, at: int, mark: bytes) -> Head | None:
    """The block that begins at ``at``, if one does and its head is there."""
    if len(data) - at < HEAD_SIZE:
        return None
    found, stream, when, length = _HEAD.unpack_from(data, at)
    if found != mark or stream not in (1, 2) or length > MAX_DATA:
        return None
    return Head(stream, when, HEAD_SIZE + length + TAIL_SIZE)


def length(tail: bytes) -> int:
    """The length of the data before a block's tail."""
    found: int = _TAIL.unpack(tail)[0]
    return found


def before(descriptor: int, end: int, mark: bytes) -> int | None:
    """Where the block begins that ends at ``end``, if one does."""
    if end < HEADER_SIZE + OVERHEAD:
        return None
    begin = end - OVERHEAD - length(os.pread(descriptor, TAIL_SIZE, end - TAIL_SIZE))
    if begin < HEADER_SIZE:
        return None
    found = head(os.pread(descriptor, HEAD_SIZE, begin), 0, mark)
    return begin if found is not None and begin + found.end == end else None


class Blocks:
    """Makes the blocks of one file after the other; all have one mark."""

    def __init__(self) -> None:
        self._mark = os.urandom(MARK_SIZE)

    @property
    def header(self) -> bytes:
        return MAGIC + self._mark

    def records(self, stream: str, data: bytes, when: int) -> bytes:
        """The block of what ``Lines`` gave to keep together."""
        size = len(data)
        return b"".join((_HEAD.pack(self._mark, STREAMS[stream], when, size), data, _TAIL.pack(size)))

    def fitting(self, records: bytes, room: int) -> int:
        """A block is never cut: a file passes its size by one block at most."""
        return len(records)

    def whole(self, descriptor: int, size: int) -> int:
        """The length up to the end of the last whole block. The file's mark is this one's from here on."""
        found = mark(os.pread(descriptor, HEADER_SIZE, 0))
        if found is None:
            return 0
        self._mark = found
        at = HEADER_SIZE if before(descriptor, size, found) is None else size
        while at < size and (block := head(os.pread(descriptor, HEAD_SIZE, at), 0, found)) and at + block.end <= size:
            at += block.end
        return at


class Incoming:
    """Finds the blocks of a file that arrives in parts."""

    def __init__(self) -> None:
        self._data = b""
        self._mark: bytes | None = None

    def take(self, more: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Streams, times and data of the blocks that are whole with ``more``."""
        self._data += more
        at = 0
        if self._mark is None:
            self._mark = mark(self._data)
            if self._mark is None:
                return
            at = HEADER_SIZE
        while (block := head(self._data, at, self._mark)) and at + block.end <= len(self._data):
            yield block.stream, block.time, self._data[at + HEAD_SIZE : at + block.end - TAIL_SIZE]
            at += block.end
        self._data = self._data[at:]
