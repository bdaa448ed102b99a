"""The input of a job: read, hashed, decompressed and kept by a thread, while the job's own thread uses the bytes.

Reading, hashing, decompressing and writing release the interpreter's lock, so the two run on two cores.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from itertools import chain

from cove.content.compression import MAGIC_SIZE, decompressed, detect

PIECE = 1 << 18
"""Bytes; larger ones leave the processor's cache before they have been hashed and written."""
AHEAD = 8
"""Pieces that the thread may be ahead."""


class Input:
    """Iterate ``pieces()`` to the end, then read the digests. ``raw`` and ``plain``: files to keep the bytes in.

    ``once``: of bytes that are not compressed only ``raw`` is kept; then ``is_plain`` is true, the digests are one.
    """

    def __init__(
        self,
        source: int,
        raw: str,
        plain: str,
        hash_raw: bool,
        progress: Callable[[int], None],
        *,
        once: bool = False,
    ) -> None:
        self._source = source
        self._raw_file = _create(raw)
        self._plain_file = -1
        self._plain_path = plain
        self._once = once
        self.is_plain = False
        self._raw_hash = hashlib.sha256() if hash_raw else None
        self._plain_hash = hashlib.sha256()
        self._progress = progress
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(AHEAD)
        self.raw_size = 0
        self.plain_size = 0

    @property
    def raw_digest(self) -> str:
        if self._raw_hash is None:
            return ""
        return self.plain_digest if self.is_plain else f"sha256:{self._raw_hash.hexdigest()}"

    @property
    def plain_digest(self) -> str:
        return f"sha256:{self._plain_hash.hexdigest()}"

    def pieces(self) -> Iterator[bytes]:
        """The decompressed bytes. Raises InvalidArgument when they cannot be decompressed, OSError."""
        threading.Thread(target=self._run, name="input", daemon=True).start()
        while (piece := self._queue.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def _run(self) -> None:
        try:
            for piece in self._plain():
                self._plain_hash.update(piece)
                self.plain_size += len(piece)
                _write(self._plain_file, piece)
                self._queue.put(piece)
            self._queue.put(None)
        except BaseException as error:
            self._queue.put(error)

    def _plain(self) -> Iterator[bytes]:
        raw = self._raw()
        first = next(raw, b"")
        compression = detect(first[:MAGIC_SIZE])
        self.is_plain = not compression
        if not (self.is_plain and self._once and self._raw_file >= 0):
            self._plain_file = _create(self._plain_path)
        everything = chain((first,) if first else (), raw)
        return decompressed(everything, compression) if compression else everything

    def _raw(self) -> Iterator[bytes]:
        while piece := _read_full(self._source, PIECE):
            self.raw_size += len(piece)
            if self._raw_hash and not self.is_plain:
                self._raw_hash.update(piece)
            _write(self._raw_file, piece)
            self._progress(self.raw_size)
            yield piece


def _read_full(source: int, count: int) -> bytes:
    """``count`` bytes, fewer only at the end: a pipe gives small pieces, and each costs a turn of everything."""
    found = os.read(source, count)
    if len(found) == count or not found:
        return found
    parts, missing = [found], count - len(found)
    while missing and (more := os.read(source, missing)):
        parts.append(more)
        missing -= len(more)
    return b"".join(parts)


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600) if path else -1


def _write(file: int, piece: bytes) -> None:
    if file >= 0:
        view = memoryview(piece)
        while (written := os.write(file, view)) < len(view):
            view = view[written:]
