"""Contexts of which the daemon keeps the contents, so that a client sends only those that are new.

The client lists its files with their digests, one line of JSON each: path, mode, seconds, size, the digest of a file or
the target of a link, capabilities; bytes are written as the characters of Latin-1. What is kept is a file of contents,
one after the other, and beside it where each digest begins. The index of a context points into it as into a tar.
"""

import fcntl
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from cove.errors import InvalidArgument
from cove.layers.builds.trees import ContextNode
from cove.layers.tar.reader import Limits, shown
from cove.layers.tree import MAX_DEPTH
from cove.layers.worker.build_jobs import FillContext, ListContext, ListContextDone, ReceiveContextDone

PIECE = 1 << 20
_MISSING = -1
_KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
_LARGEST = 1 << 62


class Known(msgspec.Struct):
    """Where the contents are that are kept: digest to offset. ``boot``: what was written before a crash of the machine
    may not be on the disk, so nothing of another boot is believed.
    """

    boot: str = ""
    offsets: dict[bytes, int] = {}


class _Line(msgspec.Struct, array_like=True):
    path: str
    mode: int
    mtime: int
    size: int
    value: str = ""
    capability: str = ""


_LINE = msgspec.json.Decoder(_Line)
_NODES = msgspec.msgpack.Decoder(list[ContextNode])
_KNOWN = msgspec.msgpack.Decoder(Known)


def compare(job: ListContext, source: int) -> ListContextDone:
    """Raises InvalidArgument naming a bad entry."""
    known = read_known(job.known)
    listing = _Listing(job.limits)
    with open(source, "rb", closefd=False, buffering=PIECE) as lines:
        nodes = [listing.node(line, known) for line in lines]
    missing = _missing(nodes)
    files = list(_files(nodes))
    nodes.insert(0, _top())
    Path(job.index if not missing else job.listing).write_bytes(msgspec.msgpack.encode(nodes))
    return ListContextDone(len(nodes), listing.total, missing, sum(files[number].size for number in missing))


def fill(job: FillContext, source: int) -> ReceiveContextDone:
    """Raises InvalidArgument for contents that are not what the list said."""
    nodes = _NODES.decode(Path(job.listing).read_bytes())
    taken: dict[bytes, int] = {}
    with open(os.open(job.data, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), "wb", buffering=0) as data:
        data.seek(job.begin)
        for node in nodes:
            if node.data == _MISSING:
                if node.digest not in taken:
                    taken[node.digest] = data.tell()
                    _take(data, source, node)
                node.data = taken[node.digest]
    if os.read(source, 1):
        raise InvalidArgument("more contents were sent than the context lacks")
    _add_known(job.known, taken)
    Path(job.index).write_bytes(msgspec.msgpack.encode(nodes))
    return ReceiveContextDone(len(nodes), sum(node.size for node in nodes))


def read_known(path: str) -> Known:
    """What is kept; nothing if it is of another boot, or cannot be read."""
    try:
        known = _KNOWN.decode(Path(path).read_bytes())
    except (OSError, msgspec.DecodeError):
        return Known(_boot())
    return known if known.boot == _boot() else Known(_boot())


def _add_known(path: str, taken: dict[bytes, int]) -> None:
    """Note what was taken, beside what others have noted meanwhile."""
    with open(f"{path}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = read_known(path)
        known.offsets = {**taken, **known.offsets}
        temporary = f"{path}.new"
        Path(temporary).write_bytes(msgspec.msgpack.encode(known))
        os.rename(temporary, path)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _take(data: io.FileIO, source: int, node: ContextNode) -> None:
    """Take a file's contents from the stream. Raises InvalidArgument."""
    checksum, left = hashlib.sha256(), node.size
    while left:
        piece = os.read(source, min(left, PIECE))
        if not piece:
            raise InvalidArgument("the contents of the context are cut short")
        checksum.update(piece)
        left -= len(piece)
        view = memoryview(piece)
        while view:
            view = view[data.write(view) :]
    if checksum.digest() != node.digest:
        raise InvalidArgument(f"{shown(node.path)} changed while it was sent")


def _top() -> ContextNode:
    return ContextNode(b"", 0, stat.S_IFDIR | 0o755, 0, 0, 0, 0, 0, (0, 0), b"", {}, b"")


def _missing(nodes: list[ContextNode]) -> list[int]:
    """The files whose contents are missing, each content once, in the order of files."""
    seen: set[bytes] = set()
    found: list[int] = []
    for number, node in enumerate(_files(nodes)):
        if node.data == _MISSING and node.digest not in seen:
            seen.add(node.digest)
            found.append(number)
    return found


def _files(nodes: list[ContextNode]) -> Iterator[ContextNode]:
    return (node for node in nodes if stat.S_ISREG(node.mode))


class _Listing:
    """The list while it is read: what is said of a path has to fit what was said before."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._directories: set[bytes] = {b""}
        self._paths: set[bytes] = set()
        self.total = 0

    def node(self, text: bytes, known: Known) -> ContextNode:
        try:
            line = _LINE.decode(text)
            path, value = line.path.encode("latin-1"), line.value.encode("latin-1")
            capability = bytes.fromhex(line.capability)
        except (msgspec.DecodeError, UnicodeEncodeError, ValueError) as error:
            raise InvalidArgument(f"the list of the context cannot be read: {error}") from error
        self._check(path, line)
        kind = stat.S_IFMT(line.mode)
        digest = self._digest(path, value) if kind == stat.S_IFREG else b""
        size = line.size if kind == stat.S_IFREG else 0
        self.total += size
        return ContextNode(
            path,
            len(self._paths),
            kind | (line.mode & 0o7777),
            0,
            0,
            line.mtime * 1_000_000_000,
            size,
            (known.offsets.get(digest, _MISSING) if size else 0) if digest else 0,
            (0, 0),
            value if kind == stat.S_IFLNK else b"",
            {b"security.capability": capability} if capability else {},
            digest,
        )

    def _check(self, path: bytes, line: _Line) -> None:
        parts = path.split(b"/")
        if not all(parts) or b"\0" in path or any(part in (b".", b"..") for part in parts):
            raise InvalidArgument(f"{shown(path)} is no path in a context")
        if len(path) > self._limits.path or len(parts) > MAX_DEPTH or max(map(len, parts)) > self._limits.name:
            raise InvalidArgument(f"{shown(path)}: the path is too long")
        if b"/".join(parts[:-1]) not in self._directories or path in self._paths:
            raise InvalidArgument(f"{shown(path)} is not where it belongs in the list of the context")
        if stat.S_IFMT(line.mode) not in _KINDS or not 0 <= line.size < _LARGEST or abs(line.mtime) >= 1 << 33:
            raise InvalidArgument(f"{shown(path)} is nothing that a context can have")
        if len(self._paths) >= self._limits.entries:
            raise InvalidArgument(f"the context has more than {self._limits.entries} entries")
        self._paths.add(path)
        if stat.S_ISDIR(line.mode):
            self._directories.add(path)

    def _digest(self, path: bytes, value: bytes) -> bytes:
        try:
            digest = bytes.fromhex(value.decode("ascii"))
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise InvalidArgument(f"{shown(path)} has no digest")
        return digest
