"""Archives that ADD unpacks, known by what is in them, whatever they are called."""

from collections.abc import Iterator
from itertools import chain

from cove.content.compression import MAGIC_SIZE, decompressed, detect
from cove.errors import InvalidArgument
from cove.layers.tar.header import BLOCK, ZEROS, Header, parse
from cove.layers.tar.reader import Limits, Reader
from cove.layers.tar.stream import ByteStream


def is_archive(data: Iterator[bytes]) -> bool:
    """Whether these bytes are a tar, compressed or not."""
    try:
        block = ByteStream(_plain(data)).take(BLOCK)
        if len(block) < BLOCK or block == ZEROS:
            return False
        parse(block)
        return True
    except (InvalidArgument, EOFError):
        return False


def members(data: Iterator[bytes]) -> Iterator[tuple[Header, Reader]]:
    """The entries of an archive; the data of each is read from the reader before the next. Raises InvalidArgument."""
    reader = Reader(ByteStream(_plain(data)), Limits())
    for entry in reader:
        yield entry, reader


def _plain(data: Iterator[bytes]) -> Iterator[bytes]:
    first = next(data, b"")
    compression = detect(first[:MAGIC_SIZE])
    whole = chain((first,), data) if first else iter(())
    return decompressed(whole, compression) if compression else whole
