"""An EROFS image that holds the metadata of a layer, and whose files' data lie in the layer's tar beside it.

The format is the kernel's (fs/erofs/erofs_fs.h): blocks of 512 bytes, as the tar's, so that the data of every file
begin at a block; the tar is a second device, whose blocks follow the image's own in one space of addresses. Inodes are
of the extended kind, 64 bytes. What is small, and all of a symbolic link, lies inline after its inode.
"""

import os
import stat
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from cove.errors import InvalidArgument
from cove.kernel import file_data, layer_images
from cove.layers.erofs.inodes import Inode

BLOCK = 512
MAGIC = 0xE0F5E1E2
_SUPERBLOCK_AT = 1024
_SLOT = 128
_DEVICES_AT = _SUPERBLOCK_AT + 128
_FIRST_INODE = _DEVICES_AT + _SLOT
_DEVICE_TABLE = 0x08
_PLAIN, _INLINE = 0, 2
_EXTENDED = 1
_NID = 32
_INODE = struct.Struct("<HHHHQIIIIQII16x")
_ENTRY = struct.Struct("<QHBx")
_NAMESPACES = ((b"user.", 1), (b"trusted.", 4), (b"security.", 6))
_ACLS = {b"system.posix_acl_access": 2, b"system.posix_acl_default": 3}
_MOST_XATTRS = 12 + 4 * 0xFFFE
_KINDS = {
    stat.S_IFREG: 1,
    stat.S_IFDIR: 2,
    stat.S_IFCHR: 3,
    stat.S_IFBLK: 4,
    stat.S_IFIFO: 5,
    stat.S_IFSOCK: 6,
    stat.S_IFLNK: 7,
}


class Target(Protocol):
    """Takes the image from its first byte to its last."""

    def write(self, data: bytes, /) -> object: ...


def write_index(place: Path, top: Inode, tar_size: int) -> None:
    """Write the image beside the tar in the directory ``place``, and have both on the disk. Raises as ``write``."""
    with (place / layer_images.INDEX).open("xb") as index:
        write(top, tar_size, index)
        index.flush()
        os.fsync(index.fileno())
    file_data.sync(place)


def write(top: Inode, tar_size: int, target: Target) -> None:
    """Write the image of the tree below ``top`` to a new file. ``tar_size``: bytes of the tar.

    Raises InvalidArgument when an inode has more extended attributes than the format can hold, OSError.
    """
    placed = _place(top)
    blocks = placed.blocks
    target.write(bytes(_SUPERBLOCK_AT) + _superblock(placed, blocks) + _tar_device(tar_size, blocks))
    position = _FIRST_INODE
    for item in placed.items:
        target.write(bytes(item.position - position))
        written = _inode(item, placed, blocks)
        target.write(written)
        position = item.position + len(written)
    target.write(bytes(placed.data_block * BLOCK - position))
    for item in placed.items:
        if item.block is not None:
            data = _content(item.inode, placed)
            target.write(data + bytes(-len(data) % BLOCK))


class _Item:
    """An inode with its place: ``position`` in bytes; ``block``: where its own data begin, if they are not inline."""

    __slots__ = ("block", "inode", "parent", "position", "size", "xattrs")

    def __init__(self, inode: Inode, parent: Inode) -> None:
        self.inode = inode
        self.parent = parent
        self.xattrs = _xattrs(inode.xattrs) if inode.xattrs else b""
        self.size = _directory_size(inode.children) if inode.children is not None else inode.size
        self.position = 0
        self.block: int | None = None


class _Placed:
    """All inodes, by position. ``data_block``: the first block after the inodes; ``blocks``: of the image."""

    def __init__(self) -> None:
        self.items: list[_Item] = []
        self.by_inode: dict[int, _Item] = {}
        self.data_block = 0
        self.blocks = 0

    def number(self, inode: Inode) -> int:
        return self.by_inode[id(inode)].position // _NID


def _place(top: Inode) -> _Placed:
    placed = _Placed()
    for item in _items(top):
        placed.items.append(item)
        placed.by_inode[id(item.inode)] = item
    position = _FIRST_INODE
    outside: list[_Item] = []
    for item in placed.items:
        inline = _inline_size(item)
        head = _INODE.size + len(item.xattrs)
        position += -position % _NID
        if inline is None:
            outside.append(item)
        elif inline and (position + head) % BLOCK + inline > BLOCK:
            position = _shifted(position, head, inline)
        item.position = position
        position += head + (inline or 0)
    placed.data_block = -(-position // BLOCK)
    placed.blocks = placed.data_block
    for item in outside:
        item.block = placed.blocks
        placed.blocks += -(-item.size // BLOCK)
    return placed


def _shifted(position: int, head: int, inline: int) -> int:
    """The next place of an inode where what follows it inline does not cross a block."""
    while (position + head) % BLOCK + inline > BLOCK:
        position += _NID
    return position


def _items(top: Inode) -> Iterator[_Item]:
    """Every inode once, a directory before what is in it."""
    seen: set[int] = set()
    todo = [(top, top)]
    while todo:
        inode, parent = todo.pop()
        if id(inode) in seen:
            continue
        seen.add(id(inode))
        yield _Item(inode, parent)
        if inode.children:
            todo += [(child, inode) for child in inode.children.values()]


def _inline_size(item: _Item) -> int | None:
    """Bytes that follow the inode inline; None when the content has blocks of its own."""
    if item.inode.children is None and not item.inode.target:
        return 0
    return item.size if item.size <= BLOCK - _NID else None


def _inode(item: _Item, placed: _Placed, image_blocks: int) -> bytes:
    inode = item.inode
    own = inode.children is not None or bool(inode.target)
    inline = own and item.block is None
    layout = _INLINE if inline else _PLAIN
    seconds, nanoseconds = divmod(inode.mtime, 1_000_000_000)
    head = _INODE.pack(
        _EXTENDED | layout << 1,
        (len(item.xattrs) - 12) // 4 + 1 if item.xattrs else 0,
        inode.mode,
        0,
        item.size,
        _address(item, image_blocks),
        item.position // _NID & 0xFFFFFFFF,
        inode.uid,
        inode.gid,
        seconds,
        nanoseconds,
        inode.links,
    )
    return head + item.xattrs + (_content(inode, placed) if inline else b"")


def _address(item: _Item, image_blocks: int) -> int:
    """The inode's union: a device number, or the block where the content begins."""
    inode = item.inode
    if stat.S_ISCHR(inode.mode) or stat.S_ISBLK(inode.mode):
        major, minor = inode.device
        return (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12
    if item.block is not None:
        return item.block
    if stat.S_ISREG(inode.mode) and inode.size:
        return image_blocks + inode.data // BLOCK
    return 0


def _content(inode: Inode, placed: _Placed) -> bytes:
    if inode.children is None:
        return inode.target
    item = placed.by_inode[id(inode)]
    numbers = [(b".", placed.number(inode), 2), (b"..", placed.number(item.parent), 2)]
    numbers += [(name, placed.number(child), _KINDS[stat.S_IFMT(child.mode)]) for name, child in inode.children.items()]
    numbers.sort()
    return b"".join(_directory_blocks(numbers))


def _directory_blocks(entries: list[tuple[bytes, int, int]]) -> Iterator[bytes]:
    """Blocks of entries and then their names; the last one is not filled up."""
    at = 0
    sizes = list(_fill(name for name, _, _ in entries))
    for index, count in enumerate(sizes):
        yield _directory_block(entries[at : at + count], index < len(sizes) - 1)
        at += count


def _directory_block(entries: list[tuple[bytes, int, int]], pad: bool) -> bytes:
    offset = _ENTRY.size * len(entries)
    heads: list[bytes] = []
    for name, number, kind in entries:
        heads.append(_ENTRY.pack(number, offset, kind))
        offset += len(name)
    block = b"".join(heads) + b"".join(name for name, _, _ in entries)
    return block.ljust(BLOCK, b"\0") if pad else block


def _fill(names: Iterable[bytes]) -> Iterator[int]:
    """How many of the sorted names go into each block."""
    count = used = 0
    for name in names:
        needed = _ENTRY.size + len(name)
        if used + needed > BLOCK:
            yield count
            count = used = 0
        count += 1
        used += needed
    yield count


def _directory_size(children: dict[bytes, Inode]) -> int:
    size = used = 0
    for name in sorted((b".", b"..", *children)):
        needed = _ENTRY.size + len(name)
        if used + needed > BLOCK:
            size += BLOCK
            used = 0
        used += needed
    return size + used


def _xattrs(given: dict[bytes, bytes]) -> bytes:
    """The header and the entries; of names outside of the namespaces that the format knows nothing is kept."""
    entries = [_xattr(*kept, value) for name, value in sorted(given.items()) if (kept := _namespace(name)) is not None]
    if not entries:
        return b""
    packed = bytes(12) + b"".join(entries)
    if len(packed) > _MOST_XATTRS:
        raise InvalidArgument(f"{len(packed)} bytes of extended attributes, more than {_MOST_XATTRS}")
    return packed


def _namespace(name: bytes) -> tuple[int, bytes] | None:
    if name in _ACLS:
        return _ACLS[name], b""
    for prefix, index in _NAMESPACES:
        if name.startswith(prefix):
            return index, name[len(prefix) :]
    return None


def _xattr(index: int, name: bytes, value: bytes) -> bytes:
    if len(name) > 255 or len(value) > 0xFFFF:
        raise InvalidArgument("an extended attribute is too long")
    entry = struct.pack("<BBH", len(name), index, len(value)) + name + value
    return entry + bytes(-len(entry) % 4)


def _superblock(placed: _Placed, blocks: int) -> bytes:
    root = placed.items[0].position // _NID
    return struct.pack(
        "<IIIBBHQQIIII16s16sIHHHBBIQB23x",
        MAGIC, 0, 0, BLOCK.bit_length() - 1, 0, root, len(placed.items), 0, 0, blocks, 0, 0, bytes(16), b"",
        _DEVICE_TABLE, 0, 1, _DEVICES_AT // _SLOT, 0, 0, 0, 0, 0,
    )  # fmt: skip


def _tar_device(tar_size: int, mapped: int) -> bytes:
    return struct.pack("<64sII56x", b"", -(-tar_size // BLOCK), mapped)
