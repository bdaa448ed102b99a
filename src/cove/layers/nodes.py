"""Files as layers and trees know them, and their headers in a tar."""

import stat
from typing import Protocol

from cove.errors import InvalidArgument
from cove.layers.tar.header import KINDS, Header
from cove.layers.tar.reader import shown


class Node(Protocol):
    """What a file is, as layers and trees know it. ``mode``: with the kind. ``device``: major and minor."""

    @property
    def mode(self) -> int: ...
    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def mtime(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def target(self) -> bytes: ...
    @property
    def device(self) -> tuple[int, int]: ...
    @property
    def xattrs(self) -> dict[bytes, bytes]: ...


def header_of(path: bytes, node: Node) -> Header:
    """The header of a file at a path. Raises InvalidArgument for a socket."""
    kind = KINDS.get(stat.S_IFMT(node.mode))
    if kind is None:
        raise InvalidArgument(f"{shown(path)}: a socket cannot be copied")
    size = node.size if kind == b"0" else 0
    return Header(
        name=path + b"/" if kind == b"5" else path,
        kind=kind,
        mode=node.mode & 0o7777,
        uid=node.uid,
        gid=node.gid,
        size=size,
        mtime=node.mtime,
        link=node.target,
        major=node.device[0],
        minor=node.device[1],
        real_size=size,
        xattrs=node.xattrs if kind != b"2" else {},
    )
