"""Entries of a layer's tar to inodes: what ``unpack`` does, without a directory, for an image over the tar."""

import errno
import hashlib
import stat
from collections.abc import Iterator

from cove.errors import InvalidArgument
from cove.layers.erofs.inodes import Inode, Inodes, directory, made_of
from cove.layers.tar.header import Header
from cove.layers.tar.reader import Limits, Reader, shown
from cove.layers.tar.stream import ByteStream
from cove.layers.tree import split
from cove.layers.unpack import (
    AUFS_MARKS,
    MAX_ID,
    OPAQUE_WHITEOUT,
    OVERLAY_XATTRS,
    WHITEOUT,
    Unpacked,
    clamped_time,
    named,
)

MOST_ENTRIES = 500_000
"""Inodes are held in memory, about 500 bytes each."""
MAX_MAJOR, MAX_MINOR = (1 << 12) - 1, (1 << 20) - 1
"""Device numbers of the kernel (kdev_t.h)."""


class Unfit(Exception):
    """This tar has what an index cannot say: it has to be unpacked."""


class Indexer:
    """Call ``run`` once; then ``inodes`` are the layer's."""

    def __init__(
        self, pieces: Iterator[bytes] | ByteStream, limits: Limits, devices: bool = True, *, plain_names: bool = False
    ) -> None:
        """``devices``: whether device nodes are made or refused. ``plain_names``: files that are called as whiteouts
        are files, and the data of all are hashed: the tar is no layer.
        """
        self._stream = pieces if isinstance(pieces, ByteStream) else ByteStream(pieces)
        self._limits = limits
        self._devices = devices
        self._plain_names = plain_names
        self.inodes = Inodes()

    def run(self) -> Unpacked:
        """Read to the end. Raises InvalidArgument naming the entry, Unfit."""
        entries = size = 0
        reader = Reader(self._stream, self._limits)
        for entry in reader:
            entries += 1
            if entry.data_runs is not None or entries > MOST_ENTRIES:
                raise Unfit(shown(entry.name))
            with named(entry):
                made = self.add(entry, self._stream.position)
            if self._plain_names and made is not None and entry.kind == b"0":
                made.digest = _hashed(reader)
            size += len(entry.link) if entry.kind == b"2" else entry.real_size
        return Unpacked(entries, size)

    def add(self, entry: Header, position: int) -> Inode | None:
        """Take an entry whose data begin at ``position`` in the tar.

        The inode of a file; None when the entry is anything else. Raises InvalidArgument, OSError.
        """
        parts = split(entry.name)
        if not parts:
            if entry.kind != b"5":
                raise InvalidArgument("names the root and is no directory")
            _dress(self.inodes.top, entry)
            return None
        name = parts[-1]
        if len(name) > self._limits.name:
            raise InvalidArgument(f"name is longer than {self._limits.name} bytes")
        parent = self.inodes.directory(parts[:-1])
        if name.startswith(WHITEOUT) and not self._plain_names:
            self._whiteout(parent, name)
        elif entry.kind == b"5":
            self._directory(parent, name, parts, entry)
        elif entry.kind == b"1":
            self._hard_link(parent, name, parts, entry)
        else:
            return self._other(parent, name, parts, entry, position)
        return None

    def _directory(self, parent: Inode, name: bytes, parts: list[bytes], entry: Header) -> None:
        found = _there(parent, name)
        if found is not None and found.is_whiteout:
            found = self.inodes.make_directory(parent, name)
        elif found is None or found.children is None:
            found = directory()
            self.inodes.put(self._cleared(parent, name, parts), name, found)
        _dress(found, entry)

    def _other(self, parent: Inode, name: bytes, parts: list[bytes], entry: Header, position: int) -> Inode:
        if entry.kind in (b"3", b"4"):
            self._check_device(entry)
        made = made_of(entry, position)
        _dress(made, entry)
        self.inodes.put(self._cleared(parent, name, parts), name, made)
        return made

    def _check_device(self, entry: Header) -> None:
        if not self._devices:
            raise InvalidArgument("device nodes are not allowed here")
        if entry.major > MAX_MAJOR or entry.minor > MAX_MINOR:
            raise InvalidArgument(f"device {entry.major}:{entry.minor} is out of range")

    def _hard_link(self, parent: Inode, name: bytes, parts: list[bytes], entry: Header) -> None:
        target = split(entry.link)
        if not target:
            raise InvalidArgument("hard link to the root")
        try:
            if _there(parent, name) is not None:
                if _there(parent, name) is self.inodes.find(target):
                    return
                parent = self._cleared(parent, name, parts)
            source = self.inodes.find(target)
            if source.children is not None:
                raise PermissionError(errno.EPERM, "Operation not permitted")
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise InvalidArgument(f"hard link to {shown(entry.link)}: {error.strerror}") from error
        source.links += 1
        self.inodes.put(parent, name, source)

    def _whiteout(self, parent: Inode, name: bytes) -> None:
        if name == OPAQUE_WHITEOUT:
            parent.make_opaque()
            return
        if name.startswith(AUFS_MARKS):
            return
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidArgument("invalid whiteout")
        found = _there(parent, hidden)
        if found is None:
            self.inodes.put(parent, hidden, Inode(stat.S_IFCHR))
        elif found.children is not None:  # a whiteout is about lower layers only (image-spec, layer)
            found.make_opaque()

    def _cleared(self, parent: Inode, name: bytes, parts: list[bytes]) -> Inode:
        """The directory to put the entry in, without what an earlier one made there."""
        if _there(parent, name) is None:
            return parent
        self.inodes.remove(parent, name)
        return self.inodes.directory(parts[:-1])


def _hashed(reader: Reader) -> bytes:
    checksum = hashlib.sha256()
    for piece in reader.data():
        checksum.update(piece)
    return checksum.digest()


def _there(parent: Inode, name: bytes) -> Inode | None:
    return (parent.children or {}).get(name)


def _dress(inode: Inode, entry: Header) -> None:
    """Owner, mode, time and extended attributes of the entry."""
    if entry.uid > MAX_ID or entry.gid > MAX_ID:
        raise InvalidArgument(f"owner {entry.uid}:{entry.gid} is out of range")
    inode.uid, inode.gid, inode.mtime = entry.uid, entry.gid, clamped_time(entry)
    if entry.kind != b"2":
        inode.mode = stat.S_IFMT(inode.mode) | entry.mode
    for name, value in entry.xattrs.items():
        if not name.startswith(OVERLAY_XATTRS):
            inode.xattrs[name] = value
