"""The input of a job: read, decompressed, hashed and kept by threads, while the job's own thread uses the bytes.

::

    source ──▶ reader: hash, keep ──▶ decompressor: hash, keep ──▶ pieces()
                          ╰─ raw file                  ╰─ plain file      (written by threads of their own)

Reading, hashing, decompressing and writing release the interpreter's lock, so that they run on several cores.
"""

import hashlib
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import chain

from cove.content.compression import MAGIC_SIZE, decompressed, detect
from cove.layers.tar.stream import ByteStream, PipeStream
from cove.layers.worker.kept_file import KeptFile

PIECE = 1 << 18
"""Bytes; larger ones leave the processor's cache before they have been hashed and written."""
AHEAD = 8
"""Pieces that a thread may be ahead of the next one."""
SWITCH_SECONDS = 0.0005
"""How long a thread that comes back from C waits for one that runs Python: each piece does so several times."""

SHA256 = "sha256"
"""The algorithm of the digests of decompressed bytes."""

_Queue = queue.Queue[bytes | BaseException | None]


class Input:
    """Iterate ``pieces()`` to the end, then read the digests. ``raw`` and ``plain``: files to keep the bytes in, which
    are whole once ``close`` returns.

    ``once``: of bytes that are not compressed only ``raw`` is kept; then ``is_plain`` is true, the digests are one.
    ``hash_raw``: the algorithm of ``raw_digest``, or empty for none. ``direct``: write past the page
    cache. ``hash_plain``: else ``plain_digest`` is not to be read.
    """

    def __init__(
        self,
        source: int,
        raw: str,
        plain: str,
        hash_raw: str,
        progress: Callable[[int], None],
        *,
        once: bool = False,
        direct: bool = True,
        hash_plain: bool = True,
    ) -> None:
        self._source = source
        self._raw_file = KeptFile(raw) if raw else None
        self._plain_file: KeptFile | None = None
        self._plain_path = plain
        self._once = once
        self._direct = direct
        self.is_plain = False
        self._raw_hash = hashlib.new(hash_raw) if hash_raw else None
        self._both_hashes = hash_raw != SHA256
        self._plain_hash = hashlib.sha256() if hash_plain else None
        self._progress = progress
        self._raw_pieces: _Queue = queue.Queue(AHEAD)
        self._plain_pieces: _Queue = queue.Queue(AHEAD)
        self.raw_size = 0
        self.plain_size = 0

    @property
    def raw_digest(self) -> str:
        if self._raw_hash is None:
            return ""
        is_one = self.is_plain and not self._both_hashes
        return self.plain_digest if is_one else f"{self._raw_hash.name}:{self._raw_hash.hexdigest()}"

    @property
    def plain_digest(self) -> str:
        assert self._plain_hash is not None
        return f"sha256:{self._plain_hash.hexdigest()}"

    def pieces(self) -> Iterator[bytes]:
        """The decompressed bytes. Raises InvalidArgument when they cannot be decompressed, OSError."""
        sys.setswitchinterval(SWITCH_SECONDS)
        threading.Thread(target=_filling, args=(self._raw(), self._raw_pieces), name="reader", daemon=True).start()
        threading.Thread(target=_filling, args=(self._plain(), self._plain_pieces), name="plain", daemon=True).start()
        yield from _taken(self._plain_pieces)

    def close(self, *, sync: bool = True) -> None:
        """Wait until the files are written, and on disk if they are to be. Raises OSError."""
        for file in (self._raw_file, self._plain_file):
            if file is not None:
                file.close(sync=sync)

    def _plain(self) -> Iterator[bytes]:
        raw = _taken(self._raw_pieces)
        first = next(raw, b"")
        compression = detect(first[:MAGIC_SIZE])
        self.is_plain = not compression
        if self._plain_path and not (self.is_plain and self._once and self._raw_file):
            self._plain_file = KeptFile(self._plain_path, direct=self._direct)
        everything = chain((first,) if first else (), raw)
        for piece in decompressed(everything, compression) if compression else everything:
            if self._plain_hash is not None:
                self._plain_hash.update(piece)
            self.plain_size += len(piece)
            if self._plain_file is not None:
                self._plain_file.write(piece)
            yield piece
        if self._plain_file is not None:
            self._plain_file.end()

    def _raw(self) -> Iterator[bytes]:
        while piece := _read_full(self._source, PIECE):
            self.raw_size += len(piece)
            if self._raw_hash and (self._both_hashes or not self.is_plain):
                self._raw_hash.update(piece)
            if self._raw_file is not None:
                self._raw_file.write(piece)
            self._progress(self.raw_size)
            yield piece
        if self._raw_file is not None:
            self._raw_file.end()


def open_stream(source: int, progress: Callable[[int], None]) -> ByteStream:
    """A pipe's bytes, decompressed, without threads: for what is neither hashed nor kept. Raises OSError."""
    first = _read_full(source, MAGIC_SIZE)
    compression = detect(first)
    if not compression:
        return PipeStream(source, first, progress)
    rest = iter(lambda: os.read(source, PIECE), b"")
    return ByteStream(decompressed(chain((first,), rest), compression))


def _filling(pieces: Iterator[bytes], into: _Queue) -> None:
    try:
        for piece in pieces:
            into.put(piece)
        into.put(None)
    except BaseException as error:
        into.put(error)


def _taken(source: _Queue) -> Iterator[bytes]:
    while (piece := source.get()) is not None:
        if isinstance(piece, BaseException):
            raise piece
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
