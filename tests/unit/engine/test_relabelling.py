"""SELinux's labels on files: a kernel without it keeps the attribute for root."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.engine.bundle import relabelling
from cove.engine.bundle.relabelling import Target
from cove.engine.containers.record import MountPoint
from cove.errors import Internal, InvalidArgument
from cove.kernel.mounts import MS_BIND
from cove.kernel.staged_mounts import StagedMount
from unit.engine.containers import record

OWN = "u:object_r:files:s0:c1,c2"
SHARED = "u:object_r:files:s0"
DATA = "/data/volumes/v/_data"
VOLUME = MountPoint("volume", "/v", source=DATA, name="v", mode="z")
BOUND = (StagedMount("file system", DATA, "/host/directory", type="none", flags=MS_BIND),)


def label(path: Path) -> str:
    try:
        return os.getxattr(path, relabelling.ATTRIBUTE, follow_symlinks=False).rstrip(b"\0").decode()
    except OSError:
        return ""


def targets(
    *mounts: MountPoint, staged: tuple[StagedMount, ...] = (), binds: list[str] | None = None, mount_label: str = OWN
) -> list[tuple[str, str]]:
    made = record(mount_label=mount_label, host={"binds": binds})
    return [(target.path, target.label) for target in relabelling.wanted(made, mounts, staged)]


def test_binds_are_when_they_ask_for_it() -> None:
    assert targets(MountPoint("bind", "/b", source="/host")) == []
    assert targets(MountPoint("bind", "/b", source="/host", mode="ro,z")) == [("/host", SHARED)]
    assert targets(MountPoint("bind", "/b", source="/host", mode="Z")) == [("/host", OWN)]
    assert targets(MountPoint("tmpfs", "/b", mode="z"), MountPoint("image", "/i", source="busybox")) == []
    assert targets(MountPoint("bind", "/b", source="/host", mode="Z"), VOLUME, mount_label="") == []


def test_all_of_a_volume_is_where_a_part_is_mounted() -> None:
    part = MountPoint("volume", "/v", source=DATA, name="v", mode="z", subpath="a")
    staged = (StagedMount("part", "/run/c/places/0-part", DATA, "a"),)
    assert targets(part, staged=staged) == [(DATA, SHARED)]


def test_a_directory_of_the_host_as_a_volume_is_when_its_container_asks_for_it() -> None:
    assert targets(VOLUME, staged=BOUND) == targets(VOLUME, staged=BOUND, binds=["v:/v"]) == []
    assert targets(VOLUME, staged=BOUND, binds=["v:/other:z", "v:/v:ro"]) == []
    assert targets(VOLUME, staged=BOUND, binds=["v:/v/:z"]) == [("/host/directory", SHARED)]
    own = MountPoint("volume", "/v", source=DATA, name="v", mode="ro,Z")
    assert targets(own, staged=BOUND, binds=["v:/v:ro,Z"]) == [("/host/directory", OWN)]


def test_a_volume_in_memory_is_not() -> None:
    staged = (StagedMount("file system", DATA, "tmpfs", type="tmpfs"),)
    assert targets(VOLUME, staged=staged, binds=["v:/v:z"]) == []


@pytest.mark.root
def test_all_of_a_tree_gets_the_label_however_deep_it_is(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "outside").touch()
    here = os.open(top, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    relabelling.relabel_all([Target(str(top), SHARED, once=False)])
    deepest = os.getxattr(here, relabelling.ATTRIBUTE)
    os.close(here)
    subprocess.run(["rm", "-rf", top / "d"], check=True)
    assert deepest.rstrip(b"\0").decode() == label(top) == label(top / "link") == SHARED
    assert label(tmp_path / "outside") != SHARED


@pytest.mark.root
def test_a_volume_that_has_the_label_is_not_walked_through(tmp_path: Path) -> None:
    relabelling.relabel_all([Target(str(tmp_path), SHARED, once=True)])
    (tmp_path / "new").touch()
    before = label(tmp_path / "new")
    relabelling.relabel_all([Target(str(tmp_path), SHARED, once=True)])
    assert label(tmp_path / "new") == before != SHARED
    relabelling.relabel_all([Target(str(tmp_path), SHARED, once=False)])
    assert label(tmp_path / "new") == SHARED


@pytest.mark.root
def test_nothing_is_where_one_is_a_directory_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "etc").symlink_to("/etc")
    (tmp_path / "file").touch()
    before = label(Path("/etc")), label(tmp_path / "file")
    for path in ("/etc", f"{tmp_path}/etc", "/usr/../etc/"):
        with pytest.raises(InvalidArgument, match=r"SELinux relabeling of .* is not allowed"):
            relabelling.relabel_all([Target(f"{tmp_path}/file", SHARED, once=False), Target(path, SHARED, once=False)])
    assert (label(Path("/etc")), label(tmp_path / "file")) == before


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "ro"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        (place / "file").touch()
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.root
def test_a_failure_names_the_mount_s_source(read_only: Path) -> None:
    with pytest.raises(Internal) as failed:
        relabelling.relabel_all([Target(str(read_only), SHARED, once=False)])
    assert failed.value.message == f"error setting label on mount source '{read_only}': read-only file system"


def test_what_is_not_there_is_passed_over(tmp_path: Path) -> None:
    relabelling.relabel_all([Target(f"{tmp_path}/missing", SHARED, once=False)])
