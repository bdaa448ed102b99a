"""The files of a layer in memory, as the entries of its tar make them; the data stays in the tar.

The same rules as ``unpack``'s, which makes directories of the host: links in the middle of a path lead where they would
lead inside a container, and whiteouts become overlayfs' own marks.
"""

import errno
import os
import stat
from dataclasses import dataclass, field

from cove.layers.tar.header import Header
from cove.layers.tree import MAX_DEPTH, MAX_LINKS, OPAQUE

_KINDS = {b"0": stat.S_IFREG, b"2": stat.S_IFLNK, b"3": stat.S_IFCHR, b"4": stat.S_IFBLK, b"6": stat.S_IFIFO}


@dataclass(slots=True, eq=False)
class Inode:
    """``mode``: with the kind of file. ``mtime``: nanoseconds. ``data``: where a file's data begin in the tar.

    ``target``: of a symbolic link. ``children``: of a directory. ``links``: names of a file; of a directory, 2 and
    the directories in it. ``digest``: SHA-256 of a file's data, where somebody has asked for it.
    """

    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    data: int = 0
    device: tuple[int, int] = (0, 0)
    target: bytes = b""
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    children: dict[bytes, "Inode"] | None = None
    links: int = 1
    digest: bytes = b""

    @property
    def is_whiteout(self) -> bool:
        return stat.S_ISCHR(self.mode) and self.device == (0, 0)

    def make_opaque(self) -> None:
        """Hide what lower layers have in this directory."""
        self.xattrs[OPAQUE] = b"y"


def directory(mode: int = 0o755) -> Inode:
    """A new directory with nothing in it."""
    return Inode(stat.S_IFDIR | mode, children={}, links=2)


class Inodes:
    """The tree below ``top``. Paths are components, as ``tree.split`` gives them."""

    def __init__(self) -> None:
        self.top = directory()
        self._reached: dict[bytes, Inode] = {}

    def directory(self, parts: list[bytes], make: bool = True) -> Inode:
        """The directory at a path, links followed; made with mode 0755 where missing.

        Raises FileNotFoundError unless ``make``, NotADirectoryError, OSError (ELOOP).
        """
        if not parts:
            return self.top
        key = b"/".join(parts)
        found = self._reached.get(key)
        if found is None:
            found = self._reached[key] = self._walk(parts, make)
        return found

    def put(self, parent: Inode, name: bytes, new: Inode) -> None:
        """Give a new inode, or a further name of one, a place where nothing is."""
        _children(parent)[name] = new
        if new.children is not None:
            parent.links += 1

    def remove(self, parent: Inode, name: bytes) -> None:
        """Remove what is there, a whole tree too."""
        gone = _children(parent).pop(name)
        if gone.children is not None:
            parent.links -= 1
            _release(gone)
        else:
            gone.links -= 1
        if gone.children is not None or gone.target:
            self._reached.clear()  # paths that were walked may lead to what is gone

    def find(self, parts: list[bytes]) -> Inode:
        """What is at a path, a last link not followed. Raises FileNotFoundError, NotADirectoryError."""
        found = _children(self.directory(parts[:-1], make=False)).get(parts[-1])
        if found is None:
            raise _failure(errno.ENOENT)
        return found

    def _walk(self, parts: list[bytes], make: bool) -> Inode:
        path = [self.top]
        todo = parts[::-1]
        links = 0
        while todo:
            part = todo.pop()
            if part == b"..":
                del path[max(len(path) - 1, 1) :]
                continue
            found = self._step(path[-1], part, make)
            if found.children is not None:
                path.append(found)
            else:
                links += 1
                if found.target.startswith(b"/"):
                    del path[1:]
                todo += [step for step in reversed(found.target.split(b"/")) if step not in (b"", b".")]
            if links > MAX_LINKS or len(path) > MAX_DEPTH:
                raise _failure(errno.ELOOP)
        return path[-1]

    def _step(self, parent: Inode, name: bytes, make: bool) -> Inode:
        """The directory or link of this name; a directory is made where there is nothing or a whiteout."""
        found = _children(parent).get(name)
        if found is not None and not found.is_whiteout:
            if found.children is None and not found.target:
                raise _failure(errno.ENOTDIR)
            return found
        if not make:
            raise _failure(errno.ENOENT if found is None else errno.ENOTDIR)
        return self.make_directory(parent, name)

    def make_directory(self, parent: Inode, name: bytes) -> Inode:
        """A new directory where nothing or a whiteout is; in place of a whiteout it is opaque."""
        made = directory()
        if _children(parent).pop(name, None) is not None:
            made.make_opaque()
        self.put(parent, name, made)
        return made


def made_of(entry: Header, data: int) -> Inode:
    """The inode of an entry that is neither a directory nor a hard link; ``data``: where its data begin in the tar.

    Raises FileNotFoundError for a link to nowhere, which Linux does not make.
    """
    inode = Inode(_KINDS[entry.kind] | (0o777 if entry.kind == b"2" else entry.mode))
    if entry.kind == b"0":
        inode.size, inode.data = entry.real_size, data
    elif entry.kind == b"2":
        if not entry.link:
            raise _failure(errno.ENOENT)
        inode.target, inode.size = entry.link, len(entry.link)
    elif entry.kind in (b"3", b"4"):
        inode.device = (entry.major, entry.minor)
    return inode


def _children(inode: Inode) -> dict[bytes, Inode]:
    if inode.children is None:
        raise _failure(errno.ENOTDIR)
    return inode.children


def _release(gone: Inode) -> None:
    """A tree is removed: its files have one name less."""
    todo = [gone]
    while todo:
        for child in _children(todo.pop()).values():
            child.links -= 1
            if child.children is not None:
                todo.append(child)


def _failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))
