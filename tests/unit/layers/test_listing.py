"""Names of large directories in their order."""

import os
import tracemalloc
from pathlib import Path

import pytest

from cove.layers.listing import sorted_names

LONG = "x" * 100


@pytest.fixture
def two(tmp_path: Path) -> tuple[int, int]:
    """Two directories with 6,000 files each, a third of them of the same names."""
    descriptors = []
    for place, first in ((tmp_path / "one", 0), (tmp_path / "two", 4000)):
        place.mkdir()
        for number in range(first, first + 6000):
            (place / f"{LONG}{number:05}").touch()
        descriptors.append(os.open(place, os.O_RDONLY))
    return descriptors[0], descriptors[1]


@pytest.mark.parametrize("most", [1, 4, 5, 6, 100])
def test_every_name_once_and_in_order(tmp_path: Path, most: int) -> None:
    names = [b"b", b"a", b"c\xff", b"c", b"\xc3\xa4"]
    for name in names:
        os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    directory = os.open(tmp_path, os.O_RDONLY)
    assert list(sorted_names(directory, most=most)) == sorted(names)
    assert list(sorted_names(directory, directory, most=most)) == sorted(names)
    os.close(directory)


def test_few_are_held_at_a_time(two: tuple[int, int]) -> None:
    tracemalloc.start()
    try:
        last, count = b"", 0
        for name in sorted_names(*two, most=500):
            assert name > last
            last, count = name, count + 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        for directory in two:
            os.close(directory)
    assert count == 10_000
    assert peak < 400_000


def test_of_nothing(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    assert list(sorted_names(directory)) == [] == list(sorted_names())
    os.close(directory)
