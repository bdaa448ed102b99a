"""Paths below a root that is not trusted."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.kernel import paths


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    return tmp_path


@pytest.fixture
def root(tree: Path) -> Iterator[int]:
    descriptor = os.open(tree / "root", os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("target", ["../outside", "../../../../../../outside", "{tree}/outside", "/proc/self/root"])
def test_no_link_leads_out(tree: Path, root: int, target: str) -> None:
    (tree / "root/link").symlink_to(target.format(tree=tree))
    with pytest.raises(OSError, match="link"):
        paths.open_in_root(root, "link/secret", os.O_RDONLY)
    with pytest.raises(OSError, match="secret"):
        paths.open_in_root(root, "../outside/secret", os.O_RDONLY)


def test_an_absolute_link_is_inside(tree: Path, root: int) -> None:
    (tree / "root/etc").mkdir()
    (tree / "root/etc/file").write_text("inside")
    (tree / "root/link").symlink_to("/etc/file")
    assert paths.read_file(root, "link", 100) == b"inside"
    with pytest.raises(OSError, match="link"):
        paths.open_in_root(root, "link", os.O_PATH, links=False)


def test_making_directories_follows_dangling_links_inside(tree: Path, root: int) -> None:
    (tree / "root/var").symlink_to("/../../outside/deep")
    os.close(paths.make_directories(root, "/var/run/x"))
    assert (tree / "root/outside/deep/run/x").is_dir()
    assert [entry.name for entry in (tree / "outside").iterdir()] == ["secret"]


def test_making_directories_through_relative_links_and_dots(tree: Path, root: int) -> None:
    (tree / "root/a").mkdir()
    (tree / "root/a/link").symlink_to("../b/./c")
    os.close(paths.make_directories(root, "/a/link/d/../e/"))
    assert (tree / "root/b/c/e").is_dir()


def test_a_loop_of_links_ends(tree: Path, root: int) -> None:
    (tree / "root/one").symlink_to("two")
    (tree / "root/two").symlink_to("one")
    with pytest.raises(OSError, match="one"):
        paths.make_directories(root, "one/x")
    with pytest.raises(OSError, match="one"):
        paths.make_file(root, "one")


def test_a_link_that_grows_ends(tree: Path, root: int) -> None:
    (tree / "root/grow").symlink_to("grow2/x")
    (tree / "root/grow2").symlink_to("grow/x")
    with pytest.raises(OSError, match="grow"):
        paths.make_directories(root, "grow/x")


def test_a_file_in_the_way(tree: Path, root: int) -> None:
    (tree / "root/file").touch()
    with pytest.raises(NotADirectoryError):
        paths.make_directories(root, "file/x")


def test_making_a_file(tree: Path, root: int) -> None:
    os.close(paths.make_file(root, "/a/b/file"))
    (tree / "root/link").symlink_to("/../new/place")
    os.close(paths.make_file(root, "/link"))
    assert (tree / "root/a/b/file").is_file()
    assert (tree / "root/new/place").is_file()


def test_only_regular_files_of_a_sane_size_are_read(tree: Path, root: int) -> None:
    os.mkfifo(tree / "root/fifo")
    (tree / "root/huge").touch()
    os.truncate(tree / "root/huge", 1 << 40)
    (tree / "root/tty").symlink_to("/dev/tty")
    for name, error in (("fifo", ValueError), ("huge", ValueError), (".", ValueError), ("tty", FileNotFoundError)):
        with pytest.raises(error):
            paths.read_file(root, name, 1000)


def test_descriptors_are_close_on_exec_and_none_is_left(root: int, tree: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    for path in ("/x/y", "/x/../z"):
        descriptor = paths.make_directories(root, path)
        assert not os.get_inheritable(descriptor)
        os.close(descriptor)
    assert set(os.listdir("/proc/self/fd")) == before
