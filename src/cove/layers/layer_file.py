"""A layer in the making: its tar, and at the same time the index over it, so that nothing is read twice."""

import hashlib
import os
from pathlib import Path

from cove.kernel import layer_images
from cove.layers.erofs import image as erofs
from cove.layers.erofs.indexer import MOST_ENTRIES, Indexer
from cove.layers.tar.header import Header
from cove.layers.tar.reader import Limits
from cove.layers.tar.writer import Writer
from cove.layers.unpack import named, unpack
from cove.layers.worker.jobs import UnpackDone

BUFFER = 1 << 18
_SECOND = 1_000_000_000


class LayerFile(Writer):
    """Write entries, then ``finish``. ``target``, ``plain``: as of ``jobs.Unpack``. ``epoch``: as of ``PackStep``."""

    def __init__(self, target: str, plain: str, epoch: int = -1) -> None:
        self._file = open(plain, "xb", buffering=BUFFER)  # noqa: SIM115
        self._checksum = hashlib.sha256()
        self._target = target
        self._plain = plain
        self._epoch = epoch
        self._size = 0
        self._unpacked = 0
        self.entries = 0
        self._indexer = Indexer(iter(()), Limits()) if layer_images.is_image(target) else None
        super().__init__(self._take)

    def entry(self, header: Header) -> None:
        """As of ``Writer``; times are cut to seconds and to the epoch. Raises InvalidArgument naming the entry."""
        header.mtime = header.mtime // _SECOND * _SECOND
        if 0 <= self._epoch * _SECOND < header.mtime:
            header.mtime = self._epoch * _SECOND
        super().entry(header)
        self.entries += 1
        size = header.size if header.data_runs is None else header.real_size
        self._unpacked += len(header.link) if header.kind == b"2" else size
        if self.entries > MOST_ENTRIES or header.data_runs is not None:  # an index knows nothing of holes
            self._indexer = None
        if self._indexer is not None:
            header.mode &= 0o7777
            with named(header):
                self._indexer.add(header, self._size)

    def finish(self) -> UnpackDone:
        """End the tar, and have the layer on disk."""
        self.end()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        target = self._image() if self._indexer is not None else self._directory()
        digest = f"sha256:{self._checksum.hexdigest()}"
        return UnpackDone("", self._size, digest, self._size, self.entries, self._unpacked, target)

    def _take(self, piece: bytes) -> None:
        self._checksum.update(piece)
        self._file.write(piece)
        self._size += len(piece)

    def _image(self) -> str:
        assert self._indexer is not None
        place = Path(self._target)
        place.mkdir(0o700)
        os.link(self._plain, place / layer_images.TAR)
        erofs.write_index(place, self._indexer.inodes.top, self._size)
        return self._target

    def _directory(self) -> str:
        target = self._target.removesuffix(layer_images.SUFFIX)
        os.mkdir(target, 0o755)
        top = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with open(self._plain, "rb", buffering=0) as file:
            try:
                unpack(iter(lambda: file.read(BUFFER), b""), top, Limits())
            finally:
                os.close(top)
        return target
