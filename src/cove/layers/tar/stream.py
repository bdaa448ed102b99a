"""A stream of bytes read by exact counts, from an iterator of large pieces."""

import errno
import os
from collections.abc import Callable, Iterator

from cove.errors import InvalidArgument

NEAR = 1 << 14
"""Bytes that are read at once of a file of which only headers are wanted."""
FAR = 1 << 16
"""Bytes that are read at once of a pipe: small files are in them, and large ones mostly behind them."""


class Truncated(InvalidArgument):
    """The input ended in the middle of something."""


class ByteStream:
    """Reads from ``pieces``; ``position`` counts the bytes taken so far."""

    __slots__ = ("_at", "_pieces", "_view", "position")

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._view = memoryview(b"")
        self._at = 0
        self.position = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, or none at all at the end of the stream. Raises Truncated in between."""
        end = self._at + count
        if end <= len(self._view):
            found = bytes(self._view[self._at : end])
            self._at = end
            self.position += count
            return found
        found = b"".join(self._up_to(count))
        if found and len(found) < count:
            raise Truncated("unexpected end of input")
        return found

    def pieces(self, count: int) -> Iterator[memoryview]:
        """The next ``count`` bytes in order, in pieces that are valid until the next read. Raises Truncated."""
        for piece in self._up_to(count):
            count -= len(piece)
            yield piece
        if count:
            raise Truncated("unexpected end of input")

    def send(self, count: int, file: int) -> None:
        """Write the next ``count`` bytes to a descriptor, where it is. Raises Truncated, OSError."""
        for piece in self.pieces(count):
            while (written := os.write(file, piece)) < len(piece):
                piece = piece[written:]

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes. Raises Truncated."""
        end = self._at + count
        if end <= len(self._view):
            self._at = end
            self.position += count
            return
        for _ in self.pieces(count):
            pass

    def drain(self) -> None:
        """Read to the end of the stream."""
        self._view, self._at = memoryview(b""), 0
        for piece in self._pieces:
            self.position += len(piece)

    def _up_to(self, count: int) -> Iterator[memoryview]:
        while count:
            if self._at == len(self._view):
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._view, self._at = memoryview(piece), 0
                continue
            found = self._view[self._at : self._at + count]
            self._at += len(found)
            self.position += len(found)
            count -= len(found)
            yield found


class PipeStream(ByteStream):
    """The same of a pipe, whose bytes go to files without a copy of them in this process."""

    def __init__(self, descriptor: int, first: bytes, progress: Callable[[int], None]) -> None:
        """``first``: what has been read of it. ``progress`` is told the bytes read so far."""
        super().__init__(self._read(first))
        self._pipe = descriptor
        self._progress = progress

    def send(self, count: int, file: int) -> None:
        near = min(count, len(self._view) - self._at)
        super().send(near, file)
        left = count - near
        while left:
            try:
                moved = os.splice(self._pipe, file, left)
            except OSError as error:
                if error.errno != errno.EINVAL:  # a file system that cannot
                    raise
                super().send(left, file)
                return
            if not moved:
                raise Truncated("unexpected end of input")
            left -= moved
            self.position += moved
            self._progress(self.position)

    def _read(self, first: bytes) -> Iterator[bytes]:
        if first:
            yield first
        while piece := os.read(self._pipe, FAR):
            self._progress(self.position + len(piece))
            yield piece


class FileStream(ByteStream):
    """The same of a file that can be read anywhere: what is passed over is not read."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(self._read())
        self._file = descriptor
        self._size = os.fstat(descriptor).st_size
        self._offset = 0

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes. Raises Truncated."""
        rest = count - (len(self._view) - self._at)
        if rest <= 0:
            super().skip(count)
            return
        if self._offset + rest > self._size:
            raise Truncated("unexpected end of input")
        self._view, self._at = memoryview(b""), 0
        self._offset += rest
        self.position += count

    def drain(self) -> None:
        """Pass over all of the rest."""
        self._view, self._at = memoryview(b""), 0
        self.position += self._size - self._offset
        self._offset = self._size

    def _read(self) -> Iterator[bytes]:
        while piece := os.pread(self._file, NEAR, self._offset):
            self._offset += len(piece)
            yield piece
