"""A build's context: its tar is kept as it is, without compression, and an index is written beside it.

Nothing is unpacked: a context of a hundred thousand files is two files here. The index is a list of ``ContextNode``,
parents before children, in msgpack; it lives as long as the build and is read by the same version that wrote it.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from cove.errors import InvalidArgument
from cove.layers.builds.trees import ContextNode, ContextTree, EmptyTree, LayersTree, open_layers
from cove.layers.erofs.indexer import Indexer, Unfit
from cove.layers.erofs.inodes import Inode, Inodes
from cove.layers.worker.build_jobs import (
    HideInContext,
    HideInContextDone,
    ReceiveContext,
    ReceiveContextDone,
    TreePlace,
)
from cove.layers.worker.pipeline import Input

_DECODER = msgspec.msgpack.Decoder(list[ContextNode])


def receive(job: ReceiveContext, source: int, progress: Callable[[int], None]) -> ReceiveContextDone:
    """Raises InvalidArgument naming a bad entry."""
    stream = Input(source, "", job.tar, "", progress, direct=False)
    indexer = Indexer(stream.pieces(), job.limits, devices=False, plain_names=True)
    try:
        done = indexer.run()
    except Unfit as error:
        raise InvalidArgument(f"{error}: sparse files, and more files than fit, cannot be in a context") from error
    stream.close(sync=False)
    nodes = list(_nodes(indexer.inodes.top))
    Path(job.index).write_bytes(msgspec.msgpack.encode(nodes))
    return ReceiveContextDone(done.entries, done.size, _digest(nodes))


def open_context(tar: str, index: str) -> ContextTree:
    """The tree of a context that was received. Raises OSError."""
    inodes = Inodes()
    by_number: dict[int, Inode] = {}
    by_path: dict[bytes, Inode] = {}
    for node in _DECODER.decode(Path(index).read_bytes()):
        known = by_number.get(node.number)
        if known is None:
            known = by_number[node.number] = _inode(node)
        else:
            known.links += 1
        if not node.path:
            inodes.top = known
        else:
            above, _, name = node.path.rpartition(b"/")
            children = by_path[above].children
            assert children is not None
            children[name] = known
        if known.children is not None:
            by_path[node.path] = known
    return ContextTree(inodes, os.open(tar, os.O_RDONLY | os.O_CLOEXEC))


def _digest(nodes: list[ContextNode]) -> str:
    """Names the files of a context by all but their times and where they lie."""
    known = sorted(
        (node.path, node.mode, node.uid, node.gid, node.device, node.target, sorted(node.xattrs.items()), node.digest)
        for node in nodes
    )
    return f"sha256:{hashlib.sha256(msgspec.msgpack.encode(known)).hexdigest()}"


def open_place(place: TreePlace) -> ContextTree | LayersTree | EmptyTree:
    """The tree of a context, or of layers. Raises OSError."""
    return open_context(place.tar, place.index) if place.tar else open_layers(place.lower)


def hide(job: HideInContext) -> HideInContextDone:
    """Raises OSError."""
    nodes = [node for node in _DECODER.decode(Path(job.index).read_bytes()) if node.path not in job.paths]
    Path(job.index).write_bytes(msgspec.msgpack.encode(nodes))
    return HideInContextDone(_digest(nodes))


def _nodes(top: Inode) -> Iterator[ContextNode]:
    numbers: dict[int, int] = {}
    todo = [(b"", top)]
    while todo:
        path, inode = todo.pop()
        number = numbers.setdefault(id(inode), len(numbers))
        yield _node(path, number, inode)
        above = path + b"/" if path else b""
        todo += [(above + name, child) for name, child in (inode.children or {}).items()]


def _node(path: bytes, number: int, inode: Inode) -> ContextNode:
    return ContextNode(
        path,
        number,
        inode.mode,
        inode.uid,
        inode.gid,
        inode.mtime,
        inode.size,
        inode.data,
        inode.device,
        inode.target,
        inode.xattrs,
        inode.digest,
    )


def _inode(node: ContextNode) -> Inode:
    directory = stat.S_ISDIR(node.mode)
    return Inode(
        node.mode,
        node.uid,
        node.gid,
        node.mtime,
        node.size,
        node.data,
        node.device,
        node.target,
        node.xattrs,
        {} if directory else None,
        2 if directory else 1,
        node.digest,
    )
