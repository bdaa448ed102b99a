"""The job ``Verify``: whether files on disk are still what they were when they were written."""

import hashlib
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from cove.errors import InvalidArgument
from cove.kernel import layer_images
from cove.layers.erofs import image as erofs
from cove.layers.erofs.indexer import Indexer, Unfit
from cove.layers.looking.differences import ADDED, DELETED, MODIFIED
from cove.layers.tar.reader import Limits
from cove.layers.tree import opened
from cove.layers.volumes.tree_diff import tree_differences
from cove.layers.worker.jobs import Check, Flaw, Verify, VerifyDone
from cove.layers.worker.pipeline import PIECE, Input

MOST_FLAWS = 20
"""Of one directory that are told."""
_PROBLEMS = {MODIFIED: "not what the layer has", ADDED: "not in the layer", DELETED: "missing"}


def verify(job: Verify, progress: Callable[[int], None]) -> VerifyDone:
    """Read everything; what is wrong with it. What cannot be read is wrong too."""
    flaws: list[Flaw] = []
    read = 0
    for check in job.checks:
        looked = _directory if check.fresh else _layer if layer_images.is_image(check.path) else _file
        try:
            size, found = looked(check)
        except OSError as error:
            size, found = 0, [Flaw(check.path, error.filename or check.path, error.strerror or str(error))]
        flaws += found
        read += size
        progress(read)
    return VerifyDone(flaws, read)


def _file(check: Check) -> tuple[int, list[Flaw]]:
    checksum, size = hashlib.new(check.digest.partition(":")[0]), 0
    with open(check.path, "rb", buffering=0) as file:
        while piece := file.read(PIECE):
            checksum.update(piece)
            size += len(piece)
    found = f"{checksum.name}:{checksum.hexdigest()}"
    return size, _differs(check, check.path, found)


def _layer(check: Check) -> tuple[int, list[Flaw]]:
    """The index is written anew from the tar and compared; of a tar that is damaged it cannot be right."""
    place = Path(check.path)
    tar, index = place / layer_images.TAR, place / layer_images.INDEX
    source = os.open(tar, os.O_RDONLY | os.O_CLOEXEC)
    try:
        stream = Input(source, "", "", "", lambda read: None)
        pieces = stream.pieces()
        indexer = Indexer(pieces, Limits(), devices=True)
        with suppress(InvalidArgument, Unfit):  # it was read before: the digest will tell
            indexer.run()
        for _ in pieces:
            pass
    finally:
        os.close(source)
    flaws = _differs(check, str(tar), stream.plain_digest)
    if not flaws and not _is_index(indexer, stream.plain_size, index):
        flaws = [Flaw(check.path, str(index), "the index is not that of the tar beside it")]
    return stream.plain_size, flaws


def _directory(check: Check) -> tuple[int, list[Flaw]]:
    with opened(check.fresh) as fresh, opened(check.path) as kept:
        found = itertools.islice(tree_differences(fresh, kept, contents=True), MOST_FLAWS)
        flaws = [Flaw(check.path, check.path + each.path, f"{each.path}: {_PROBLEMS[each.kind]}") for each in found]
    return 0, flaws


def _differs(check: Check, path: str, found: str) -> list[Flaw]:
    return [] if found == check.digest else [Flaw(check.path, path, f"content is {found}, expected {check.digest}")]


def _is_index(indexer: Indexer, size: int, index: Path) -> bool:
    with index.open("rb", buffering=1 << 16) as file:
        comparison = _Comparison(file)
        erofs.write(indexer.inodes.top, size, comparison)
        return comparison.equal and not file.read(1)


class _Comparison:
    """Compares what is written with what a file has."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.equal = True

    def write(self, data: bytes) -> None:
        self.equal = self.equal and self._file.read(len(data)) == data
