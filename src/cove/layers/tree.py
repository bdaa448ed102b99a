"""A directory tree that is written below one directory, and never outside of it.

Every path is walked one component at a time with ``O_NOFOLLOW`` from a descriptor that is inside the tree. A symbolic
link in the middle of a path is read and walked likewise, with the tree's top as its root, so that it leads where it
would lead inside a container; nobody else writes to the tree meanwhile.
"""

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from cove.errors import InvalidArgument

CACHED = 256
"""Directories kept open; well below the usual limit of 1024 descriptors."""
MAX_LINKS = 40
MAX_DEPTH = 256
"""Components of a path in an archive, and of what links in it lead to: a descriptor each while they are walked."""
OPAQUE = b"trusted.overlay.opaque"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def split(path: bytes) -> list[bytes]:
    """The components of a path taken from an archive, cleaned. Raises InvalidArgument when it leads out of the top."""
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part in (b"", b"."):
            continue
        if part != b"..":
            parts.append(part)
        elif parts:
            parts.pop()
        elif not path.startswith(b"/"):
            raise InvalidArgument("path leads out of the root")
    if len(parts) > MAX_DEPTH:
        raise InvalidArgument(f"path has more than {MAX_DEPTH} components")
    return parts


class Tree:
    """``top``: an open descriptor of the directory, which stays the caller's."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._open: OrderedDict[bytes, int] = OrderedDict()

    def close(self) -> None:
        """Close what is cached."""
        while self._open:
            os.close(self._open.popitem()[1])

    def parent(self, parts: list[bytes]) -> int:
        """A descriptor of the directory that holds the last of ``parts``; made with mode 0755 where missing.

        It is valid until the next call. Raises OSError, InvalidArgument.
        """
        return self.directory(parts[:-1])

    def directory(self, parts: list[bytes], make: bool = True) -> int:
        """As ``parent``, of the directory itself; unless ``make``, FileNotFoundError where it is missing."""
        if not parts:
            return self._top
        key = b"/".join(parts)
        found = self._open.get(key)
        if found is not None:
            self._open.move_to_end(key)
            return found
        return self._keep(key, self._reach(parts, make))

    def remove(self, parts: list[bytes]) -> int:
        """Remove what is there, a whole tree too; the parent's descriptor."""
        parent, name = self.parent(parts), parts[-1]
        mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            remove_tree(parent, name)
        else:
            os.unlink(name, dir_fd=parent)
        if stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
            self.close()  # cached descriptors may lead to what is gone
        return self.parent(parts)

    def _keep(self, key: bytes, descriptor: int) -> int:
        if len(self._open) >= CACHED:
            os.close(self._open.popitem(last=False)[1])
        self._open[key] = descriptor
        return descriptor

    def _reach(self, parts: list[bytes], make: bool) -> int:
        above = self._open.get(b"/".join(parts[:-1])) if len(parts) > 1 else self._top
        if above is not None:
            try:
                return _enter(above, parts[-1], make)
            except NotADirectoryError:
                pass
        return self._walk(parts, make)

    def _walk(self, parts: list[bytes], make: bool) -> int:
        path = [os.dup(self._top)]
        todo = parts[::-1]
        links = 0
        try:
            while todo:
                part = todo.pop()
                if part == b"..":
                    _rise(path, max(len(path) - 1, 1))
                    continue
                try:
                    path.append(_enter(path[-1], part, make))
                except NotADirectoryError:
                    links += 1
                    target = _link_target(path[-1], part)
                    if target.startswith(b"/"):
                        _rise(path, 1)
                    todo += [step for step in reversed(target.split(b"/")) if step not in (b"", b".")]
                if links > MAX_LINKS or len(path) > MAX_DEPTH:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            return path.pop()
        finally:
            _rise(path, 0)


def _rise(path: list[int], depth: int) -> None:
    while len(path) > depth:
        os.close(path.pop())


def is_whiteout(found: os.stat_result) -> bool:
    """Whether this is overlayfs' mark for "removed": a character device 0:0 (overlayfs.rst, whiteouts)."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def set_opaque(directory: int) -> None:
    """Hide what lower layers have in this directory (overlayfs.rst, opaque directories)."""
    os.setxattr(directory, OPAQUE, b"y")


def make_directory(parent: int, name: bytes, mode: int) -> None:
    """Make a directory where nothing or a whiteout is; in place of a whiteout it is opaque. Raises FileExistsError."""
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        if not is_whiteout(os.stat(name, dir_fd=parent, follow_symlinks=False)):
            raise
        os.unlink(name, dir_fd=parent)
        os.mkdir(name, mode, dir_fd=parent)
        made = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            set_opaque(made)
        finally:
            os.close(made)


@contextmanager
def opened(path: str) -> Iterator[int]:
    """A directory of the host by its path, no link to one. Raises OSError."""
    descriptor = os.open(path, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_directory(parent: int, name: bytes) -> int:
    """Open a directory itself, no link to one. Raises OSError."""
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _enter(parent: int, name: bytes, make: bool) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
    except NotADirectoryError:
        if not is_whiteout(os.stat(name, dir_fd=parent, follow_symlinks=False)):
            raise
    make_directory(parent, name, 0o755)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _link_target(parent: int, name: bytes) -> bytes:
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        raise


def remove_tree(parent: int, name: bytes) -> None:
    """Remove a directory and all below it, without recursion: a hostile tree may be deeper than Python's stack."""
    path = [(os.open(name, _DIRECTORY, dir_fd=parent), name)]
    try:
        while path:
            directory, own = path[-1]
            deeper = _empty(directory)
            if deeper is not None:
                path.append((os.open(deeper, _DIRECTORY, dir_fd=directory), deeper))
                continue
            path.pop()
            os.close(directory)
            os.rmdir(own, dir_fd=path[-1][0] if path else parent)
    finally:
        for directory, _ in path:
            os.close(directory)


def _empty(directory: int) -> bytes | None:
    """Unlink all but directories; one of those that are left."""
    left = None
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                left = os.fsencode(entry.name)
            else:
                os.unlink(entry.name, dir_fd=directory)
    return left
