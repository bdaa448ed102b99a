"""Walks through directories that may be changed meanwhile."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cove.kernel import walks


@pytest.fixture
def top(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    made = tmp_path / "top"
    made.mkdir()
    descriptor = os.open(made, os.O_PATH)
    yield made, descriptor
    os.close(descriptor)
    subprocess.run(["rm", "-rf", made], check=True)


def deepen(directory: Path, levels: int) -> None:
    """A directory in a directory and so on, each with a file."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(levels):
        os.close(os.open("file", os.O_CREAT, dir_fd=here))
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def names(descriptor: int) -> list[str]:
    return [name for _, name in walks.below(descriptor)]


def test_what_is_in_a_directory_comes_before_it(top: tuple[Path, int]) -> None:
    for name in ("a/b/one", "a/b/two", "c/three"):
        (top[0] / name).parent.mkdir(parents=True, exist_ok=True)
        (top[0] / name).touch()
    found = names(top[1])
    assert sorted(found) == ["a", "b", "c", "one", "three", "two"]
    assert found.index("one") < found.index("b") < found.index("a") and found.index("three") < found.index("c")


def test_links_are_not_followed(top: tuple[Path, int]) -> None:
    (top[0] / "below").mkdir()
    (top[0] / "below" / "file").touch()
    (top[0] / "link").symlink_to("/etc/passwd")
    (top[0] / "out").symlink_to("/etc")
    assert sorted(names(top[1])) == ["below", "file", "link", "out"]


def test_a_walk_of_any_depth_has_few_directories_open(top: tuple[Path, int]) -> None:
    deepen(top[0], 3000)
    before = set(os.listdir("/proc/self/fd"))
    seen, most = [], 0
    for directory, name in walks.below(top[1]):
        assert os.stat(name, dir_fd=directory, follow_symlinks=False)
        seen.append(name)
        most = max(most, len(os.listdir("/proc/self/fd")) - len(before))
    assert seen == ["file"] * 3000 + ["d"] * 3000
    assert most <= walks.OPEN + 3
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_directory_that_becomes_a_link_is_passed_over(top: tuple[Path, int]) -> None:
    (top[0] / "d").mkdir()
    (top[0] / "file").touch()
    seen = []
    for _, name in walks.below(top[1]):
        seen.append(name)
        if name == "file":
            (top[0] / "d").rmdir()
            (top[0] / "d").symlink_to("/etc")
    assert seen == ["file"]


def test_no_way_leads_out_of_a_directory_that_is_moved_out_meanwhile(top: tuple[Path, int], tmp_path: Path) -> None:
    deepen(top[0], walks.OPEN + 10)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").touch()
    seen = []
    with closing(walks.below(top[1])) as found, pytest.raises(OSError) as failed:
        for _, name in found:
            seen.append(name)
            if len(seen) == walks.OPEN + 10:
                (top[0] / "d" / "d").rename(tmp_path / "elsewhere" / "d")
    assert failed.value.errno == errno.ESTALE and "secret" not in seen
    subprocess.run(["rm", "-rf", tmp_path / "elsewhere"], check=True)
