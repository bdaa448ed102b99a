"""A full data root or run root: clear errors, nobody left waiting, and all is well once there is room again."""

import contextlib
import itertools
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.leaks import LeakCheck, remove_everything
from harness.oci_layout import Layout, tar
from harness.registries import served
from harness.waiting import eventually

pytestmark = [pytest.mark.needs("cove")]

_numbers = itertools.count(1)


@contextlib.contextmanager
def _small(root: str, size: str, *flags: str, kind: str = "tmpfs", inodes: int = 0) -> Iterator[Daemon]:
    """A daemon with a small ``data_root`` or ``exec_root``; it must leave nothing. ``kind``: ``tmpfs`` or ``ext4``.

    ``inodes``: how many files an ext4 has room for.
    """
    daemon = Daemon(f"cove-test-{os.getpid()}-full{next(_numbers)}", "--debug", *flags)
    try:
        directory: Path = getattr(daemon, root)
        directory.mkdir()
        _mount(directory, size, kind, inodes)
        daemon.start()
        daemon.load_base_image()
        daemon.docker("run", "--rm", "-p", "18080:80", "busybox", "true")
        leaks = LeakCheck(daemon)
        yield daemon
        remove_everything(daemon, keep_images=True)
        leaks.check()
    finally:
        daemon.close()


def _mount(directory: Path, size: str, kind: str, inodes: int) -> None:
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)], check=True)
        return
    disk = directory.with_name("disk")
    subprocess.run(["truncate", "-s", size, str(disk)], check=True)
    words = ["-N", str(inodes)] if inodes else []
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", *words, str(disk)], check=True)
    subprocess.run(["mount", "-o", "loop", str(disk), str(directory)], check=True)


@contextlib.contextmanager
def _filled(directory: Path) -> Iterator[None]:
    filler = directory / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 16, 1 << 9, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(descriptor, b"x" * size)
        yield
    finally:
        os.close(descriptor)
        filler.unlink()


def _states(daemon: Daemon) -> dict[str, str]:
    listed = daemon.docker("ps", "-a", "--format", "{{.Names}} {{.State}}").out.splitlines()
    return dict(line.split() for line in listed)


def test_data_root() -> None:
    with _small("data_root", "24m") as daemon:
        daemon.docker("run", "-d", "--name", "stopped", "-p", "18081:80", "busybox", "sleep", "600")
        daemon.docker("run", "-d", "--name", "killed", "--net", "none", "busybox", "sleep", "600")
        daemon.docker("run", "-d", "--rm", "--name", "gone", "busybox", "sleep", "600")
        daemon.docker("create", "--name", "made", "--net", "none", "busybox", "sleep", "600")
        with _filled(daemon.data_root):
            for command in (("create", "busybox"), ("start", "made"), ("rm", "made"), ("volume", "create", "full")):
                refused = daemon.docker(*command, check=False, timeout=15)
                assert refused.code != 0, command
                assert "disk is full" in refused.err or "No space left on device" in refused.err, refused
            daemon.docker("stop", "-t", "0", "stopped", timeout=15)
            daemon.docker("kill", "killed", timeout=15)
            daemon.docker("kill", "gone", timeout=15)
            assert daemon.docker("wait", "stopped", timeout=15).out == "137\n"
            assert _states(daemon) == {"stopped": "exited", "killed": "exited", "gone": "exited", "made": "created"}
        daemon.kill9()
        daemon.start()  # which reads what became of them where there was room
        assert _states(daemon) == {"stopped": "exited", "killed": "exited", "made": "created"}
        assert daemon.docker("inspect", "-f", "{{.State.ExitCode}}", "stopped", "killed").out == "137\n137\n"
        daemon.docker("start", "made", "stopped")
        daemon.docker("rm", "-f", "stopped")
        daemon.docker("run", "--rm", "--name", "stopped", "-p", "18081:80", "busybox", "true")


def test_run_root() -> None:
    with _small("exec_root", "2m") as daemon:
        daemon.docker("run", "-d", "--name", "lives", "busybox", "sleep", "600")
        daemon.docker("create", "--name", "made", "busybox", "sleep", "600")
        with _filled(daemon.exec_root):
            for command in (("start", "made"), ("exec", "-d", "lives", "true")):
                refused = daemon.docker(*command, check=False, timeout=15)
                assert refused.code != 0
                assert "No space left on device" in refused.err, refused
            assert daemon.docker("exec", "lives", "true", check=False).code == 126
            daemon.docker("stop", "-t", "0", "lives", timeout=15)
        assert _states(daemon) == {"lives": "exited", "made": "created"}
        daemon.docker("start", "made", "lives")
        assert daemon.docker("exec", "lives", "echo", "works").out == "works\n"


def test_a_full_data_root_empties_the_trash_first() -> None:
    with _small("data_root", "32m", "--trash-percent=90") as daemon:
        daemon.docker("create", "--name", "made", "--net", "none", "busybox", "true")
        for command in (("create", "--name", "more", "--net", "none", "busybox"), ("start", "made"), ("rm", "made")):
            daemon.docker("run", "--name", "big", "busybox", "dd", "if=/dev/zero", "of=/file", "bs=1M", "count=4")
            daemon.docker("rm", "big")
            assert "big" in daemon.cove("trash", "ls").out
            with _filled(daemon.data_root):
                daemon.docker(*command, timeout=15)
                assert "big" not in daemon.cove("trash", "ls").out


def test_the_trash_has_its_share_of_the_disk() -> None:
    """The oldest goes by itself when what was removed takes more; no client is told of it."""
    with _small("data_root", "64m", "--trash-percent=10") as daemon:
        for name in ("one", "two", "three"):
            write = ("dd", "if=/dev/zero", "of=/file", "bs=1M", "count=3")
            daemon.docker("run", "--name", name, "--net", "none", "busybox", *write)
        for name in ("one", "two"):
            daemon.docker("rm", name)
        assert daemon.cove("trash", "ls", "--format", "{{.Name}}").out.split() == ["two", "one"]
        daemon.docker("rm", "three")
        eventually(
            lambda: daemon.cove("trash", "ls", "--format", "{{.Name}}").out.split(),
            lambda kept: kept == ["three", "two"],
        )
        assert daemon.cove("undo", "one", check=False).code == 1
        assert daemon.cove("undo").out == "three\n"


def test_a_build_on_a_full_disk_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY big /big\nRUN cat /big >/again\n")
    (tmp_path / "big").write_bytes(os.urandom(1 << 20))  # large enough for its contents to be kept
    with _small("data_root", "40m") as daemon:
        with _filled(daemon.data_root):
            done = daemon.cove("build", "-q", str(tmp_path), check=False)
            assert done.code == 1
            assert "No space left" in done.err or "disk is full" in done.err
        assert not list((daemon.data_root / "tmp").iterdir())
        assert daemon.cove("build", "-q", "-t", "made", str(tmp_path)).out.startswith("sha256:")
        assert daemon.docker("run", "--rm", "made", "wc", "-c", "/again").out == f"{1 << 20} /again\n"


@pytest.mark.needs("skopeo")
def test_a_pull_that_fills_the_disk_leaves_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    layers = [tar({f"big{number}": random.Random(number).randbytes(12 << 20)}) for number in range(3)]
    layout.tag("1", layout.image(layers))
    with _small("data_root", "64m", kind="ext4") as daemon, served(daemon, "cove") as registry:
        name = f"{registry.host}/team/big:1"
        layout.push(daemon.netns, "1", name)
        before = _kept(daemon)
        failed = daemon.docker("pull", name, check=False)
        assert failed.code == 1
        assert "disk is full" in failed.err or "no space left on device" in failed.err.lower(), failed
        eventually(lambda: _kept(daemon) == before)
        daemon.cove("image", "verify")
        layout.tag("2", layout.image(layers[:1]))
        layout.push(daemon.netns, "2", f"{registry.host}/team/big:2")
        daemon.docker("pull", f"{registry.host}/team/big:2")
        daemon.docker("rmi", f"{registry.host}/team/big:2")


def _kept(daemon: Daemon) -> set[str]:
    places = ("blobs/sha256", "layers", "tmp")
    return {f"{place}/{name}" for place in places for name in os.listdir(daemon.data_root / place)}


@pytest.mark.parametrize("lacks", ["blocks", "inodes"])
def test_a_volume_that_is_filled(lacks: str) -> None:
    """What an image has is copied into a volume wholly, or not at all."""
    with _small("data_root", "40m" if lacks == "blocks" else "64m,nr_inodes=3000") as daemon:
        make = "mkdir /d; for n in $(seq 300); do echo $n > /d/$n; done; dd if=/dev/zero of=/d/big bs=1M count=6"
        daemon.docker("run", "--name", "box", "--net", "none", "busybox", "sh", "-c", make)
        daemon.docker("commit", "box", "content")
        daemon.docker("rm", "box")
        daemon.cove("trash", "empty", "-f")
        place = daemon.docker("volume", "inspect", "-f", "{{.Mountpoint}}", _volume(daemon)).out.strip()
        with _lacking(daemon.data_root, lacks):
            refused = daemon.docker("create", "-v", "data:/d", "content", "true", check=False)
            assert refused.code == 1 and "No space left on device" in refused.err, refused.err
            assert os.listdir(place) == [] and os.listdir(os.path.dirname(place)) == ["_data"]
        listed = daemon.docker("run", "--rm", "--net", "none", "-v", "data:/d", "content", "ls", "/d").out.split()
        assert len(listed) == 301
        daemon.docker("volume", "rm", "data")
        daemon.docker("rmi", "content")


def _volume(daemon: Daemon) -> str:
    return daemon.docker("volume", "create", "data").out.strip()


@contextlib.contextmanager
def _lacking(directory: Path, what: str) -> Iterator[None]:
    """With room for a few megabytes, or a hundred files."""
    filler = directory / "filler"
    filler.mkdir()
    found = os.statvfs(directory)
    if what == "inodes":
        for number in range(found.f_ffree - 100):
            (filler / str(number)).touch()
    else:
        with open(filler / "one", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - (4 << 20))
    try:
        yield
    finally:
        shutil.rmtree(filler)


def test_copies_of_volumes(tmp_path: Path) -> None:
    """What does not fit is refused and leaves nothing; the volume is what it was."""
    with _small("data_root", "32m", "--trash-minutes", "0") as daemon:
        script = "head -c 9000000 /dev/urandom > /d/file"
        daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", script)
        place = daemon.data_root / "volumes"
        content = (place / "data" / "_data" / "file").read_bytes()
        daemon.cove("volume", "backup", "data", "-o", str(tmp_path / "backup"))
        with _filled(daemon.data_root):
            for words in (
                ["clone", "data", "copy"],
                ["snapshot", "data", "one"],
                ["restore", "data", "-i", str(tmp_path / "backup")],
                ["restore", "fresh", "-i", str(tmp_path / "backup")],
            ):
                done = daemon.cove("volume", *words, check=False)
                assert done.code == 1 and "No space left" in done.err, done
            assert os.listdir(place) == ["data"] and os.listdir(place / "data") == ["_data"]
        assert (place / "data" / "_data" / "file").read_bytes() == content
        daemon.cove("volume", "clone", "data", "copy")
        assert (place / "copy" / "_data" / "file").read_bytes() == content


@pytest.mark.needs("skopeo")
def test_a_full_inode_table(tmp_path: Path) -> None:
    """With room for bytes and for not one more file: whatever makes one is refused, and what it began is gone."""
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN touch /made\nCOPY Dockerfile /\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("in\n")
    layout = Layout(tmp_path / "layout")
    layout.tag("1", layout.image([tar({"new": b"content"})]))
    with _small("data_root", "64m", kind="ext4", inodes=1024) as daemon, served(daemon, "cove") as registry:
        name = f"{registry.host}/team/new:1"
        layout.push(daemon.netns, "1", name)
        daemon.docker("tag", "busybox", f"{registry.host}/team/pushed")
        daemon.docker("run", "-d", "--name", "lives", "-v", "data:/d", "busybox", "sleep", "600")
        daemon.docker("exec", "lives", "sh", "-c", "echo kept > /d/file")
        daemon.docker("run", "--name", "changed", "busybox", "touch", "/more")
        daemon.docker("create", "--name", "made", "busybox", "echo", "works")
        daemon.docker("save", "-o", str(tmp_path / "saved"), "busybox")
        daemon.cove("volume", "backup", "data", "-o", str(tmp_path / "backup"))
        daemon.cove("volume", "restore", "idle", "-i", str(tmp_path / "backup"))
        before = _everything(daemon)
        with _no_inodes(daemon.data_root):
            for command in (
                ["create", "busybox"],
                ["start", "made"],
                ["volume", "create", "more"],
                ["volume", "create", "--size", "8M", "more"],
                ["volume", "clone", "data", "more"],
                ["volume", "snapshot", "data", "one"],
                ["volume", "restore", "idle", "-i", str(tmp_path / "backup")],
                ["volume", "restore", "more", "-i", str(tmp_path / "backup")],
                ["commit", "changed", "image"],
                ["import", str(tmp_path / "backup"), "image"],
                ["load", "-i", str(tmp_path / "saved")],
                ["build", "-q", str(tmp_path)],
                ["pull", name],
                ["cp", str(tmp_path / "tree"), "lives:/d/"],
                ["cp", str(tmp_path / "tree"), "changed:/"],
                ["exec", "lives", "touch", "/d/new"],
            ):
                refused = daemon.cove(*command, check=False, timeout=30)
                assert refused.code != 0, command
                assert "disk is full" in refused.err or "No space left on device" in refused.err, (command, refused)
            assert daemon.docker("exec", "lives", "cat", "/d/file").out == "kept\n"
            assert daemon.docker("diff", "changed").out == "A /more\n"
            daemon.docker("cp", "changed:/more", "-")
            pushed = daemon.docker("push", "-q", f"{registry.host}/team/pushed", check=False)
            assert pushed.code == 0 or "No space left" in pushed.err or "disk is full" in pushed.err, pushed
            daemon.kill9()
        daemon.start()
        assert _everything(daemon) == before
        assert daemon.docker("start", "-a", "made").out == "works\n"
        assert daemon.docker("exec", "lives", "cat", "/d/file").out == "kept\n"
        daemon.cove("volume", "clone", "data", "more")
        daemon.docker("commit", "changed", "image")
        daemon.docker("push", "-q", f"{registry.host}/team/pushed")
        daemon.docker("pull", "-q", name)
        daemon.docker("rm", "-f", "changed")
        daemon.docker("rmi", "image", name, f"{registry.host}/team/pushed")


def _everything(daemon: Daemon) -> set[str]:
    """All names below the data root of what is kept."""
    kept = ("blobs", "containers", "layers", "volumes", "tmp")
    return {str(path) for place in kept for path in (daemon.data_root / place).rglob("*")}


@contextlib.contextmanager
def _no_inodes(directory: Path) -> Iterator[None]:
    filler = directory / "filler"
    filler.mkdir()
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (filler / str(number)).touch()
    try:
        yield
    finally:
        shutil.rmtree(filler)
