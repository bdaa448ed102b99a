"""Volumes of the driver ``local`` with options: file systems that are mounted while somebody uses them."""

import errno
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static")

MEMORY = ("-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=7,mode=750")


def host_mounts(engine: Engine) -> list[str]:
    """The mounts below the data root, as the host sees them."""
    root = str(engine.data_root)
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if root in line]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A block device with an ext4."""
    file = tmp_path / "disk"
    with open(file, "wb") as image:
        image.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(file)], check=True)
    device = subprocess.run(["losetup", "--show", "-f", str(file)], check=True, capture_output=True, text=True)
    yield device.stdout.strip()
    subprocess.run(["losetup", "-d", device.stdout.strip()], check=True)


def test_in_memory_it_is_shared_while_it_is_used(daemon: Engine) -> None:
    daemon.docker("volume", "create", *MEMORY, "fast")
    daemon.docker("run", "-d", "--name", "one", "-v", "fast:/data", "busybox", "sleep", "600")
    daemon.docker("exec", "one", "sh", "-c", "echo here > /data/file")
    shown = daemon.docker(
        "run", "--rm", "-v", "fast:/else", "busybox", "sh", "-c", "cat /else/file; stat -c %u:%a /else"
    )
    assert shown.out == "here\n7:750\n"
    daemon.docker("run", "-d", "--name", "two", "-v", "fast:/else", "busybox", "sleep", "600")
    daemon.docker("rm", "-f", "one")
    assert daemon.docker("exec", "two", "cat", "/else/file").out == "here\n"
    full = daemon.docker("exec", "two", "dd", "if=/dev/zero", "of=/else/big", "bs=1M", "count=2", check=False)
    assert full.code != 0 and "No space left on device" in full.err
    assert not host_mounts(daemon)
    daemon.docker("rm", "-f", "two")
    assert daemon.docker("run", "--rm", "-v", "fast:/data", "busybox", "ls", "/data").out == ""


def test_containers_that_start_together_share_it(daemon: Engine) -> None:
    daemon.docker("volume", "create", *MEMORY, "fast")
    names = [f"box{number}" for number in range(6)]
    for name in names:
        daemon.docker("create", "--name", name, "-v", "fast:/data", "busybox", "sleep", "600")
    daemon.docker("start", *names)
    for name in names:
        daemon.docker("exec", name, "touch", f"/data/{name}")
    assert daemon.docker("exec", "box0", "ls", "/data").out.split() == names
    daemon.docker("rm", "-f", *names)


@pytest.mark.needs("cove")
def test_it_outlives_the_daemon_with_its_containers(fresh_daemon: Daemon) -> None:
    fresh_daemon.docker("volume", "create", *MEMORY, "fast")
    fresh_daemon.docker("run", "-d", "--name", "one", "-v", "fast:/data", "busybox", "sleep", "600")
    fresh_daemon.docker("exec", "one", "sh", "-c", "echo here > /data/file")
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert fresh_daemon.docker("run", "--rm", "-v", "fast:/d", "busybox", "cat", "/d/file").out == "here\n"
    fresh_daemon.docker("rm", "-f", "one")
    assert fresh_daemon.docker("run", "--rm", "-v", "fast:/d", "busybox", "ls", "/d").out == ""


def test_on_a_block_device(daemon: Engine, disk: str) -> None:
    daemon.docker("volume", "create", "-o", "type=ext4", "-o", f"device={disk}", "-o", "o=noatime", "block")
    write = "echo kept > /data/file; grep ' /data ' /proc/mounts"
    mounted = daemon.docker("run", "--rm", "-v", "block:/data", "busybox", "sh", "-c", write).out.split()
    assert mounted[0] == disk and mounted[2] == "ext4" and "noatime" in mounted[3].split(",")
    daemon.docker("run", "-d", "--name", "one", "-v", "block:/data", "busybox", "sleep", "600")
    assert daemon.docker("run", "--rm", "-v", "block:/data:ro", "busybox", "cat", "/data/file").out == "kept\n"
    assert not host_mounts(daemon)
    daemon.docker("rm", "-f", "one")
    subprocess.run(["e2fsck", "-fn", disk], check=True, capture_output=True)
    daemon.docker("volume", "rm", "block")
    daemon.docker("volume", "create", "-o", "type=ext4", "-o", f"device={disk}", "again")
    assert daemon.docker("run", "--rm", "-v", "again:/data", "busybox", "cat", "/data/file").out == "kept\n"


@pytest.mark.needs("cove")
@pytest.mark.parametrize("survives", [True, False], ids=["container-survives", "container-dies"])
def test_a_device_is_let_go_after_kill_9(fresh_daemon: Daemon, disk: str, survives: bool) -> None:
    """Nobody unmounts: the kernel does with the container's last process, whoever was killed in between."""
    fresh_daemon.docker("volume", "create", "-o", "type=ext4", "-o", f"device={disk}", "block")
    fresh_daemon.docker("run", "-d", "--name", "one", "-v", "block:/data", "busybox", "sleep", "600")
    fresh_daemon.docker("exec", "one", "sh", "-c", "echo kept > /data/file; sync")
    pid = int(fresh_daemon.docker("inspect", "-f", "{{.State.Pid}}", "one").out)
    assert not _is_free(disk)
    fresh_daemon.kill9()
    if not survives:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: _is_free(disk))
    fresh_daemon.start()
    if survives:
        assert not _is_free(disk)
        assert fresh_daemon.docker("exec", "one", "cat", "/data/file").out == "kept\n"
    fresh_daemon.docker("rm", "-f", "one")
    eventually(lambda: _is_free(disk))
    assert not host_mounts(fresh_daemon)
    subprocess.run(["e2fsck", "-fn", disk], check=True, capture_output=True)
    read = ("run", "--rm", "-v", "block:/data", "busybox", "cat", "/data/file")
    assert fresh_daemon.docker(*read).out == "kept\n"


def _is_free(device: str) -> bool:
    """Whether no file system is mounted from it anywhere: only then may it be opened by one alone."""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        assert error.errno == errno.EBUSY
        return False
    return True


def test_on_a_directory_of_the_host(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("the host's\n")
    daemon.docker("volume", "create", "-o", "type=none", "-o", "o=bind,ro", "-o", f"device={tmp_path}", "bound")
    read = daemon.docker(
        "run", "--rm", "-v", "bound:/data", "busybox", "sh", "-c", "cat /data/file; touch /data/x", check=False
    )
    assert read.out == "the host's\n" and "Read-only file system" in read.err
    daemon.docker("volume", "rm", "bound")
    assert (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("type=none", "o=bind", "device=/no/such"),
            "mount /no/such:{place}, flags: 0x1000: no such file or directory",
        ),
        (
            ("type=nosuchfs", "device=/dev/null", "o=ro,foo"),
            "mount /dev/null:{place}, flags: 0x1, data: foo: no such device",
        ),
        (("type=ext4", "device=/dev/null"), "mount /dev/null:{place}: block device required"),
    ],
)
def test_what_cannot_be_mounted(daemon: Engine, options: tuple[str, ...], words: str) -> None:
    given = [word for option in options for word in ("-o", option)]
    daemon.docker("volume", "create", *given, "broken")
    place = daemon.docker("volume", "inspect", "-f", "{{.Mountpoint}}", "broken").out.strip()
    daemon.docker("create", "--name", "box", "-v", "broken:/data", "busybox", "true")
    failed = daemon.docker("start", "box", check=False)
    expected = f"error while mounting volume '{place}': failed to mount local volume: {words.format(place=place)}"
    assert f"Error response from daemon: {expected}\n" in failed.err, failed.err


def test_a_server_without_an_address(daemon: Engine) -> None:
    options = ("-o", "type=nfs", "-o", "device=:/export", "-o", "o=addr=nowhere.invalid,rw")
    daemon.docker("volume", "create", *options, "far")
    failed = daemon.docker("run", "--rm", "-v", "far:/data", "busybox", "true", check=False)
    assert "error resolving passed in network volume address: lookup nowhere.invalid" in failed.err, failed.err


def test_a_mount_brings_options(daemon: Engine) -> None:
    mount = "type=volume,src=made,dst=/data,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs"
    options = "volume-opt=o=size=1m,volume-label=color=blue"
    shown = daemon.docker("run", "--rm", "--mount", f"{mount},{options}", "busybox", "df", "-k", "/data")
    assert shown.out.splitlines()[1].split()[1] == "1024"
    assert daemon.docker("volume", "inspect", "-f", "{{.Options}} {{.Labels}}", "made").out == (
        "map[device:tmpfs o:size=1m type:tmpfs] map[color:blue]\n"
    )
