"""Compressed files, read as a stream."""

import gzip
import lzma
import sys
import zlib
from pathlib import PurePath
from typing import BinaryIO, cast

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from cove.errors import InvalidArgument

DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, zstd.ZstdError)
"""What reading a damaged or truncated stream raises."""


def decompressed(file: BinaryIO, name: str) -> BinaryIO:
    """The content of an open file, decompressed as the end of ``name`` says. Raises InvalidArgument for other ends."""
    suffix = PurePath(name).suffix
    if suffix == ".xz":
        return cast(BinaryIO, lzma.LZMAFile(file))
    if suffix == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="rb"))
    if suffix == ".zst":
        return cast(BinaryIO, zstd.ZstdFile(file))
    if suffix in ("", ".tar"):
        return file
    raise InvalidArgument(f"{name} has a compression that is not supported")
