import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cove.layers.tar import Limits
from cove.layers.unpack import Unpacked, unpack

DEFAULT = Limits()
Unpack = Callable[..., Unpacked]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory that tests unpack into, with a neighbour that must not be touched."""
    (tmp_path / "outside").write_text("untouched")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def unpacked(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Unpack]:
    """Unpacks bytes into ``root``, in pieces of ``size``; afterwards nothing else has changed."""

    def run(data: bytes, size: int = 1 << 16, limits: Limits = DEFAULT, devices: bool = True) -> Unpacked:
        top = os.open(root, os.O_RDONLY)
        try:
            return unpack((data[at : at + size] for at in range(0, len(data), size)), top, limits, devices)
        finally:
            os.close(top)

    before, opened = os.umask(0), len(os.listdir("/proc/self/fd"))
    yield run
    os.umask(before)
    assert len(os.listdir("/proc/self/fd")) == opened
    assert (root.parent / "outside").read_text() == "untouched"
    assert sorted(os.listdir(root.parent)) == ["outside", "root"]
