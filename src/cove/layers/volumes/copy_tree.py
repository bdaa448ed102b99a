"""A directory tree into another directory of the host, with all that a file has: owners, modes, times, xattrs (and so
ACLs and capabilities), hard links, holes, devices.

Both sides are walked by descriptor. What is mounted below the source stays out.
"""

import errno
import os
import stat

from cove.layers.listing import sorted_names

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TARGET = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALL = 1 << 16
_CHUNK = 1 << 26
_PERMISSIONS = 0o7777
_UNKNOWN = -1


def copy_tree(source: int, target: int) -> None:
    """Copy what is in the directory ``source`` into the empty directory ``target``, and give that its attributes.

    The umask must be 0. Raises OSError; then ``target`` is half full.
    """
    _Copy(os.fstat(source).st_dev, target).directory(source, target, "")


class _Copy:
    """``device``: of the source. ``top``: the target, below which names of files with several are remembered."""

    def __init__(self, device: int, top: int) -> None:
        self._device = device
        self._top = top
        self._links: dict[int, str] = {}

    def directory(self, source: int, target: int, path: str) -> None:
        for name in map(os.fsdecode, sorted_names(source)):
            found = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                self._file(source, target, name, found, path)
            elif not stat.S_ISDIR(found.st_mode):
                _other(source, target, name, found)
            elif found.st_dev == self._device:
                self._below(source, target, name, path)
        _give(source, target, os.fstat(source), _UNKNOWN)

    def _below(self, source: int, target: int, name: str, path: str) -> None:
        os.mkdir(name, 0o700, dir_fd=target)
        theirs = os.open(name, _DIRECTORY, dir_fd=source)
        ours = os.open(name, _DIRECTORY, dir_fd=target)
        try:
            self.directory(theirs, ours, f"{path}{name}/")
        finally:
            os.close(theirs)
            os.close(ours)

    def _file(self, source: int, target: int, name: str, found: os.stat_result, path: str) -> None:
        if found.st_nlink > 1:
            first = self._links.setdefault(found.st_ino, path + name)
            if first != path + name:
                os.link(first, name, src_dir_fd=self._top, dst_dir_fd=target, follow_symlinks=False)
                return
        theirs = os.open(name, _SOURCE, dir_fd=source)
        try:
            mode = found.st_mode & 0o777
            ours = os.open(name, _TARGET, mode, dir_fd=target)
            try:
                _copy_data(theirs, ours, found)
                _give(theirs, ours, found, mode)
            finally:
                os.close(ours)
        finally:
            os.close(theirs)


def _copy_data(source: int, target: int, found: os.stat_result) -> None:
    size = found.st_size
    if size <= _SMALL:
        if size:
            os.write(target, os.read(source, _SMALL))
    elif found.st_blocks * 512 < size:
        _copy_runs(source, target, size)
    else:
        _copy_run(source, target, 0, size)


def _copy_runs(source: int, target: int, size: int) -> None:
    os.ftruncate(target, size)
    end = 0
    while end < size:
        try:
            begin = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(source, begin, os.SEEK_HOLE)
        _copy_run(source, target, begin, end)


def _copy_run(source: int, target: int, begin: int, end: int) -> None:
    """By sendfile(2): copy_file_range(2) does not take two file systems, and an image is always another one."""
    os.lseek(target, begin, os.SEEK_SET)
    while begin < end:
        copied = os.sendfile(target, source, begin, min(end - begin, _CHUNK))
        if not copied:
            return
        begin += copied


def _give(source: int, target: int, found: os.stat_result, mode: int) -> None:
    """Attributes of a file or directory; ``mode``: the permissions it has. The owner first, as that clears bits."""
    if found.st_uid or found.st_gid:
        os.fchown(target, found.st_uid, found.st_gid)
    if found.st_mode & _PERMISSIONS != mode:
        os.fchmod(target, found.st_mode & _PERMISSIONS)
    for name in _xattrs(source):
        os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _xattrs(source: int) -> list[str]:
    try:
        return os.listxattr(source)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise


def _other(source: int, target: int, name: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target)
    if found.st_uid or found.st_gid:
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)
