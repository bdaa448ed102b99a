"""Layers as EROFS images: what a user, and the machine's disk, see of them."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove", "erofs")


def zygote_descriptors(daemon: Daemon) -> int:
    """How many descriptors the process has that containers are forked from."""
    assert daemon.process is not None
    children = Path(f"/proc/{daemon.process.pid}/task/{daemon.process.pid}/children").read_text().split()
    zygote = next(child for child in children if Path(f"/proc/{child}/comm").read_text() == "cove-zygote\n")
    return len(os.listdir(f"/proc/{zygote}/fd"))


def busybox_tar(**files: bytes) -> bytes:
    """A root with busybox as /bin/sh and these files at its top."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.uid, entry.mode = len(content), 1234, 0o640
            tar.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def imported(daemon: Daemon, name: str, data: bytes) -> None:
    subprocess.run(["docker", "import", "-", name], input=data, env=daemon.client_environment(), check=True)


def test_info_says_so(daemon: Daemon) -> None:
    assert "Layers: EROFS images" in daemon.docker("info").out


def test_containers_share_a_mount_that_goes_with_the_image(daemon: Daemon) -> None:
    before = zygote_descriptors(daemon)
    imported(daemon, "rooted", busybox_tar(file=b"content\n"))
    for _ in range(2):
        ran = daemon.docker(
            "run", "--rm", "rooted", "/bin/busybox", "sh", "-c", "cat /file; busybox stat -c '%u %a' /file"
        )
        assert ran.out == "content\n1234 640\n"
    assert zygote_descriptors(daemon) == before + 1
    daemon.docker("rmi", "rooted")
    eventually(lambda: zygote_descriptors(daemon), lambda held: held == before)


def test_what_a_container_changes_is_its_own(daemon: Daemon) -> None:
    imported(daemon, "rooted", busybox_tar(file=b"content\n", gone=b""))
    script = "echo more >>/file; rm /gone; cat /file; ls /gone"
    ran = daemon.docker(
        "run",
        "--name",
        "box",
        "rooted",
        "/bin/busybox",
        "sh",
        "-c",
        f"PATH=/bin; busybox sh -c '{script}'",
        check=False,
    )
    assert "content\nmore\n" in ran.out
    assert daemon.docker("diff", "box").out.splitlines() == ["C /file", "D /gone"]
    daemon.docker("commit", "box", "rooted:2")
    ran = daemon.docker("run", "--rm", "rooted:2", "/bin/busybox", "sh", "-c", "busybox ls /; busybox cat /file")
    assert "gone" not in ran.out and ran.out.endswith("content\nmore\n")
    daemon.docker("rm", "box")
    daemon.docker("rmi", "rooted:2", "rooted")


def test_directories_when_asked_for(fresh_daemon: Daemon) -> None:
    """A daemon with images finds them again as a daemon with directories, and adds directories to them."""
    fresh_daemon.restart_with("--storage-driver", "overlay2")
    assert "Layers: directories" in fresh_daemon.docker("info").out
    assert fresh_daemon.docker("run", "--name", "box", "busybox", "sh", "-c", "echo x >/made; echo ok").out == "ok\n"
    fresh_daemon.docker("commit", "box", "mixed")
    assert fresh_daemon.docker("run", "--rm", "mixed", "cat", "/made").out == "x\n"
    layers = sorted(path.suffix for path in (fresh_daemon.data_root / "layers").iterdir())
    assert layers == ["", ".erofs"]
