"""A tar archive as a sequence of entries, read from a stream in one pass.

Understands V7, ustar, pax (global and extended headers, sparse 0.0/0.1/1.0, xattrs) and GNU (long names and links,
base-256 numbers, sparse). Names are bytes, as in the archive.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cove.errors import InvalidArgument
from cove.layers.tar import header as headers
from cove.layers.tar import pax, sparse
from cove.layers.tar.header import BLOCK, ZEROS, Header
from cove.layers.tar.stream import ByteStream, Truncated

EXTENSION_LIMIT = 1 << 20
"""The most bytes of one pax header or long name."""
_WITHOUT_DATA = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
_KINDS = _WITHOUT_DATA | {b"0"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may ask for. ``total`` and ``path`` in bytes, ``name``: bytes of one path component."""

    entries: int = 4_000_000
    path: int = 4096
    name: int = 255
    total: int = 1 << 40


class Reader:
    """Iterate to get headers; between two, read the data of the entry with ``data`` or leave it unread."""

    def __init__(self, stream: ByteStream, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._left = 0
        self._padding = 0
        self._entries = 0
        self._total = 0
        self._globals: pax.Records = []

    def __iter__(self) -> Iterator[Header]:
        """Raises InvalidArgument, with the entry's name where it is known."""
        while (found := self._next()) is not None:
            yield found
            try:
                self._stream.skip(self._left + self._padding)
            except Truncated as error:
                raise Truncated(f"{shown(found.name)}: {error.message}") from error
            self._left = self._padding = 0
        self._stream.drain()

    def data(self, count: int | None = None) -> Iterator[memoryview]:
        """The next ``count`` bytes of the current entry's data as it is in the archive, or all that is left of it."""
        count = self._left if count is None else min(count, self._left)
        self._left -= count
        return self._stream.pieces(count)

    def send(self, file: int, count: int | None = None) -> None:
        """Write to a descriptor what ``data`` gives."""
        count = self._left if count is None else min(count, self._left)
        self._left -= count
        self._stream.send(count, file)

    def _next(self) -> Header | None:
        long_name = long_link = b""
        records: pax.Records = []
        while True:
            block = self._stream.take(BLOCK)
            if not block or block == ZEROS:
                if long_name or long_link or records:
                    raise Truncated("unexpected end of input")
                self._end()
                return None
            found = headers.parse(block)
            if found.kind in (b"x", b"X"):
                records = pax.parse(self._extension(found))
            elif found.kind == b"g":
                self._globals = _merged(self._globals, pax.parse(self._extension(found)))
            elif found.kind == b"L":
                long_name = headers.text(self._extension(found))
            elif found.kind == b"K":
                long_link = headers.text(self._extension(found))
            elif found.kind == b"V":
                self._stream.skip(_padded(found.size))
            else:
                found.name, found.link = long_name or found.name, long_link or found.link
                return self._settled(found, block, self._globals + records if self._globals else records)

    def _end(self) -> None:
        second = self._stream.take(BLOCK)
        if second and second != ZEROS:
            raise InvalidArgument("invalid tar header: one block of zeros")

    def _settled(self, found: Header, block: bytes, records: pax.Records) -> Header:
        kind = found.kind
        if records:
            pax.apply(records, found)
        if kind == b"S":
            sparse.apply_old(block, self._stream, found)
            found.kind = kind = b"0"
        elif kind == b"0" and records:
            sparse.apply_pax(records, self._stream, found)
        if kind not in _KINDS:
            raise InvalidArgument(f"{shown(found.name)}: unsupported tar entry type {kind!r}")
        if kind == b"0" and found.name.endswith(b"/"):
            found.kind = kind = b"5"
        if kind in _WITHOUT_DATA:
            found.size = found.real_size = 0
        self._left = found.size
        self._padding = -found.size % BLOCK
        self._count(found)
        return found

    def _extension(self, found: Header) -> bytes:
        if found.size > EXTENSION_LIMIT:
            raise InvalidArgument(f"invalid tar header: an extension of {found.size} bytes")
        self._entries += 1
        data = self._stream.take(_padded(found.size)) if found.size else b""
        if len(data) < found.size:
            raise Truncated("unexpected end of input")
        return data[: found.size]

    def _count(self, found: Header) -> None:
        limits = self._limits
        self._entries += 1
        self._total += found.real_size
        if self._entries > limits.entries:
            raise InvalidArgument(f"{shown(found.name)}: the archive has more than {limits.entries} entries")
        if self._total > limits.total:
            raise InvalidArgument(f"{shown(found.name)}: the archive has more than {limits.total} bytes unpacked")
        if len(found.name) > limits.path or len(found.link) > limits.path:
            raise InvalidArgument(f"{shown(found.name)}: path is longer than {limits.path} bytes")


def shown(name: bytes) -> str:
    """A name for a message: printable, and cut when it is very long."""
    text = name.decode("utf-8", "backslashreplace")
    return text if len(text) <= 300 else text[:300] + "…"


def _padded(size: int) -> int:
    return (size + BLOCK - 1) // BLOCK * BLOCK


def _merged(old: pax.Records, new: pax.Records) -> pax.Records:
    keys = {key for key, _ in new}
    return [record for record in old if record[0] not in keys] + new
