"""What fsck.erofs looks at, for images of our form: one of 512-byte blocks, with the layer's tar as a second device.

Written from the kernel's erofs_fs.h, and not from our writer, so that the two can disagree.
"""

import stat
import struct
from collections import Counter
from pathlib import Path
from typing import NamedTuple

BLOCK = 512
SUPERBLOCK = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQB23x")
INODE = struct.Struct("<HHHHQIIIIQII16x")
ENTRY = struct.Struct("<QHBx")
KINDS = {1: stat.S_IFREG, 2: stat.S_IFDIR, 3: stat.S_IFCHR, 4: stat.S_IFBLK, 5: stat.S_IFIFO, 6: stat.S_IFSOCK,
         7: stat.S_IFLNK}  # fmt: skip


class Node(NamedTuple):
    """One inode. ``data``: where in the image what lies inline begins."""

    layout: int
    mode: int
    size: int
    address: int
    links: int
    data: int


class Image:
    """Parses an index; ``check`` walks it all and raises AssertionError naming what is wrong."""

    def __init__(self, index: Path, tar_size: int) -> None:
        self.bytes = index.read_bytes()
        fields = SUPERBLOCK.unpack_from(self.bytes, 1024)
        magic, bits, self.root, self.inodes, self.blocks, self.meta = (
            fields[0], fields[3], fields[5], fields[6], fields[9], fields[10],
        )  # fmt: skip
        assert (magic, 1 << bits, self.meta) == (0xE0F5E1E2, BLOCK, 0)
        assert len(self.bytes) == self.blocks * BLOCK, "the image is as long as its superblock says"
        incompatible, extra_devices, slot = fields[14], fields[16], fields[17]
        assert (incompatible, extra_devices) == (8, 1)
        device_blocks, mapped = struct.unpack_from("<II", self.bytes, slot * 128 + 64)
        assert mapped == self.blocks, "the tar's blocks follow the image's"
        assert device_blocks * BLOCK >= tar_size, "all of the tar is addressed"
        self.end = mapped + device_blocks
        self.seen: Counter[int] = Counter()

    def check(self) -> int:
        """The number of inodes. Raises AssertionError."""
        self._directory(self.root, self.root, "/")
        for number, links in self.seen.items():
            node = self.node(number)
            if not stat.S_ISDIR(node.mode):
                assert node.links == links, f"inode {number} has {links} names, and says {node.links}"
        assert len(self.seen) == self.inodes, "every inode has a name, and every name an inode"
        return len(self.seen)

    def node(self, number: int) -> Node:
        at = number * 32
        assert at + INODE.size <= len(self.bytes), f"inode {number} is beyond the end"
        form, xattrs, mode, _, size, address, _, _, _, _, _, links = INODE.unpack_from(self.bytes, at)
        assert form & 1 and form >> 4 == 0, f"inode {number}: format {form:#x}"
        body = at + INODE.size + (12 + 4 * (xattrs - 1) if xattrs else 0)
        self._xattrs(number, at + INODE.size, body)
        return Node(form >> 1 & 7, mode, size, address, links, body)

    def _xattrs(self, number: int, at: int, end: int) -> None:
        if at == end:
            return
        at += 12 + 4 * self.bytes[at + 4]
        while at < end:
            length, index, size = struct.unpack_from("<BBH", self.bytes, at)
            assert index in (1, 2, 3, 4, 6), f"inode {number}: attribute of namespace {index}"
            at += -(-(4 + length + size) // 4) * 4
        assert at == end, f"inode {number}: attributes that do not end where they say"

    def content(self, number: int, node: Node) -> bytes:
        """Of a directory or link, which are in the image itself."""
        if node.layout == 2:
            whole = node.size // BLOCK * BLOCK
            assert not whole, f"inode {number}: only what is small is inline"
            assert node.data // BLOCK == (node.data + node.size - 1) // BLOCK, (
                f"inode {number}: inline over a block's end"
            )
            return self.bytes[node.data : node.data + node.size]
        assert node.layout == 0
        assert node.address * BLOCK + node.size <= len(self.bytes), f"inode {number}: content beyond the end"
        return self.bytes[node.address * BLOCK : node.address * BLOCK + node.size]

    def _directory(self, number: int, parent: int, path: str) -> None:
        node = self.node(number)
        assert stat.S_ISDIR(node.mode), path
        names: list[bytes] = []
        entries = {}
        content = self.content(number, node)
        for start in range(0, len(content), BLOCK):
            for name, child, kind in _entries(content[start : start + BLOCK]):
                names.append(name)
                entries[name] = child, kind
        assert names == sorted(set(names)), f"{path}: names are not in order"
        assert entries.pop(b".") == (number, 2) and entries.pop(b"..") == (parent, 2), path
        self.seen[number] += 1
        subdirectories = 0
        for name, (child, kind) in entries.items():
            subdirectories += self._child(number, f"{path}{name.decode(errors='replace')}", child, kind)
        assert node.links == 2 + subdirectories, f"{path}: {node.links} links, {subdirectories} directories"

    def _child(self, parent: int, path: str, number: int, kind: int) -> bool:
        node = self.node(number)
        assert KINDS[kind] == stat.S_IFMT(node.mode), f"{path}: kind {kind}, mode {node.mode:o}"
        if stat.S_ISDIR(node.mode):
            self._directory(number, parent, f"{path}/")
            return True
        self.seen[number] += 1
        if stat.S_ISLNK(node.mode):
            assert len(self.content(number, node)) == node.size and node.size
        elif stat.S_ISREG(node.mode) and node.size:
            last = node.address + (node.size - 1) // BLOCK
            assert node.layout == 0 and self.blocks <= node.address <= last < self.end, f"{path}: beyond the tar"
        return False


def _entries(block: bytes) -> list[tuple[bytes, int, int]]:
    first = ENTRY.unpack_from(block, 0)[1]
    assert first % ENTRY.size == 0 and 0 < first <= len(block)
    heads = [ENTRY.unpack_from(block, at) for at in range(0, first, ENTRY.size)]
    ends = [offset for _, offset, _ in heads[1:]] + [len(block)]
    return [
        (block[offset:end].rstrip(b"\0"), number, kind) for (number, offset, kind), end in zip(heads, ends, strict=True)
    ]
