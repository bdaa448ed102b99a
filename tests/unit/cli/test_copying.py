"""The archives of ``cp``: what is held of them, and what they say."""

import io
import os
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cove.cli.copying import extract, pack


def _peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _cut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """As a socket gives them."""
    for piece in pieces:
        for at in range(0, len(piece), 1 << 16):
            yield piece[at : at + (1 << 16)]


def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(64 << 20)
    assert _peak(lambda: sum(map(len, pack(str(tmp_path / "large"), "large", follow=False)))) < 4 << 20
    packed = _cut(pack(str(tmp_path / "large"), "large", follow=False))
    assert _peak(lambda: extract(packed, str(tmp_path), "out", keep_owner=False)) < 8 << 20
    assert (tmp_path / "out").stat().st_size == 64 << 20


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    for directory in range(30):
        (tmp_path / "tree" / str(directory)).mkdir(parents=True)
        for number in range(200):
            (tmp_path / "tree" / str(directory) / str(number)).touch()
    packed = _cut(pack(str(tmp_path / "tree"), "tree", follow=False))
    assert _peak(lambda: extract(packed, str(tmp_path), "out", keep_owner=False)) < 2 << 20
    assert len(list((tmp_path / "out").rglob("*"))) == 6030


def test_names_of_one_file_stay_one(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_text("text")
    (tmp_path / "tree" / "b").hardlink_to(tmp_path / "tree" / "a")
    whole = b"".join(pack(str(tmp_path / "tree"), "top", follow=False))
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        assert archive.getmember("top/b").linkname == "top/a"
    extract(iter([whole]), str(tmp_path), "out", keep_owner=False)
    assert os.stat(tmp_path / "out" / "a").st_ino == os.stat(tmp_path / "out" / "b").st_ino


@pytest.mark.parametrize("change", [10, 5000])
def test_a_file_that_changes_its_size_meanwhile(tmp_path: Path, change: int) -> None:
    """It is cut, or filled up with zeros; what comes after it is where it should be."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    pieces = pack(str(tmp_path), "top", follow=False)
    begun = [next(pieces), next(pieces)]
    (tmp_path / "a").write_bytes(b"c" * change)
    whole = b"".join([*begun, *pieces])
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        found = archive.extractfile("top/b")
        assert archive.getmember("top/a").size == 1000 and found is not None and found.read() == b"b" * 1000
