"""Where control groups are, on machines of each kind; and a version 2 group on a tree of plain files."""

from pathlib import Path

import pytest

from cove.kernel import cgroup_tree
from cove.kernel.cgroups import Cgroup, Hierarchy, Layout, parse_layout

_ROOT = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
_V1 = (
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup systemd rw,xattr,release_agent=/lib/agent,name=systemd\n"
)
_V2 = "41 31 0:38 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def test_version_1_and_hybrid_machines_use_the_hierarchies_with_controllers() -> None:
    expected = (
        Hierarchy("/sys/fs/cgroup/cpu,cpuacct", 1, ("cpu", "cpuacct"), ""),
        Hierarchy("/sys/fs/cgroup/memory", 1, ("memory",), ""),
        Hierarchy("/sys/fs/cgroup/systemd", 1, (), "systemd"),
    )
    assert parse_layout(_ROOT + _V1) == Layout(expected, unified=False)
    assert parse_layout(_ROOT + _V1 + _V2) == Layout(expected, unified=False)


def test_a_unified_machine_has_one() -> None:
    layout = parse_layout(_ROOT + _V2.replace("/unified", "") + "50 1 0:38 / /mnt/again rw - cgroup2 x rw\n")
    assert layout == Layout((Hierarchy("/sys/fs/cgroup", 2, (), ""),), unified=True)
    assert layout.mount_point("memory") == "/sys/fs/cgroup"


def test_a_hierarchy_that_is_mounted_twice_counts_once() -> None:
    again = "60 1 0:30 / /mnt/memory rw - cgroup cgroup rw,memory\n"
    assert parse_layout(_V1 + again) == parse_layout(_V1)


def test_a_controller_is_found_by_any_of_the_names() -> None:
    layout = parse_layout(_V1)
    assert layout.mount_point("cpuacct") == "/sys/fs/cgroup/cpu,cpuacct"
    assert layout.mount_point("pids") is None


def test_escaped_mount_points() -> None:
    line = "33 31 0:30 / /mnt/a\\040b rw - cgroup2 cgroup2 rw\n"
    assert parse_layout(line).hierarchies[0].mount_point == "/mnt/a b"


@pytest.mark.parametrize("path", ["", "/", "relative/id", "/a//b", "/a/../b", "/a/./b", "/a/"])
def test_a_path_that_is_no_group_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="cgroupsPath"):
        Cgroup(parse_layout(_V2), path)


@pytest.fixture
def unified(tmp_path: Path) -> Cgroup:
    for directory in (tmp_path, tmp_path / "parent"):
        directory.mkdir(exist_ok=True)
        (directory / "cgroup.controllers").write_text("cpu io memory pids\n")
        (directory / "cgroup.subtree_control").write_text("cpu\n" if directory == tmp_path else "")
    return Cgroup(Layout((Hierarchy(str(tmp_path), 2, (), ""),), unified=True), "/parent/box")


def test_creating_hands_the_controllers_down(unified: Cgroup, tmp_path: Path) -> None:
    cgroup_tree.create(unified, frozenset())
    assert (tmp_path / "parent/box").is_dir()
    # A real file adds to what it has; a plain one keeps the last write.
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+io +memory +pids"
    assert (tmp_path / "parent/cgroup.subtree_control").read_text() == "+cpu +io +memory +pids"


def test_reading_counters(unified: Cgroup, tmp_path: Path) -> None:
    unified.create()
    (tmp_path / "parent/box/memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    (tmp_path / "parent/box/cgroup.procs").write_text("12\n34\n")
    (tmp_path / "parent/box/inner").mkdir()
    (tmp_path / "parent/box/inner/cgroup.procs").write_text("56\n")
    assert unified.oom_kills() == 2
    assert unified.counters("cpu", "cpu.stat") == {}
    assert unified.pids() == [12, 34, 56]


def test_killing_is_one_write(unified: Cgroup, tmp_path: Path) -> None:
    unified.create()
    (tmp_path / "parent/box/cgroup.kill").touch()
    unified.kill()
    assert (tmp_path / "parent/box/cgroup.kill").read_text() == "1"


def test_removing_takes_what_is_below_and_forgives_what_is_gone(unified: Cgroup, tmp_path: Path) -> None:
    unified.create()
    (tmp_path / "parent/box/inner/deep").mkdir(parents=True)
    unified.remove()
    assert not (tmp_path / "parent/box").exists()
    unified.remove()


def test_a_write_that_fails_names_the_file(unified: Cgroup) -> None:
    unified.create()
    with pytest.raises(FileNotFoundError, match=r"memory\.max"):
        unified.write("memory", "memory.max", "1")


def test_a_controller_that_is_wanted_and_not_handed_down_is_named(unified: Cgroup) -> None:
    with pytest.raises(OSError, match="rdma are not handed down"):
        cgroup_tree.create(unified, frozenset({"rdma"}))


@pytest.mark.parametrize(
    ("kind", "wanted", "refused", "left"),
    [
        ("domain invalid", {"pids", "cpu"}, "", "threaded"),
        ("domain invalid", {"memory"}, "domain invalid, where the controllers memory", "domain invalid"),
        ("threaded", {"pids"}, "", "threaded"),
        ("threaded", {"io", "memory", "pids"}, "threaded, where the controllers io, memory", "threaded"),
        ("domain", {"memory"}, "", "domain"),
    ],
)
def test_threaded_groups(unified: Cgroup, tmp_path: Path, kind: str, wanted: set[str], refused: str, left: str) -> None:
    box = tmp_path / "parent/box"
    box.mkdir()
    (box / "cgroup.type").write_text(kind)
    (box / "cgroup.controllers").write_text("cpu io memory pids\n")
    if refused:
        with pytest.raises(OSError, match=refused):
            cgroup_tree.create(unified, frozenset(wanted))
    else:
        cgroup_tree.create(unified, frozenset(wanted))
    assert (box / "cgroup.type").read_text().startswith(left)  # a plain file keeps the end of what it had


def test_a_root_that_is_none_moves_its_processes_aside(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("12\n")
    cgroup_tree.vacate_root(str(tmp_path))
    assert not (tmp_path / "init").exists(), "the kernel's own root may hold processes"
