"""The job ``Unpack``: a layer's tar to a directory, or to an image beside the tar."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from cove.content.compression import MAGIC_SIZE, detect
from cove.kernel import layer_images
from cove.layers.erofs import image as erofs
from cove.layers.erofs.indexer import Indexer, Unfit
from cove.layers.tar.stream import FileStream
from cove.layers.tree import remove_tree
from cove.layers.unpack import Unpacked, unpack
from cove.layers.worker.jobs import Unpack, UnpackDone
from cove.layers.worker.pipeline import PIECE, Input


def run(job: Unpack, source: int, progress: Callable[[int], None]) -> UnpackDone:
    """Raises InvalidArgument naming the entry, OSError; what is half done stays for the caller to remove."""
    if layer_images.is_image(job.target):
        known = _indexed(job, source, progress) if job.known else None
        return known or _image(job, source, progress)
    return _unpacked(job, source, progress)


def _unpacked(job: Unpack, source: int, progress: Callable[[int], None]) -> UnpackDone:
    stream = Input(source, job.raw, job.plain, job.hash_raw, progress)
    done = Unpacked(0, 0)
    if job.target:
        done = _directory(job, job.target, stream.pieces())
    else:
        for _ in stream.pieces():
            pass
    stream.close()
    return _done(stream, done, job.target)


def _directory(job: Unpack, target: str, pieces: Iterator[bytes]) -> Unpacked:
    os.mkdir(target, 0o755)
    top = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return unpack(pieces, top, job.limits, job.devices)
    finally:
        os.close(top)


def _indexed(job: Unpack, source: int, progress: Callable[[int], None]) -> UnpackDone | None:
    """An image over a tar that is known, of which only the headers are read; None when it does not suit an image."""
    size = os.fstat(source).st_size
    indexer = Indexer(FileStream(source), job.limits, job.devices)
    try:
        done = indexer.run()
    except Unfit:
        return None
    place = Path(job.target)
    place.mkdir(0o700)
    os.link(job.source, place / layer_images.TAR)
    erofs.write_index(place, indexer.inodes.top, size)
    progress(size)
    return UnpackDone("", size, job.known, size, done.entries, done.size, job.target)


def _image(job: Unpack, source: int, progress: Callable[[int], None]) -> UnpackDone:
    place = Path(job.target)
    place.mkdir(0o700)
    tar = place / layer_images.TAR
    linked = job.plain or (job.source if job.source and not _is_compressed(job.source) else "")
    stream = Input(source, job.raw, job.plain if linked else str(tar), job.hash_raw, progress, once=not linked)
    pieces = stream.pieces()
    indexer = Indexer(pieces, job.limits, job.devices)
    try:
        done = indexer.run()
        fits = True
    except Unfit:
        for _ in pieces:
            pass
        fits = False
    stream.close()
    if stream.is_plain and job.raw and not linked:
        linked = job.raw
    if linked:
        os.link(linked, tar)
    if not fits:
        return _done(stream, *_instead(job, tar))
    erofs.write_index(place, indexer.inodes.top, stream.plain_size)
    return _done(stream, done, job.target)


def _instead(job: Unpack, tar: Path) -> tuple[Unpacked, str]:
    """Unpack the tar to a directory after all, and remove the image's."""
    target = job.target.removesuffix(layer_images.SUFFIX)
    try:
        done = _directory(job, target, _pieces(tar))
    except BaseException:
        with suppress(FileNotFoundError):
            _remove(target)
        raise
    _remove(job.target)
    return done, target


def _is_compressed(path: str) -> bool:
    with open(path, "rb") as file:
        return bool(detect(file.read(MAGIC_SIZE)))


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


def _remove(path: str) -> None:
    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(parent, os.fsencode(os.path.basename(path)))
    finally:
        os.close(parent)


def _done(stream: Input, done: Unpacked, target: str) -> UnpackDone:
    return UnpackDone(
        stream.raw_digest, stream.raw_size, stream.plain_digest, stream.plain_size, done.entries, done.size, target
    )
