"""A root file system that is being put together: a description in memory, with the files' content on disk.

Nothing is written to a real directory, so that no entry of a package can reach outside, and a tar of it needs no
rights.
"""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from cove.errors import InvalidArgument
from cove.images.bootstrap.deb import DataEntry, Deb

MAX_CONTENT = 8 << 30
MAX_NODES = 500_000
XATTR = "SCHILY.xattr."
"""What the header of an extended attribute begins with in a tar."""
_MAX_LINKS = 40
"""Symbolic links followed in one path, as in the kernel (MAXSYMLINKS)."""


@dataclass(frozen=True, eq=False)
class Node:
    """A file, directory or symbolic link; the same one under several paths is hard links.

    ``mtime`` in seconds, None for that of the tree. ``offset``, ``size``: a file's content in the spool.
    ``attributes``: extended ones, as the headers of a tar have them.
    """

    kind: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int | None = None
    target: str = ""
    offset: int = 0
    size: int = 0
    attributes: tuple[tuple[str, str], ...] = ()


class Written(NamedTuple):
    """``diff_id``: ``sha256:…`` of the tar. ``size`` in bytes."""

    diff_id: str
    size: int


class Tree:
    """Paths are relative to the root, without a leading slash. Raises InvalidArgument for what cannot be placed."""

    def __init__(self, spool: BinaryIO) -> None:
        """``spool``: an empty file, open for reading and writing, that takes the content of files."""
        self._spool = spool
        self._nodes: dict[str, Node] = {}
        self.newest = 0
        """The newest mtime that any unpacked package had, in seconds."""

    def __contains__(self, path: str) -> bool:
        return path in self._nodes

    def directory(self, path: str, mode: int = 0o755) -> None:
        self._place(path, Node(tarfile.DIRTYPE, mode))

    def file(self, path: str, content: bytes, mode: int = 0o644) -> None:
        self._place(path, self._spooled(io.BytesIO(content), Node(tarfile.REGTYPE, mode)))

    def adopt(self, path: str, file: Path) -> None:
        """A copy of a file on disk."""
        with file.open("rb") as content:
            self._place(path, self._spooled(content, Node(tarfile.REGTYPE, 0o644)))

    def rewrite(self, path: str, content: bytes) -> None:
        """Give a file another content; its owner, mode and time stay."""
        self._place(path, self._spooled(io.BytesIO(content), self._file_at(path)))

    def symlink(self, path: str, target: str) -> None:
        self._place(path, Node(tarfile.SYMTYPE, 0o777, target=target))

    def link(self, path: str, existing: str) -> None:
        """Another name for the file at ``existing``."""
        self._place(path, self._file_at(existing))

    def move(self, path: str, to: str) -> None:
        """Give a file another path."""
        self._place(to, self._file_at(path))
        del self._nodes[path]

    def extract(self, path: str, target: Path) -> None:
        """Write the content of a file of the tree to disk."""
        node = self._file_at(path)
        self._spool.seek(node.offset)
        with target.open("wb") as file:
            _copy(self._spool, file, node.size)

    def unpack(self, deb: Deb, wanted: Callable[[str], bool] = lambda path: True) -> None:
        """Add what a package installs at the paths that are ``wanted``, with the package's modes, owners and times."""
        self.unpack_entries(deb.data(), deb.name, wanted)

    def unpack_entries(
        self, entries: Iterable[DataEntry], origin: str, wanted: Callable[[str], bool] = lambda path: True
    ) -> None:
        """The same with what a package of another kind installs. ``origin``: what errors call it."""
        for entry in entries:
            self.newest = max(self.newest, int(entry.info.mtime))
            path = _clean(entry.info.name, origin)
            if path and wanted(path):
                self._add(path, entry, origin)

    def take(self, tar: Path, origin: str, wanted: Callable[[str], bool]) -> None:
        """Add what a tar of a whole root has at the paths that are ``wanted``; nothing is newer than ``newest``."""
        with tarfile.open(tar, "r:") as opened:
            for info in opened:
                path = _clean(info.name, origin)
                if path and wanted(path) and (info.isreg() or info.isdir() or info.issym() or info.islnk()):
                    info.mtime = min(int(info.mtime), self.newest)
                    self._add(path, DataEntry(info, _content(opened, info)), origin)

    def read(self, path: str) -> bytes:
        """The content of a file."""
        node = self._file_at(path)
        self._spool.seek(node.offset)
        return self._spool.read(node.size)

    def below(self, path: str) -> list[str]:
        """The paths of all that is in a directory, at any depth, sorted."""
        return sorted(each for each in self._nodes if each.startswith(f"{path}/"))

    def is_file(self, path: str) -> bool:
        node = self._nodes.get(path)
        return node is not None and node.kind == tarfile.REGTYPE

    def write(self, target: Path, mtime: int) -> Written:
        """Write the tree as a tar, sorted by path: the same tree gives the same bytes."""
        with target.open("wb") as file:
            hashed = _Hashed(file)
            with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=1 << 18) as tar:  # type: ignore[call-overload]
                for info, node in self._headers(mtime):
                    self._spool.seek(node.offset)
                    tar.addfile(info, self._spool if info.isreg() else None)
        return Written(f"sha256:{hashed.hash.hexdigest()}", hashed.size)

    def _headers(self, mtime: int) -> Iterator[tuple[tarfile.TarInfo, Node]]:
        first: dict[Node, str] = {}
        for path in sorted(self._nodes):
            node = self._nodes[path]
            info = tarfile.TarInfo(path)
            info.type, info.mode, info.uid, info.gid = node.kind, node.mode, node.uid, node.gid
            info.mtime = mtime if node.mtime is None else node.mtime
            info.linkname, info.size = node.target, node.size
            info.pax_headers = dict(node.attributes)
            if node in first:
                info.type, info.linkname, info.size = tarfile.LNKTYPE, first[node], 0
            first.setdefault(node, path)
            yield info, node

    def _add(self, path: str, entry: DataEntry, origin: str) -> None:
        info = entry.info
        if info.isdir():
            self._place(path, _node(info, tarfile.DIRTYPE))
        elif info.issym():
            self._place(path, _node(info, tarfile.SYMTYPE))
        elif info.islnk():
            self._place(path, self._file_at(_clean(info.linkname, origin)))
        elif entry.content:
            self._place(path, self._spooled(entry.content, _node(info, tarfile.REGTYPE)))
        else:
            raise InvalidArgument(f"{origin}: {path} is neither a file nor a directory nor a link")

    def _spooled(self, content: BinaryIO, node: Node) -> Node:
        offset = self._spool.seek(0, io.SEEK_END)
        shutil.copyfileobj(content, self._spool, 1 << 20)
        size = self._spool.tell() - offset
        if offset + size > MAX_CONTENT:
            raise InvalidArgument(f"the root file system is larger than {MAX_CONTENT} bytes")
        return replace(node, offset=offset, size=size)

    def _place(self, path: str, node: Node) -> None:
        parent, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            raise InvalidArgument(f"{path!r} cannot be the path of a file")
        place = "/".join(filter(None, (self._resolve(parent), name)))
        present = self._nodes.get(place)
        if node.kind == tarfile.DIRTYPE and present:
            self._resolve(place)
            return
        if present and present.kind == tarfile.DIRTYPE:
            raise InvalidArgument(f"{path} is a directory and something else")
        if len(self._nodes) >= MAX_NODES:
            raise InvalidArgument(f"the root file system has more than {MAX_NODES} files")
        self._nodes[place] = node

    def _resolve(self, path: str) -> str:
        """The directory that a path leads to in the tree, links followed and never above the root; made if missing."""
        done: list[str] = []
        left = path.split("/")[::-1]
        links = 0
        while left:
            name = left.pop()
            if name in ("", "."):
                continue
            if name == "..":
                del done[-1:]
                continue
            here = "/".join([*done, name])
            node = self._nodes.setdefault(here, Node(tarfile.DIRTYPE, 0o755))
            if node.kind == tarfile.DIRTYPE:
                done.append(name)
                continue
            links += 1
            if node.kind != tarfile.SYMTYPE or links > _MAX_LINKS:
                raise InvalidArgument(f"{path} leads through {here}, which is no directory")
            done = [] if node.target.startswith("/") else done
            left += node.target.split("/")[::-1]
        return "/".join(done)

    def _file_at(self, path: str) -> Node:
        parent, _, name = path.rpartition("/")
        place = "/".join(filter(None, (self._resolve(parent), name)))
        node = self._nodes.get(place)
        if not node or node.kind != tarfile.REGTYPE:
            raise InvalidArgument(f"there is no file {path}")
        return node


class _Hashed:
    """Counts and hashes what is written."""

    def __init__(self, file: BinaryIO) -> None:
        self.hash = hashlib.sha256()
        self.size = 0
        self._file = file

    def write(self, content: bytes) -> int:
        self.hash.update(content)
        self.size += len(content)
        return self._file.write(content)


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> BinaryIO | None:
    return cast(BinaryIO, tar.extractfile(info)) if info.isreg() else None


def _node(info: tarfile.TarInfo, kind: bytes) -> Node:
    target = info.linkname if kind == tarfile.SYMTYPE else ""
    attributes = tuple(sorted(item for item in info.pax_headers.items() if item[0].startswith(XATTR)))
    return Node(kind, info.mode & 0o7777, info.uid, info.gid, int(info.mtime), target, attributes=attributes)


def _clean(path: str, origin: str) -> str:
    """A path in a package without "./", "" for the root. Raises InvalidArgument for one that is not below it."""
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise InvalidArgument(f"{origin}: the path {path[:200]!r} leads out of the root")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size > 0:
        chunk = source.read(min(size, 1 << 20))
        if not chunk:
            raise EOFError("the spool ends too early")
        target.write(chunk)
        size -= len(chunk)
