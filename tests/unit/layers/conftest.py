import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cove.kernel import layer_images, mounts
from cove.layers.erofs import image as erofs
from cove.layers.erofs.indexer import Indexer, Unfit
from cove.layers.tar.reader import Limits
from cove.layers.unpack import Unpacked, unpack

DEFAULT = Limits()
Unpack = Callable[..., Unpacked]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory that tests unpack into, with a neighbour that must not be touched."""
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def _into_directory(pieces: Iterator[bytes], root: Path, limits: Limits, devices: bool) -> Unpacked:
    top = os.open(root, os.O_RDONLY)
    try:
        return unpack(pieces, top, limits, devices)
    finally:
        os.close(top)


def _into_image(data: bytes, pieces: Iterator[bytes], root: Path, limits: Limits, devices: bool) -> Unpacked:
    """An image that is mounted at ``root``; where an image cannot say it, a directory after all."""
    place = root.parent / "layer"
    place.mkdir()
    (place / "tar").write_bytes(data)
    indexer = Indexer(pieces, limits, devices)
    try:
        done = indexer.run()
    except Unfit:
        return _into_directory(iter([data]), root, limits, devices)
    with (place / "index").open("wb") as index:
        erofs.write(indexer.inodes.top, len(data), index)
    mount, target = layer_images.mount(str(place)), os.open(root, os.O_PATH)
    mounts.attach(mount, target)
    os.close(mount)
    os.close(target)
    return done


@pytest.fixture(params=["directory", pytest.param("image", marks=[pytest.mark.root, pytest.mark.needs("erofs")])])
def unpacked(request: pytest.FixtureRequest, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Unpack]:
    """Unpacks bytes to ``root``, in pieces of ``size``; afterwards nothing else has changed."""

    def run(data: bytes, size: int = 1 << 16, limits: Limits = DEFAULT, devices: bool = True) -> Unpacked:
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        if request.param == "directory":
            return _into_directory(pieces, root, limits, devices)
        return _into_image(data, pieces, root, limits, devices)

    before, opened = os.umask(0), len(os.listdir("/proc/self/fd"))
    yield run
    os.umask(before)
    if os.path.ismount(root):
        mounts.unmount(str(root))
    shutil.rmtree(root.parent / "layer", ignore_errors=True)
    assert len(os.listdir("/proc/self/fd")) == opened
    assert (root.parent / "outside").read_text() == "untouched"
    assert sorted(os.listdir(root.parent)) == ["outside", "root"]
