"""Entries to a tar archive: ustar blocks, with pax headers for what does not fit into them (POSIX.1-2017 pax).

Owners are numbers only, and times whole seconds unless nanoseconds are asked for, so that the same tree gives the same
bytes. A file with holes becomes a sparse entry of pax format 1.0 (GNU tar manual, D.2), which GNU's, BSD's, Python's
and Go's readers know.
"""

from collections.abc import Callable
from dataclasses import replace

from cove.layers.tar.header import BLOCK, FIELDS, UNSUMMED, Header, byte_sum
from cove.layers.tar.pax import XATTR

END = bytes(2 * BLOCK)
SPARSE = b"GNUSparseFile.0/"
"""The directory that the name of a sparse entry shows to readers that do not know the format."""

_NAME = 100
_PREFIX = 155
_MAX_ID = 0o7777777
_MAX_SIZE = 0o77777777777
_MAX_TIME = 0o77777777777


class Writer:
    """``write`` gets the archive's bytes in order. After an entry with data, exactly ``size`` bytes of it follow.

    ``fine``: times to the nanosecond.
    """

    def __init__(self, write: Callable[[bytes], object], fine: bool = False) -> None:
        self._write = write
        self._fine = fine
        self._padding = 0

    def entry(self, header: Header) -> None:
        """Begin an entry. ``mode`` is written as it is, with the bits of the file's type if it has them.

        With ``data_runs``, ``size`` is the bytes in them.
        """
        self._pad()
        if header.data_runs is not None:
            self._sparse(header, header.data_runs)
            return
        records = _records(header, self._fine)
        if records:
            self._extension(records, header)
        self._write(_block(header))
        self._padding = -header.size % BLOCK

    def _sparse(self, header: Header, runs: list[tuple[int, int]]) -> None:
        """An entry whose data begin with a map of where they belong."""
        ended = [*runs, (header.real_size, 0)]  # for readers that take the last run's end for the file's
        text = b"".join(b"%d\n" % number for number in (len(ended), *(number for run in ended for number in run)))
        place = text + bytes(-len(text) % BLOCK)
        above, slash, name = header.name.rpartition(b"/")
        stored = replace(header, name=above + slash + SPARSE + name, size=len(place) + header.size)
        records = [
            *_records(stored, self._fine),
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", header.name),
            (b"GNU.sparse.realsize", b"%d" % header.real_size),
        ]
        self._extension(sorted(records), header)
        self._write(_block(stored) + place)
        self._padding = -header.size % BLOCK

    def data(self, piece: bytes) -> None:
        """A piece of the current entry's data."""
        self._write(piece)

    def end(self) -> None:
        """Write the end mark."""
        self._pad()
        self._write(END)

    def _pad(self) -> None:
        if self._padding:
            self._write(bytes(self._padding))
            self._padding = 0

    def _extension(self, records: list[tuple[bytes, bytes]], header: Header) -> None:
        body = b"".join(_record(key, value) for key, value in records)
        name = b"PaxHeaders.0/" + (header.name.rstrip(b"/").rpartition(b"/")[2] or b"root")
        own = Header(
            name=_ascii(name)[:_NAME], kind=b"x", mode=0, uid=0, gid=0, size=len(body), mtime=0, link=b"", major=0,
            minor=0, real_size=len(body),
        )  # fmt: skip
        self._write(_block(own))
        self._write(body + bytes(-len(body) % BLOCK))


def _records(header: Header, fine: bool) -> list[tuple[bytes, bytes]]:
    """What the block cannot say, sorted by key."""
    records: list[tuple[bytes, bytes]] = []
    if _split_name(header.name) is None:
        records.append((b"path", header.name))
    if len(header.link) > _NAME or not header.link.isascii():
        records.append((b"linkpath", header.link))
    seconds, rest = divmod(header.mtime, 1_000_000_000)
    for key, value, limit in (
        (b"uid", header.uid, _MAX_ID),
        (b"gid", header.gid, _MAX_ID),
        (b"size", header.size, _MAX_SIZE),
    ):
        if not 0 <= value <= limit:
            records.append((key, b"%d" % value))
    if fine and rest:
        records.append((b"mtime", _fraction(header.mtime)))
    elif not 0 <= seconds <= _MAX_TIME:
        records.append((b"mtime", b"%d" % seconds))
    records += [(XATTR.encode() + key, value) for key, value in header.xattrs.items()]
    return sorted(records)


def _fraction(nanoseconds: int) -> bytes:
    """Seconds with as many digits after the point as there are."""
    seconds, rest = divmod(abs(nanoseconds), 1_000_000_000)
    text = b"%d.%09d" % (seconds, rest)
    return (b"-" if nanoseconds < 0 else b"") + text.rstrip(b"0")


def _record(key: bytes, value: bytes) -> bytes:
    """``length key=value``, where the length counts its own digits."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def _split_name(name: bytes) -> tuple[bytes, bytes] | None:
    """The prefix and name fields for a path; None when it needs a pax header."""
    if not name.isascii():
        return None
    if len(name) <= _NAME:
        return b"", name
    cut = name.rfind(b"/", 0, min(_PREFIX, len(name) - 1) + 1)
    if cut <= 0 or len(name) - cut - 1 > _NAME:
        return None
    return name[:cut], name[cut + 1 :]


def _block(header: Header) -> bytes:
    prefix, name = _split_name(header.name) or (b"", _ascii(header.name)[:_NAME])
    block = FIELDS.pack(
        name,
        b"%07o" % (header.mode & _MAX_ID),
        b"%07o" % _fitting(header.uid, _MAX_ID),
        b"%07o" % _fitting(header.gid, _MAX_ID),
        b"%011o" % _fitting(header.size, _MAX_SIZE),
        b"%011o" % _fitting(header.mtime // 1_000_000_000, _MAX_TIME),
        UNSUMMED,
        header.kind,
        _ascii(header.link)[:_NAME],
        b"ustar",
        b"00",
        b"%07o" % (header.major & _MAX_ID),
        b"%07o" % (header.minor & _MAX_ID),
        prefix,
        b"",
    )
    return block[:148] + b"%06o\0 " % byte_sum(block) + block[156:]


def _fitting(value: int, limit: int) -> int:
    """The value, or 0 where a pax record has it."""
    return value if 0 <= value <= limit else 0


def _ascii(name: bytes) -> bytes:
    return name if name.isascii() else bytes(byte if byte < 128 else 0x3F for byte in name)
