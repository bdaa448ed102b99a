"""Compressed files, read as a stream."""

from collections.abc import Iterator
from functools import partial
from pathlib import PurePath
from typing import Protocol

from cove.content import compression
from cove.errors import InvalidArgument

_BY_SUFFIX = {".xz": "xz", ".gz": "gzip", ".zst": "zstd", ".tar": "", "": ""}
_READ = 1 << 18


class Readable(Protocol):
    """What is read here. Fewer bytes than asked for mean the end."""

    def read(self, size: int, /) -> bytes: ...


class Content:
    """The content of a file, decompressed as the end of its name says.

    Raises InvalidArgument that begins with the name: for other ends, and when what is read is damaged or cut off.
    """

    def __init__(self, file: Readable, name: str) -> None:
        suffix = PurePath(name).suffix
        if suffix not in _BY_SUFFIX:
            raise InvalidArgument(f"{name} has a compression that is not supported")
        pieces: Iterator[bytes] = iter(partial(file.read, _READ), b"")
        kind = _BY_SUFFIX[suffix]
        self._pieces = compression.decompressed(pieces, kind) if kind else pieces
        self._name = name
        self._piece = memoryview(b"")

    def read(self, size: int) -> bytes:
        """``size`` bytes, fewer only at the end."""
        parts: list[bytes | memoryview] = []
        while size > 0 and (self._piece or self._next()):
            parts.append(self._piece[:size])
            size -= len(parts[-1])
            self._piece = self._piece[len(parts[-1]) :]
        return b"".join(parts)

    def check_rest(self) -> None:
        """Read to the end, so that the checksums of the compressed stream are compared."""
        while self._next():
            pass

    def _next(self) -> bool:
        try:
            self._piece = memoryview(next(self._pieces, b""))
        except (InvalidArgument, EOFError) as error:
            raise InvalidArgument(f"{self._name} is damaged: {error}") from error
        return bool(self._piece)
