"""Trees of files that a build copies from and looks into: a context that lies in a tar, or the layers of an image.

A tree does not change while it is read. Paths are components, canonical: what ``resolve`` gives, no link in them but
perhaps the last.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from cove.errors import InvalidArgument, NotFound
from cove.kernel import layer_images, overlay, paths
from cove.layers.erofs.inodes import Inode, Inodes
from cove.layers.tar.reader import shown
from cove.layers.tree import MAX_DEPTH, MAX_LINKS

PIECE = 1 << 18
_PLACE = os.O_PATH | os.O_NOFOLLOW
_KEPT_XATTRS = (b"user.", b"security.capability")

Parts = tuple[bytes, ...]


@dataclass(slots=True)
class Found:
    """What is at a path. ``mode``: with the kind of file. ``mtime``: nanoseconds. ``target``: of a symbolic link.

    ``identity``: the same for all names of one file, 0 when it has one name. ``device``: major and minor.
    """

    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    identity: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


class Tree(Protocol):
    """Every method raises OSError for what the machine is to blame for."""

    def look(self, parts: Parts) -> Found | None:
        """What is there, a last link not followed; None when there is nothing."""

    def names(self, parts: Parts) -> list[bytes]:
        """The names in a directory, sorted."""

    def data(self, parts: Parts) -> Iterator[bytes]:
        """The bytes of a file."""

    def digest(self, parts: Parts) -> bytes:
        """The SHA-256 of the bytes of a file."""

    def close(self) -> None:
        """Let go of it."""


def resolve(tree: Tree, parts: list[bytes], *, follow: bool = True) -> tuple[list[bytes], Found | None]:
    """Where a path leads inside the tree, every link followed but, unless ``follow``, the last; and what is there.

    What does not exist stays as it is named. Raises InvalidArgument for links that lead in circles, and for a path
    through something that is no directory.
    """
    done: list[bytes] = []
    todo = [part for part in reversed(parts) if part not in (b"", b".")]
    links = 0
    found = tree.look(())
    while todo:
        part = todo.pop()
        if part == b"..":
            del done[-1:]
            continue
        if found is not None and done and not found.is_directory and not found.is_link:
            raise InvalidArgument(f"{shown(b'/' + b'/'.join(done))}: not a directory")
        found = tree.look((*done, part))
        if found is None or not found.is_link or not (todo or follow):
            done.append(part)
            continue
        links += 1
        if links > MAX_LINKS or len(todo) > MAX_DEPTH:
            raise InvalidArgument(f"{shown(b'/' + b'/'.join([*done, part]))}: too many levels of symbolic links")
        if found.target.startswith(b"/"):
            done.clear()
        todo += [step for step in reversed(found.target.split(b"/")) if step not in (b"", b".")]
    return done, tree.look(tuple(done))


class ContextNode(msgspec.Struct, array_like=True):
    """An inode of a context at one of its paths. ``number`` tells the inodes apart."""

    path: bytes
    number: int
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    data: int
    device: tuple[int, int]
    target: bytes
    xattrs: dict[bytes, bytes]
    digest: bytes


class ContextTree:
    """A tar whose index was made by ``layers.builds.context``. ``file``: the tar, not compressed."""

    def __init__(self, inodes: Inodes, file: int) -> None:
        self._top = inodes.top
        self._file = file

    def look(self, parts: Parts) -> Found | None:
        inode = self._inode(parts)
        if inode is None:
            return None
        several = inode.links > 1 and inode.children is None
        return Found(
            inode.mode,
            inode.uid,
            inode.gid,
            inode.mtime,
            inode.size,
            inode.target,
            inode.device,
            id(inode) if several else 0,
            inode.xattrs,
        )

    def names(self, parts: Parts) -> list[bytes]:
        inode = self._inode(parts)
        return sorted(inode.children or ()) if inode is not None else []

    def data(self, parts: Parts) -> Iterator[bytes]:
        inode = self._inode(parts)
        assert inode is not None
        at, left = inode.data, inode.size
        while left:
            piece = os.pread(self._file, min(left, PIECE), at)
            if not piece:
                raise OSError(errno.EIO, "the context is cut short")
            yield piece
            at += len(piece)
            left -= len(piece)

    def digest(self, parts: Parts) -> bytes:
        inode = self._inode(parts)
        assert inode is not None
        return inode.digest

    def close(self) -> None:
        os.close(self._file)

    def _inode(self, parts: Parts) -> Inode | None:
        found = self._top
        for part in parts:
            child = (found.children or {}).get(part)
            if child is None:
                return None
            found = child
        return found


class LayersTree:
    """The layers of an image, mounted for this process alone. ``lower``: uppermost first, directories or images."""

    def __init__(self, lower: list[str]) -> None:
        self._root = _mounted(lower)

    @property
    def root(self) -> int:
        """A descriptor of the root."""
        return self._root

    def look(self, parts: Parts) -> Found | None:
        try:
            place = self._open(parts, _PLACE)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return _found(place)
        finally:
            os.close(place)

    def names(self, parts: Parts) -> list[bytes]:
        directory = self._open(parts, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return sorted(map(os.fsencode, os.listdir(directory)))
        finally:
            os.close(directory)

    def data(self, parts: Parts) -> Iterator[bytes]:
        file = self._open(parts, os.O_RDONLY | os.O_NONBLOCK)
        try:
            while piece := os.read(file, PIECE):
                yield piece
        finally:
            os.close(file)

    def digest(self, parts: Parts) -> bytes:
        checksum = hashlib.sha256()
        for piece in self.data(parts):
            checksum.update(piece)
        return checksum.digest()

    def close(self) -> None:
        os.close(self._root)

    def _open(self, parts: Parts, flags: int) -> int:
        path = os.fsdecode(b"/".join(parts)) or "."
        return paths.open_in_root(self._root, path, flags | os.O_NOFOLLOW, links=False)


class EmptyTree:
    """Of ``scratch``."""

    def look(self, parts: Parts) -> Found | None:
        return None if parts else Found(stat.S_IFDIR | 0o755, 0, 0, 0, 0)

    def names(self, parts: Parts) -> list[bytes]:
        return []

    def data(self, parts: Parts) -> Iterator[bytes]:
        raise NotFound(shown(b"/" + b"/".join(parts)))

    def digest(self, parts: Parts) -> bytes:
        raise NotFound(shown(b"/" + b"/".join(parts)))

    def close(self) -> None:
        pass


def open_layers(lower: list[str]) -> LayersTree | EmptyTree:
    """The tree of these layers, uppermost first. Raises OSError."""
    return LayersTree(lower) if lower else EmptyTree()


def _mounted(lower: list[str]) -> int:
    if len(lower) > 1:
        return overlay.mount_read_only(lower)
    if layer_images.is_image(lower[0]):
        return layer_images.mount(lower[0])
    return os.open(lower[0], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _found(place: int) -> Found:
    there = os.fstat(place)
    link = stat.S_ISLNK(there.st_mode)
    device = stat.S_ISCHR(there.st_mode) or stat.S_ISBLK(there.st_mode)
    return Found(
        there.st_mode,
        there.st_uid,
        there.st_gid,
        there.st_mtime_ns,
        there.st_size,
        os.fsencode(os.readlink("", dir_fd=place)) if link else b"",
        (os.major(there.st_rdev), os.minor(there.st_rdev)) if device else (0, 0),
        there.st_ino if there.st_nlink > 1 and not stat.S_ISDIR(there.st_mode) else 0,
        {} if link else _xattrs(place),
    )


def _xattrs(place: int) -> dict[bytes, bytes]:
    path = f"/proc/self/fd/{place}"
    try:
        names = sorted(name.encode() for name in os.listxattr(path))
        return {name: os.getxattr(path, name) for name in names if name.startswith(_KEPT_XATTRS)}
    except OSError:  # a file system without them
        return {}
