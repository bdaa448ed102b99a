"""One 512-byte tar header block: V7, ustar and GNU (tar(5), POSIX.1-2017 pax)."""

import stat
from dataclasses import dataclass, field

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
    _check(block)
    name = text(block[0:100])
    if block[345] and block[257:263] == b"ustar\0":
        star = block[508:512] == b"tar\0"
        name = text(block[345:476] if star else block[345:500]) + b"/" + name
    size = number(block[124:136], "size")
    kind = block[156:157]
    devices = kind in (b"3", b"4")
    return Header(
        name=name,
        kind=b"0" if kind in (b"\0", b"7") else kind,
        mode=number(block[100:108], "mode") & 0o7777,
        uid=number(block[108:116], "uid"),
        gid=number(block[116:124], "gid"),
        size=size,
        mtime=number(block[136:148], "mtime", signed=True) * 1_000_000_000,
        link=text(block[157:257]),
        major=number(block[329:337], "devmajor") if devices else 0,
        minor=number(block[337:345], "devminor") if devices else 0,
        real_size=size,
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


def _check(block: bytes) -> None:
    expected = number(block[148:156], "checksum")
    rest = block[:148] + block[156:]
    found = sum(rest) + 8 * 0x20
    if found != expected and found - 256 * sum(byte > 127 for byte in rest) != expected:
        raise InvalidArgument("invalid tar header")
