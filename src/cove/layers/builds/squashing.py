"""Several layers as one: what they say together, with the whiteouts that what is below them still needs."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing

from cove.layers.builds.trees import Tree, open_layers
from cove.layers.erofs.indexer import Indexer
from cove.layers.erofs.inodes import Inode, Inodes
from cove.layers.layer_file import LayerFile
from cove.layers.nodes import header_of
from cove.layers.tar.header import Header
from cove.layers.tar.reader import Limits, Reader
from cove.layers.tar.stream import ByteStream
from cove.layers.tree import OPAQUE, split
from cove.layers.unpack import OPAQUE_WHITEOUT, WHITEOUT
from cove.layers.worker.build_jobs import Squash
from cove.layers.worker.jobs import UnpackDone

PIECE = 1 << 18


def squash(job: Squash) -> UnpackDone:
    """Raises InvalidArgument naming an entry, OSError."""
    files = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in job.sources]
    try:
        merged = _Merged(files)
        layer = LayerFile(job.target, job.plain, job.epoch)
        with closing(open_layers(job.lower)) as below:
            merged.write(layer, below)
        return layer.finish()
    finally:
        for file in files:
            os.close(file)


class _Merged:
    """``files``: tars, not compressed, lowest first."""

    def __init__(self, files: list[int]) -> None:
        self._files = files
        self._indexer = Indexer(iter(()), Limits())
        self._origin: dict[int, int] = {}
        self._sparse: dict[int, Header] = {}
        self._kept: list[Inode] = []  # so that their ids stay theirs
        for number, file in enumerate(files):
            self._remove(file)
            self._add(number, file)

    def _remove(self, file: int) -> None:
        """What a layer takes away of those below it, before it adds anything."""
        inodes = self._indexer.inodes
        for entry, _ in _entries(file):
            parts = split(entry.name)
            if not parts or not parts[-1].startswith(WHITEOUT):
                continue
            parent = inodes.directory(parts[:-1])
            children = parent.children or {}
            hidden = list(children) if parts[-1] == OPAQUE_WHITEOUT else [parts[-1][len(WHITEOUT) :]]
            for name in hidden:
                if name in children:
                    inodes.remove(parent, name)

    def _add(self, number: int, file: int) -> None:
        for entry, position in _entries(file):
            made = self._indexer.add(entry, position)
            if made is not None:
                self._origin[id(made)] = number
                if entry.data_runs is not None:
                    self._sparse[id(made)] = entry
                self._kept.append(made)

    def write(self, layer: LayerFile, below: Tree) -> None:
        """Marks of what is gone only where there is something below them: in a new directory they would be seen."""
        written: dict[int, bytes] = {}
        for path, inode in _walk(self._indexer.inodes):
            if inode.is_whiteout:
                if below.look(tuple(path.split(b"/"))) is None:
                    continue
                above, slash, name = path.rpartition(b"/")
                layer.entry(Header(above + slash + WHITEOUT + name, b"0", 0, 0, 0, 0, 0, b"", 0, 0, 0))
                continue
            header = self._header(path, inode)
            first = written.setdefault(id(inode), path)
            if inode.children is None and first != path:
                header.kind, header.link, header.size, header.real_size, header.xattrs = b"1", first, 0, 0, {}
                header.data_runs = None
            layer.entry(header)
            if header.size:
                self._data(inode, layer)
            if inode.xattrs.get(OPAQUE) == b"y" and below.look(tuple(path.split(b"/"))) is not None:
                layer.entry(Header(path + b"/" + OPAQUE_WHITEOUT, b"0", 0, 0, 0, 0, 0, b"", 0, 0, 0))

    def _header(self, path: bytes, inode: Inode) -> Header:
        header = _header(path, inode)
        sparse = self._sparse.get(id(inode))
        if sparse is not None:
            header.size, header.real_size, header.data_runs = sparse.size, sparse.real_size, sparse.data_runs
        return header

    def _data(self, inode: Inode, layer: LayerFile) -> None:
        sparse = self._sparse.get(id(inode))
        file, at = self._files[self._origin[id(inode)]], inode.data
        left = inode.size if sparse is None else sparse.size
        while left:
            piece = os.pread(file, min(left, PIECE), at)
            if not piece:
                raise OSError(errno.EIO, "a layer is cut short")
            layer.data(piece)
            at, left = at + len(piece), left - len(piece)


def _entries(file: int) -> Iterator[tuple[Header, int]]:
    os.lseek(file, 0, os.SEEK_SET)
    stream = ByteStream(iter(lambda: os.read(file, PIECE), b""))
    for entry in Reader(stream, Limits()):
        yield entry, stream.position


def _walk(inodes: Inodes) -> Iterator[tuple[bytes, Inode]]:
    todo = [(name, inode) for name, inode in sorted((inodes.top.children or {}).items(), reverse=True)]
    while todo:
        path, inode = todo.pop()
        yield path, inode
        todo += [(path + b"/" + name, child) for name, child in sorted((inode.children or {}).items(), reverse=True)]


def _header(path: bytes, inode: Inode) -> Header:
    header = header_of(path, inode)
    header.xattrs = {name: value for name, value in header.xattrs.items() if name != OPAQUE}
    return header
