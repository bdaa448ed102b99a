"""gzip, zstd, xz and bzip2: told apart by their first bytes, and undone piece by piece with bounded output."""

import bz2
import lzma
from collections.abc import Callable, Generator, Iterator
from typing import Protocol, cast

from backports import zstd
from isal import igzip_lib

from cove.errors import InvalidArgument

MAGIC_SIZE = 6
"""How many first bytes ``detect`` needs."""
PIECE = 1 << 20
"""The most bytes that one decompressed piece has."""
XZ_MEMORY = 1 << 28

_MAGICS = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
)
_SKIPPABLE = b"\x2a\x4d\x18"


class Decompressor(Protocol):
    """What bz2, lzma, zstd and isal have in common: one member of a stream."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


_DECOMPRESSORS: dict[str, Callable[[], Decompressor]] = {
    "gzip": lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP),
    "zstd": zstd.ZstdDecompressor,
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY),
    "bzip2": bz2.BZ2Decompressor,
}
_FAILURES = (
    cast(type[Exception], igzip_lib.IsalError),
    zstd.ZstdError,
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
)


def detect(start: bytes) -> str:
    """``gzip``, ``zstd``, ``xz``, ``bzip2``, or an empty string for anything else."""
    for magic, name in _MAGICS:
        if start.startswith(magic):
            return name
    return "zstd" if len(start) >= 4 and start[1:4] == _SKIPPABLE and start[0] & 0xF0 == 0x50 else ""


def decompressed(pieces: Iterator[bytes], compression: str) -> Iterator[bytes]:
    """The decompressed bytes of a stream of one or more members, in pieces of at most ``PIECE`` bytes.

    Zeros after the last member are padding. Raises InvalidArgument for corrupt or truncated input.
    """
    pending = b""
    while pending := pending or next(pieces, b""):
        if not pending.strip(b"\0"):
            pending = b""
            continue
        try:
            pending = yield from _member(pending, pieces, _DECOMPRESSORS[compression](), compression)
        except _FAILURES as error:
            raise InvalidArgument(f"invalid {compression} data: {error}") from error


def _member(
    data: bytes, pieces: Iterator[bytes], decompressor: Decompressor, name: str
) -> Generator[bytes, None, bytes]:
    while True:
        out = decompressor.decompress(data, PIECE)
        if out:
            yield out
        if decompressor.eof:
            return decompressor.unused_data
        data = b""
        if decompressor.needs_input:
            data = next(pieces, b"")
            if not data:
                raise InvalidArgument(f"invalid {name} data: unexpected end of input")
