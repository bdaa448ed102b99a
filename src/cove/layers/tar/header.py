"""One 512-byte tar header block: V7, ustar and GNU (tar(5), POSIX.1-2017 pax)."""

import stat
import struct
from dataclasses import dataclass, field
from zlib import adler32

from cove.errors import InvalidArgument

BLOCK = 512
ZEROS = bytes(BLOCK)

KINDS = {
    stat.S_IFREG: b"0",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5",
    stat.S_IFIFO: b"6",
}
"""The type flag of each kind of file; sockets have no place in a tar."""

FIELDS = struct.Struct("100s 8s 8s 8s 12s 12s 8s c 100s 6s 2s 64x 8s 8s 155s 8x 4s")
"""name, mode, uid, gid, size, mtime, checksum, kind, link, magic, version, devmajor, devminor, prefix, star's magic."""
UNSUMMED = b" " * 8
"""What the checksum's own field counts as."""


@dataclass(slots=True)
class Header:
    """One entry. ``kind`` is the type flag as a byte string; ``size``: bytes of data that follow in the archive.

    ``real_size``: bytes of the file once unpacked, which differs from ``size`` for a sparse file. ``mtime``:
    nanoseconds. ``data_runs``: for a sparse file the (offset, length) of each run of data, else None.
    """

    name: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes
    major: int
    minor: int
    real_size: int
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    data_runs: list[tuple[int, int]] | None = None


def parse(block: bytes) -> Header:
    """Read a block. Raises InvalidArgument when its checksum or a number in it is wrong."""
    name, mode, uid, gid, size, mtime, checksum, kind, link, magic, _, major, minor, prefix, star = FIELDS.unpack(block)
    _check(block, checksum)
    name = text(name)
    if prefix[0] and magic == b"ustar\0":
        name = text(prefix[:131] if star == b"tar\0" else prefix) + b"/" + name
    length = number(size, "size")
    devices = kind in (b"3", b"4")
    return Header(
        name=name,
        kind=b"0" if kind in (b"\0", b"7") else kind,
        mode=number(mode, "mode") & 0o7777,
        uid=number(uid, "uid"),
        gid=number(gid, "gid"),
        size=length,
        mtime=number(mtime, "mtime", signed=True) * 1_000_000_000,
        link=text(link),
        major=number(major, "devmajor") if devices else 0,
        minor=number(minor, "devminor") if devices else 0,
        real_size=length,
    )


def text(raw: bytes) -> bytes:
    """A field up to its first NUL."""
    end = raw.find(b"\0")
    return raw if end < 0 else raw[:end]


def number(raw: bytes, what: str, signed: bool = False) -> int:
    """A numeric field: octal text, or GNU's base-256 when the first bit is set. Raises InvalidArgument."""
    if raw[0] & 0x80:
        value = int.from_bytes(raw, "big") & ((1 << (8 * len(raw) - 1)) - 1)
        if raw[0] & 0x40:
            value -= 1 << (8 * len(raw) - 1)
    else:
        try:
            value = int(raw.strip(b" \0").partition(b"\0")[0] or b"0", 8)
        except ValueError:
            raise InvalidArgument(f"invalid tar header: {what} is not a number") from None
    if value < 0 and not signed:
        raise InvalidArgument(f"invalid tar header: {what} is negative")
    return value


def byte_sum(block: bytes) -> int:
    """Of a whole block. Adler-32 keeps one more than it in its low half, modulo 65521 (RFC 1950), which is exact for
    half a block at a time, and seven times as fast as a sum of numbers.
    """
    half = BLOCK // 2
    return (adler32(block[:half]) & 0xFFFF) + (adler32(block[half:]) & 0xFFFF) - 2


def _check(block: bytes, checksum: bytes) -> None:
    """Some have summed bytes as signed numbers."""
    expected = number(checksum, "checksum")
    summed = block[:148] + UNSUMMED + block[156:]
    found = byte_sum(summed)
    if found != expected and found - 256 * sum(byte > 127 for byte in summed) != expected:
        raise InvalidArgument("invalid tar header")
