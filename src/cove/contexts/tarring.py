"""A context as a tar, piece by piece, as the stock client makes it: owned by root, times in whole seconds."""

import os
import stat
from collections.abc import Iterable, Iterator

from cove.contexts.walking import Entry
from cove.errors import InvalidArgument

PIECE = 1 << 20
BLOCK = 512
_PACKED = 1 << 16
"""Small files are sent together, so that each does not cost a write of its own."""

_NAME = 100
_NUMBERS = b"%07o\0" + b"0000000\0" * 2 + b"%011o\0" + b"%011o\0"
_ZEROS = bytes(BLOCK)
_LARGEST = 0o77777777777


def tar_pieces(entries: Iterable[Entry], extra: Iterable[tuple[str, bytes]] = ()) -> Iterator[bytes]:
    """The bytes of a tar. ``extra``: names and contents of files to add.

    Raises InvalidArgument for a file that changes meanwhile.
    """
    packed = bytearray()
    for entry in entries:
        packed += header(entry)
        if entry.is_file and entry.status.st_size:
            for piece in contents(entry):
                packed += piece
                if len(packed) >= _PACKED:
                    yield bytes(packed)
                    packed.clear()
            packed += _ZEROS[: -entry.status.st_size % BLOCK]
        elif len(packed) >= _PACKED:
            yield bytes(packed)
            packed.clear()
    for name, content in extra:
        packed += _block(os.fsencode(name), stat.S_IFREG | 0o600, len(content), 0, b"")
        packed += content + _ZEROS[: -len(content) % BLOCK]
    yield bytes(packed) + _ZEROS * 2


def contents(entry: Entry) -> Iterator[bytes]:
    """The bytes of a file, as many as stat(2) said. Raises InvalidArgument when there are fewer, or more."""
    left = entry.status.st_size
    try:
        with open(entry.place, "rb", buffering=0, opener=_opener) as file:
            while left:
                piece = file.read(min(left, PIECE))
                if not piece:
                    raise _changed(entry)
                left -= len(piece)
                yield piece
            if file.read(1):
                raise _changed(entry)
    except OSError as error:
        raise InvalidArgument(f"error from sender: open {entry.place}: {(error.strerror or '').lower()}") from error


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)


def _changed(entry: Entry) -> InvalidArgument:
    return InvalidArgument(f"{entry.place} changed while it was read")


def header(entry: Entry) -> bytes:
    """The header blocks of an entry."""
    name = os.fsencode(entry.path) + (b"/" if entry.is_directory else b"")
    size = entry.status.st_size if entry.is_file else 0
    link = os.fsencode(entry.target)
    records = _records(name, size, entry.status.st_mtime_ns // 1_000_000_000, link, entry.capability)
    block = _block(name[:_NAME], entry.status.st_mode, size, entry.status.st_mtime_ns // 1_000_000_000, link[:_NAME])
    return records + block


def _records(name: bytes, size: int, mtime: int, link: bytes, capability: bytes) -> bytes:
    """A pax header for what the block cannot say; nothing as a rule."""
    said = {b"path": name} if len(name) > _NAME or not name.isascii() else {}
    if len(link) > _NAME or not link.isascii():
        said[b"linkpath"] = link
    if size > _LARGEST:
        said[b"size"] = b"%d" % size
    if not 0 <= mtime <= _LARGEST:
        said[b"mtime"] = b"%d" % mtime
    if capability:
        said[b"SCHILY.xattr.security.capability"] = capability
    if not said:
        return b""
    body = b"".join(_record(key, value) for key, value in said.items())
    return _block(b"PaxHeaders.0", 0, len(body), 0, b"", b"x") + body + _ZEROS[: -len(body) % BLOCK]


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + len(str(len(rest)))
    return b"%d%s" % (len(rest) + len(str(length)), rest)


def _block(name: bytes, mode: int, size: int, mtime: int, link: bytes, kind: bytes = b"") -> bytes:
    kind = kind or {stat.S_IFDIR: b"5", stat.S_IFLNK: b"2"}.get(stat.S_IFMT(mode), b"0")
    numbers = _NUMBERS % (mode & 0o7777, size if size <= _LARGEST else 0, mtime if 0 <= mtime <= _LARGEST else 0)
    head = name.ljust(_NAME, b"\0") + numbers
    tail = kind + link.ljust(_NAME, b"\0") + b"ustar\x0000"
    return (head + b"%06o\0 " % (sum(head) + sum(tail) + 8 * 0x20) + tail).ljust(BLOCK, b"\0")
