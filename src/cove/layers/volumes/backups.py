"""A volume as a tar.zst and back: reproducible, and with all that makes the files what they are.

Names are sorted, times are to the nanosecond, every extended attribute is in it (access control lists among them), hard
links are links and holes are holes. What a layer would take for a whiteout is a file like another.
"""

from collections.abc import Iterator

from backports import zstd

from cove.errors import InvalidArgument
from cove.layers.pack import pack
from cove.layers.tar.header import Header
from cove.layers.tar.reader import Limits, Reader
from cove.layers.tar.stream import ByteStream
from cove.layers.tar.writer import Writer
from cove.layers.tree import split
from cove.layers.unpack import Unpacker

LEVEL = 3
"""zstd's own default; the bytes of a backup depend on it."""


def back_up(tree: int, target: int) -> None:
    """Write the tree to a descriptor; ``tree`` (O_PATH) is closed. An error leaves the archive without its end."""
    compressor = zstd.ZstdCompressor(level=LEVEL)
    with open(target, "wb", buffering=1 << 18, closefd=False) as pipe:
        writer = Writer(lambda piece: pipe.write(compressor.compress(piece)), fine=True)
        pack(tree, b".", writer, whole=True)
        writer.end()
        pipe.write(compressor.flush())


def restore(pieces: Iterator[bytes], top: int, limits: Limits) -> None:
    """Unpack a backup into the empty directory ``top``; the umask must be 0.

    Raises InvalidArgument naming the entry.
    """
    unpacker = _Plain(top, Reader(ByteStream(pieces), limits), limits, devices=True)
    try:
        if not unpacker.run().entries:
            raise InvalidArgument("the backup is empty: not even the volume's own directory is in it")
    finally:
        unpacker.close()


class _Plain(Unpacker):
    """Without whiteouts."""

    def _add(self, entry: Header) -> None:
        parts = split(entry.name)
        if not parts:
            super()._add(entry)
            return
        self._check_name(parts[-1])
        self._place(self._tree.parent(parts), parts, entry)
