"""A directory tree to another one of this machine, with all that makes it what it is: owners, modes, times, extended
attributes and access control lists, hard links, holes, devices.

Whoever runs may be writing to the source. So a tree is copied while it changes, and once more when it is still
(``since``): the second time only what has changed is, by the time of the kernel that no program can set.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from cove.kernel import file_data
from cove.layers.listing import sorted_names
from cove.layers.tree import open_directory, remove_tree

INLINE = 1 << 20
"""Bytes of a file that is copied at once; longer ones are copied by threads."""
THREADS = 4
AT_ONCE = 64
"""Long files that are open at a time."""
SLACK = 100_000_000
"""Nanoseconds that the time of a change may lie behind the clock, which is read more finely than it is written."""

_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def copy_tree(source: int, target: int, since: int = 0) -> None:
    """Make the directory ``target`` like ``source``, both descriptors that stay the caller's; the umask must be 0.

    ``since``: nanoseconds since the epoch when an earlier copy to ``target`` began; 0: it is empty. Raises OSError.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        copier = _Copier(pool, since - SLACK if since else 0)
        copier.run(source, target)


class _Directory:
    """One that is being copied: what is left of it to do, and where."""

    __slots__ = ("found", "names", "source", "target")

    def __init__(self, source: int, target: int) -> None:
        self.source = source
        self.target = target
        self.found = os.fstat(source)
        for name in map(os.fsdecode, sorted_names(target)):
            if _stat(source, name) is None:
                _remove(target, name)
        self.names = map(os.fsdecode, sorted_names(source))

    def close(self) -> None:
        os.close(self.source)
        os.close(self.target)


class _Copier:
    def __init__(self, pool: ThreadPoolExecutor, since: int) -> None:
        self._pool = pool
        self._since = since
        self._linked: dict[tuple[int, int], tuple[int, int, str]] = {}
        self._copies: list[Future[None]] = []

    def run(self, source: int, target: int) -> None:
        path: list[_Directory] = []
        try:
            path.append(_Directory(open_directory(source, b"."), open_directory(target, b".")))
            while path:
                directory = path[-1]
                name = next(directory.names, None)
                if name is not None:
                    deeper = self._entry(directory, name, target)
                    if deeper is not None:
                        path.append(deeper)
                    continue
                _finish(directory.source, directory.target, directory.found)
                path.pop().close()
            self._wait(0)
        finally:
            for directory in path:
                directory.close()
            self._close_links()

    def _entry(self, directory: _Directory, name: str, top: int) -> _Directory | None:
        """Copy one entry; a directory to go into."""
        try:
            place = os.open(name, _PLACE, dir_fd=directory.source)
        except FileNotFoundError:  # gone since it was listed
            with contextlib.suppress(FileNotFoundError):
                _remove(directory.target, name)
            return None
        try:
            found = os.fstat(place)
            there = _stat(directory.target, name)
            if stat.S_ISDIR(found.st_mode):
                return _descend(directory, name, there)
            if not self._is_same(found, there) or not self._keep_link(found, there):
                if there is not None:
                    _remove(directory.target, name)
                self._make(place, directory.target, name, found)
            return None
        finally:
            os.close(place)

    def _is_same(self, found: os.stat_result, there: os.stat_result | None) -> bool:
        """Whether the earlier copy is still like it."""
        if there is None or not self._since or found.st_ctime_ns >= self._since:
            return False
        return stat.S_IFMT(found.st_mode) == stat.S_IFMT(there.st_mode)

    def _keep_link(self, found: os.stat_result, there: os.stat_result | None) -> bool:
        """Of a file with several names, whether this copy is one of the others' as well."""
        if found.st_nlink < 2 or there is None:
            return True
        first = self._linked.get((found.st_dev, found.st_ino))
        return first is not None and first[1] == there.st_ino

    def _make(self, place: int, parent: int, name: str, found: os.stat_result) -> None:
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self._linked:
            first, _, first_name = self._linked[key]
            os.link(first_name, name, src_dir_fd=first, dst_dir_fd=parent, follow_symlinks=False)
            return
        if stat.S_ISREG(found.st_mode):
            self._file(place, parent, name, found)
        else:
            _make_other(place, parent, name, found)
        if found.st_nlink > 1:
            inode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_ino
            self._linked[key] = (os.dup(parent), inode, name)

    def _file(self, place: int, parent: int, name: str, found: os.stat_result) -> None:
        source = os.open(f"/proc/self/fd/{place}", _READ)
        try:
            target = os.open(name, _NEW, 0o600, dir_fd=parent)
        except BaseException:
            os.close(source)
            raise
        if found.st_size <= INLINE:
            _fill(source, target, found)
            return
        self._wait(AT_ONCE)
        self._copies.append(self._pool.submit(_fill, source, target, found))

    def _wait(self, most: int) -> None:
        """Until no more than so many copies are under way. Raises what one of them has."""
        while len(self._copies) > most:
            self._copies.pop(0).result()

    def _close_links(self) -> None:
        for copy in self._copies:
            copy.exception()
        for descriptor, _, _ in self._linked.values():
            os.close(descriptor)


def _descend(directory: _Directory, name: str, there: os.stat_result | None) -> _Directory | None:
    if there is not None and not stat.S_ISDIR(there.st_mode):
        _remove(directory.target, name)
        there = None
    if there is None:
        os.mkdir(name, 0o700, dir_fd=directory.target)
    try:
        source = open_directory(directory.source, os.fsencode(name))
    except (FileNotFoundError, NotADirectoryError):  # another is in its place since it was looked at
        os.rmdir(name, dir_fd=directory.target)
        return None
    return _Directory(source, open_directory(directory.target, os.fsencode(name)))


def _fill(source: int, target: int, found: os.stat_result) -> None:
    """Both are closed."""
    try:
        file_data.copy(source, target, found.st_size)
        _finish(source, target, found)
    finally:
        os.close(source)
        os.close(target)


def _finish(source: int, target: int, found: os.stat_result) -> None:
    """Owner, mode, attributes and times of a file or directory, in an order in which none undoes another."""
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    kept = set(os.listxattr(source))
    for name in set(os.listxattr(target)) - kept:
        os.removexattr(target, name)
    for name in kept:
        os.setxattr(target, name, os.getxattr(source, name))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))


def _make_other(place: int, parent: int, name: str, found: os.stat_result) -> None:
    """A link, fifo, socket or device."""
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink("", dir_fd=place), name, dir_fd=parent)
    else:
        os.mknod(name, found.st_mode, found.st_rdev, dir_fd=parent)
    os.chown(name, found.st_uid, found.st_gid, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=parent)
    source, target = f"/proc/self/fd/{place}", f"/proc/self/fd/{parent}/{name}"
    for attribute in _attributes(source):
        os.setxattr(target, attribute, os.getxattr(source, attribute), follow_symlinks=False)
    os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=parent, follow_symlinks=False)


def _attributes(path: str) -> Iterator[str]:
    """Of what is no file: a link has none of its own that could be read by this way."""
    with contextlib.suppress(OSError):
        yield from os.listxattr(path)


def _stat(parent: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _remove(parent: int, name: str) -> None:
    if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        remove_tree(parent, os.fsencode(name))
    else:
        os.unlink(name, dir_fd=parent)
