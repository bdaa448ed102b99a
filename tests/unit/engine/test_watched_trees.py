"""Sizes that are kept by events are those that a walk finds, whatever happens in between."""

import os
import random
import shutil
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.engine import watched_trees
from cove.engine.sizes import tree_size
from cove.engine.watched_trees import TooLargeError, WatchedTrees

_read: list[str] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "os.scandir":
        _read.append(str(arguments[0]))


sys.addaudithook(_note)


@pytest.fixture
def read() -> Iterator[list[str]]:
    """The directories that were read, in order."""
    _read.clear()
    yield _read


@pytest.fixture
def trees() -> Iterator[WatchedTrees]:
    made = WatchedTrees()
    yield made
    made.close()


def test_only_what_has_changed_is_read(trees: WatchedTrees, tmp_path: Path, read: list[str]) -> None:
    for number in range(20):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / "file").write_bytes(b"x" * number)
    assert trees.size("one", tmp_path) == sum(range(20)) and len(read) == 21
    read.clear()
    assert trees.size("one", tmp_path) == sum(range(20)) and read == []
    with open(tmp_path / "d3" / "file", "ab") as file:
        file.write(b"more")
    (tmp_path / "d5" / "file").unlink()
    assert trees.size("one", tmp_path) == sum(range(20)) + 4 - 5
    assert sorted(read) == [f"{tmp_path}/d3", f"{tmp_path}/d5"]


def test_what_has_not_changed_is_told_without_reading(trees: WatchedTrees, tmp_path: Path, read: list[str]) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_bytes(b"12345")
    assert trees.unchanged("one", root) is None, "it was never measured"
    trees.size("one", root)
    read.clear()
    assert trees.unchanged("one", root) == 5
    (root / "file").write_bytes(b"123456")
    assert trees.unchanged("one", root) is None
    assert read == [] and trees.size("one", root) == trees.unchanged("one", root) == 6
    root.rename(tmp_path / "gone")
    root.mkdir()
    assert trees.unchanged("one", root) is None, "another directory is in its place"
    assert trees.size("one", root) == 0
    for number in range(watched_trees.SMALL):
        (root / str(number)).mkdir()
    trees.size("one", root)
    assert trees.unchanged("one", root) is None, "there is much to add up"


def test_a_second_name_in_another_directory(trees: WatchedTrees, tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    assert trees.size("one", tmp_path) == 11
    (tmp_path / "two" / "other").hardlink_to(tmp_path / "one" / "file")
    assert trees.size("one", tmp_path) == 11
    with open(tmp_path / "two" / "other", "a") as file:
        file.write("more")
    assert trees.size("one", tmp_path) == 15
    (tmp_path / "two" / "other").unlink()
    assert trees.size("one", tmp_path) == 15


def test_memory_does_not_grow_with_the_number_of_files(trees: WatchedTrees, tmp_path: Path) -> None:
    for number in range(5000):
        (tmp_path / str(number)).touch()
    tracemalloc.start()
    try:
        trees.size("one", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_directory_in_the_place_of_the_tree(trees: WatchedTrees, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("root", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    assert trees.size("one", root) == 4
    root.rename(tmp_path / "old")
    (tmp_path / "other").rename(root)
    assert trees.size("one", root) == 5
    shutil.rmtree(root)
    assert trees.size("one", root) == 0


def test_too_much(trees: WatchedTrees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_trees, "MOST", 3)
    (tmp_path / "small" / "a").mkdir(parents=True)
    (tmp_path / "large" / "a" / "b" / "c").mkdir(parents=True)
    assert trees.size("small", tmp_path / "small") == 0
    with pytest.raises(TooLargeError):
        trees.size("large", tmp_path / "large")


@pytest.mark.parametrize("seed", range(int(os.environ.get("COVE_TEST_TREES", "8"))))
def test_random_changes(trees: WatchedTrees, tmp_path: Path, seed: int) -> None:
    """Two trees of one file system, between which directories move too."""
    chance = random.Random(seed)
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        root.mkdir()
    for _ in range(30):
        for _ in range(chance.randrange(6)):
            _change(chance, roots)
        for root in chance.sample(roots, 2):
            assert trees.size(root.name, root) == tree_size(root)


def _change(chance: random.Random, roots: list[Path]) -> None:
    everything = sorted(path for root in roots for path in root.rglob("*"))
    directories = [*roots, *(path for path in everything if path.is_dir())]
    files = [path for path in everything if path.is_file()]
    place = chance.choice(directories) / f"n{chance.randrange(8)}"
    near = [file for file in files if _same_tree(roots, file, place)]
    action = chance.choice(["write", "write", "write", "mkdir", "mkdir", "append", "link", "remove", "move", "move"])
    if action == "write" and not place.is_dir():
        place.write_bytes(b"x" * chance.randrange(9000))
    elif action == "mkdir" and not place.exists():
        place.mkdir()
    elif action == "append" and files:
        os.truncate(chance.choice(files), chance.randrange(9000))
    elif action == "link" and near and not place.exists():
        os.link(chance.choice(near), place)
    elif action == "remove" and everything:
        gone = chance.choice(everything)
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    elif action == "move" and everything:
        moved = chance.choice(everything)
        inside = [path for path in (moved, *moved.rglob("*")) if path.is_file()]
        safe = all(path.stat().st_nlink == 1 for path in inside) or _same_tree(roots, moved, place)
        if safe and not place.exists() and moved not in [place, *place.parents]:
            moved.rename(place)


def _same_tree(roots: list[Path], one: Path, other: Path) -> bool:
    """Names of one file are not to be in both."""
    return any(root in one.parents and root in other.parents for root in roots)
