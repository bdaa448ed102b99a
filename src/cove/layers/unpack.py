"""Entries of a layer's tar to an overlay directory.

Whiteouts become overlayfs' own marks. What a directory is given (owner, mode, xattrs, time) is set when all entries are
there, since writing into it would change its time again.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cove.errors import Internal, InvalidArgument
from cove.layers.tar.header import Header
from cove.layers.tar.reader import Limits, Reader, shown
from cove.layers.tar.stream import ByteStream
from cove.layers.tree import Tree, make_directory, open_directory, set_opaque, split

WHITEOUT = b".wh."
OPAQUE_WHITEOUT = b".wh..wh..opq"
AUFS_MARKS = b".wh..wh."
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OVERLAY_XATTRS = (b"trusted.overlay.", b"user.overlay.")
_MAX_TIME = (1 << 63) - 1
MAX_ID = (1 << 32) - 2
_MACHINE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE))


@dataclass(frozen=True, slots=True)
class Unpacked:
    """``size``: bytes of all files and symbolic links, as Docker counts a layer's size."""

    entries: int
    size: int


def unpack(pieces: Iterator[bytes], top: int, limits: Limits, devices: bool = True) -> Unpacked:
    """Unpack a tar stream into the empty directory that ``top`` is a descriptor of; the umask must be 0.

    ``devices``: whether device nodes are made or refused. Raises InvalidArgument naming the entry, and Internal when
    the machine fails (no space left); then the directory is half full.
    """
    unpacker = Unpacker(top, Reader(ByteStream(pieces), limits), limits, devices)
    try:
        return unpacker.run()
    finally:
        unpacker.close()


class Unpacker:
    """Call ``run`` once and ``close`` after it."""

    def __init__(self, top: int, reader: Reader, limits: Limits, devices: bool) -> None:
        self._top = top
        self._tree = Tree(top)
        self._reader = reader
        self._limits = limits
        self._devices = devices
        self._directories: dict[bytes, Header] = {}

    def close(self) -> None:
        self._tree.close()

    def run(self) -> Unpacked:
        entries = size = 0
        for entry in self._reader:
            with named(entry):
                self._add(entry)
            entries += 1
            size += len(entry.link) if entry.kind == b"2" else entry.real_size
        for path, entry in self._directories.items():
            with named(entry):
                self._finish(path, entry)
        return Unpacked(entries, size)

    def _add(self, entry: Header) -> None:
        parts = split(entry.name)
        if not parts:
            if entry.kind != b"5":
                raise InvalidArgument("names the root and is no directory")
            self._directories[b""] = entry
            return
        self._check_name(parts[-1])
        parent = self._tree.parent(parts)
        if parts[-1].startswith(WHITEOUT):
            self._whiteout(parent, parts[-1])
        else:
            self._place(parent, parts, entry)

    def _check_name(self, name: bytes) -> None:
        if len(name) > self._limits.name:
            raise InvalidArgument(f"name is longer than {self._limits.name} bytes")

    def _place(self, parent: int, parts: list[bytes], entry: Header) -> None:
        name = parts[-1]
        if entry.kind == b"0":
            self._file(parent, name, parts, entry)
        elif entry.kind == b"5":
            self._directory(parent, name, parts, entry)
        else:
            self._other(parent, name, parts, entry)

    def _file(self, parent: int, name: bytes, parts: list[bytes], entry: Header) -> None:
        try:
            file = os.open(name, _NEW_FILE, entry.mode, dir_fd=parent)
        except FileExistsError:
            parent = self._replace(parts)
            file = os.open(name, _NEW_FILE, entry.mode, dir_fd=parent)
        try:
            if entry.data_runs is not None:
                _write_sparse(file, self._reader, entry)
            elif entry.size:
                self._reader.send(file)
            _own(file, entry)
            os.utime(file, ns=_times(entry))
        finally:
            os.close(file)

    def _directory(self, parent: int, name: bytes, parts: list[bytes], entry: Header) -> None:
        try:
            make_directory(parent, name, entry.mode & 0o777)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                os.mkdir(name, entry.mode & 0o777, dir_fd=self._replace(parts))
        path = b"/".join(parts)
        self._directories.pop(path, None)  # the last of several comes last
        self._directories[path] = entry

    def _other(self, parent: int, name: bytes, parts: list[bytes], entry: Header) -> None:
        try:
            self._make(parent, name, entry)
        except FileExistsError:
            if entry.kind == b"1" and self._is_same(parent, name, entry):
                return
            parent = self._replace(parts)
            self._make(parent, name, entry)
        if entry.kind != b"1":
            _own_path(parent, name, entry)

    def _make(self, parent: int, name: bytes, entry: Header) -> None:
        kind = entry.kind
        if kind == b"2":
            os.symlink(entry.link, name, dir_fd=parent)
        elif kind == b"1":
            self._hard_link(parent, name, entry)
        elif kind == b"6":
            os.mkfifo(name, entry.mode, dir_fd=parent)
        elif not self._devices:
            raise InvalidArgument("device nodes are not allowed here")
        else:
            form = stat.S_IFCHR if kind == b"3" else stat.S_IFBLK
            if max(entry.major, entry.minor) > MAX_ID:
                raise InvalidArgument(f"device {entry.major}:{entry.minor} is out of range")
            os.mknod(name, form | entry.mode, os.makedev(entry.major, entry.minor), dir_fd=parent)

    def _hard_link(self, parent: int, name: bytes, entry: Header) -> None:
        target = self._target(entry)
        held = os.dup(parent)  # looking up the target may close what the cache held
        try:
            source = self._tree.directory(target[:-1], make=False)
            os.link(target[-1], name, src_dir_fd=source, dst_dir_fd=held, follow_symlinks=False)
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            raise InvalidArgument(f"hard link to {shown(entry.link)}: {error.strerror}") from error
        finally:
            os.close(held)

    def _is_same(self, parent: int, name: bytes, entry: Header) -> bool:
        """Whether the link is there already: replacing it would remove what it leads to."""
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        target = self._target(entry)
        try:
            source = self._tree.directory(target[:-1], make=False)
            there = os.stat(target[-1], dir_fd=source, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (found.st_dev, found.st_ino) == (there.st_dev, there.st_ino)

    def _target(self, entry: Header) -> list[bytes]:
        target = split(entry.link)
        if not target:
            raise InvalidArgument("hard link to the root")
        return target

    def _whiteout(self, parent: int, name: bytes) -> None:
        if name == OPAQUE_WHITEOUT:
            set_opaque(parent)
            return
        if name.startswith(AUFS_MARKS):  # aufs' own bookkeeping
            return
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidArgument("invalid whiteout")
        try:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=parent)
        except FileExistsError:
            # A whiteout is about lower layers only; what this layer has there stays (image-spec, layer).
            if stat.S_ISDIR(os.stat(hidden, dir_fd=parent, follow_symlinks=False).st_mode):
                _make_opaque(parent, hidden)

    def _replace(self, parts: list[bytes]) -> int:
        """Remove what an earlier entry made there; the parent's descriptor."""
        path = b"/".join(parts)
        below = path + b"/"
        for known in [known for known in self._directories if known == path or known.startswith(below)]:
            del self._directories[known]
        return self._tree.remove(parts)

    def _finish(self, path: bytes, entry: Header) -> None:
        parts = path.split(b"/") if path else []
        try:
            directory = open_directory(self._tree.directory(parts[:-1], make=False), parts[-1] if parts else b".")
        except (FileNotFoundError, NotADirectoryError):  # a later entry replaced it by another way
            return
        try:
            found = os.fstat(directory)
            if (entry.uid, entry.gid) != (found.st_uid, found.st_gid):
                _chown(directory, entry)
            os.fchmod(directory, entry.mode)
            _set_xattrs(directory, entry, follow=True)
            os.utime(directory, ns=_times(entry))
        finally:
            os.close(directory)


@contextmanager
def named(entry: Header) -> Iterator[None]:
    """Put the entry's name in front of what goes wrong."""
    try:
        yield
    except InvalidArgument as error:
        raise InvalidArgument(f"{shown(entry.name)}: {error.message}") from error
    except OSError as error:
        kind = Internal if error.errno in _MACHINE else InvalidArgument
        raise kind(f"{shown(entry.name)}: {error.strerror}") from error


def _own(file: int, entry: Header) -> None:
    if (entry.uid, entry.gid) != (os.geteuid(), os.getegid()):
        _chown(file, entry)
        if entry.mode & 0o6000:  # chown takes these away
            os.fchmod(file, entry.mode)
    if entry.xattrs:
        _set_xattrs(file, entry, follow=True)


def _own_path(parent: int, name: bytes, entry: Header) -> None:
    if (entry.uid, entry.gid) != (os.geteuid(), os.getegid()):
        _check_ids(entry)
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.mode & 0o6000 and entry.kind != b"2":
            os.chmod(name, entry.mode, dir_fd=parent)
    if entry.xattrs:
        _set_xattrs(b"/proc/self/fd/%d/%s" % (parent, name), entry, follow=False)
    os.utime(name, ns=_times(entry), dir_fd=parent, follow_symlinks=False)


def _chown(file: int, entry: Header) -> None:
    _check_ids(entry)
    os.fchown(file, entry.uid, entry.gid)


def _check_ids(entry: Header) -> None:
    if entry.uid > MAX_ID or entry.gid > MAX_ID:
        raise InvalidArgument(f"owner {entry.uid}:{entry.gid} is out of range")


def _set_xattrs(target: int | bytes, entry: Header, follow: bool) -> None:
    for name, value in entry.xattrs.items():
        if name.startswith(OVERLAY_XATTRS):  # would tell overlayfs what to do
            continue
        try:
            os.setxattr(target, name, value, follow_symlinks=follow)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise


def _make_opaque(parent: int, name: bytes) -> None:
    directory = open_directory(parent, name)
    try:
        set_opaque(directory)
    finally:
        os.close(directory)


def _times(entry: Header) -> tuple[int, int]:
    time = clamped_time(entry)
    return time, time


def clamped_time(entry: Header) -> int:
    """The entry's time in nanoseconds, not before 1970."""
    return min(max(entry.mtime, 0), _MAX_TIME)


def _write_sparse(file: int, reader: Reader, entry: Header) -> None:
    os.ftruncate(file, entry.real_size)
    for offset, length in entry.data_runs or ():
        os.lseek(file, offset, os.SEEK_SET)
        reader.send(file, length)
