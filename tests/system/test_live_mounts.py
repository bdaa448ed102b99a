"""``cove update --mount-add`` and ``--mount-rm``: mounts of a container that runs."""

import os
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")

SWAP = "mkdir -p /swap; while :; do ln -sfn /proc /swap/it; rm -rf /swap/it; mkdir /swap/it; done"


def _run(engine: Engine, *flags: str) -> None:
    engine.docker("run", "-d", "--name", "box", *flags, "busybox", "sleep", "600")


def _inside(engine: Engine, *command: str) -> str:
    return engine.docker("exec", "box", *command).out


def test_a_volume_comes_and_goes(daemon: Engine) -> None:
    daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo hi > /d/file")
    _run(daemon)
    daemon.cove("update", "--mount-add", "type=volume,source=data,target=/new/place", "box")
    assert _inside(daemon, "cat", "/new/place/file") == "hi\n"
    _inside(daemon, "sh", "-c", "echo more > /new/place/more")
    assert "in use" in daemon.docker("volume", "rm", "data", check=False).err
    shown = daemon.docker("inspect", "-f", "{{(index .Mounts 0).Name}} {{(index .Mounts 0).Destination}}", "box").out
    assert shown == "data /new/place\n"
    daemon.docker("restart", "-t", "0", "box")
    assert _inside(daemon, "cat", "/new/place/more") == "more\n"
    daemon.cove("update", "--mount-rm", "/new/place/", "box")
    assert _inside(daemon, "ls", "/new/place") == ""
    daemon.docker("volume", "rm", "data")
    daemon.docker("restart", "-t", "0", "box")
    assert daemon.docker("inspect", "-f", "{{len .Mounts}}", "box").out == "0\n"


def test_binds_of_directories_and_files(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    _run(daemon, "-v", f"{tmp_path}:/old")
    daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path},target=/dir,readonly", "box")
    daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path}/file,target=/etc/one", "box")
    assert _inside(daemon, "cat", "/dir/file", "/etc/one") == "texttext"
    assert "Read-only file system" in daemon.docker("exec", "box", "touch", "/dir/new", check=False).err
    daemon.cove("update", "--mount-rm", "/etc/one", "--mount-rm", "/old", "--mount-rm", "/dir", "box")
    assert _inside(daemon, "ls", "/dir", "/old").split() == ["/dir:", "/old:"]
    assert daemon.docker("inspect", "-f", "{{len .Mounts}} {{.HostConfig.Binds}}", "box").out == "0 []\n"


def test_of_a_stopped_container(daemon: Engine, tmp_path: Path) -> None:
    daemon.docker("create", "--name", "box", "busybox", "ls", "/dir")
    (tmp_path / "seen").touch()
    daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path},target=/dir", "box")
    assert daemon.docker("start", "-a", "box").out == "seen\n"


def test_a_volume_with_a_size_comes_with_the_next_start(daemon: Engine) -> None:
    daemon.docker("volume", "create", "-o", "size=16m", "small")
    daemon.docker("create", "--name", "box", "busybox", "df", "-m", "/dir")
    daemon.cove("update", "--mount-add", "type=volume,source=small,target=/dir", "box")
    assert "/dev/loop" in daemon.docker("start", "-a", "box").out
    daemon.docker("rm", "box")
    daemon.docker("volume", "rm", "small")


@pytest.mark.needs("cgroup-v1")  # version 2 ends processes instead
def test_all_of_an_update_or_nothing(daemon: Engine, tmp_path: Path) -> None:
    """A limit that the kernel refuses takes the mount back."""
    fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null; touch /full; sleep 600"
    daemon.docker("run", "-d", "--name", "box", "-m", "64m", "--memory-swap", "64m", "busybox", "sh", "-c", fill)
    eventually(lambda: daemon.docker("exec", "box", "test", "-e", "/full", check=False).code == 0)
    before = daemon.http("GET", "/containers/box/json").json()
    add = ("--mount-add", f"type=bind,source={tmp_path},target=/dir")
    done = daemon.cove("update", "-m", "8m", "--memory-swap", "8m", *add, "box", check=False)
    assert done.code == 1 and "memory" in done.err, done
    assert daemon.http("GET", "/containers/box/json").json() == before
    assert _inside(daemon, "sh", "-c", "grep -c ' /dir ' /proc/mounts || true") == "0\n"


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--mount-add=type=bind,source=/nonesuch,target=/x", "bind source path does not exist: /nonesuch"),
        ("--mount-add=type=tmpfs,target=/x", "needs a restart"),
        ("--mount-add=type=bind,source=/etc,target=/taken", "Duplicate mount point: /taken"),
        ("--mount-add=type=bind,source=/etc,target=/proc/sys", "inside /proc"),
        ("--mount-add=type=bind,source=/etc,target=/bin/busybox", "is not a directory"),
        ("--mount-rm=/etc", "the container has no mount at /etc"),
    ],
)
def test_what_is_refused_changes_nothing(daemon: Engine, flag: str, words: str) -> None:
    _run(daemon, "-v", "/taken")
    before = daemon.http("GET", "/containers/box/json").json()
    done = daemon.cove("update", "--cpu-shares", "100", flag, "box", check=False)
    assert done.code == 1 and words in done.err
    assert daemon.http("GET", "/containers/box/json").json() == before


def test_links_lead_inside(daemon: Engine, tmp_path: Path) -> None:
    """A link of the container's to a place of the host is a place of the container."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "secret").touch()
    (tmp_path / "host").mkdir()
    _run(daemon)
    _inside(daemon, "ln", "-s", f"../../../../..{tmp_path}/host", "/way")
    daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path}/source,target=/way", "box")
    assert os.listdir(tmp_path / "host") == []
    assert _inside(daemon, "ls", f"{tmp_path}/host") == "secret\n"


def test_a_place_that_is_swapped_for_a_link(daemon: Engine, tmp_path: Path) -> None:
    """Whatever happens meanwhile, nothing is mounted on the host or below the container's /proc."""
    daemon.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", SWAP)
    for _ in range(10):
        done = daemon.cove("update", "--mount-add", f"type=bind,source={tmp_path},target=/swap/it", "box", check=False)
        if done.code == 0:
            daemon.cove("update", "--mount-rm", "/swap/it", "box", check=False)
    assert " /proc/" not in _inside(daemon, "sh", "-c", f"grep {tmp_path} /proc/self/mountinfo || :")
    assert [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/swap/it" in line] == []
