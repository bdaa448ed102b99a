"""A data root that the kernel makes read-only, as it does with a disk that fails: what runs goes on, what would have to
be written is refused, and after a repair everything is there.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.leaks import LeakCheck, remove_everything

pytestmark = [pytest.mark.needs("cove")]

_numbers = itertools.count(1)
REFUSED = (
    ("create", "busybox"),
    ("start", "made"),
    ("rm", "made"),
    ("tag", "busybox", "other"),
    ("volume", "create", "more"),
    ("cp", "/etc/hostname", "lives:/d/"),
)
WORKS = (
    ("ps",),
    ("inspect", "made"),
    ("exec", "lives", "cat", "/d/file"),
    ("cp", "lives:/d/file", "-"),
    ("cp", "ended:/made", "-"),
    ("diff", "ended"),
    ("system", "df"),
)


class _Disk:
    """An ext4 on a loop device that becomes read-only with its first error."""

    def __init__(self, image: Path, place: Path) -> None:
        self._place = place
        with image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        done = subprocess.run(["losetup", "--show", "-f", str(image)], check=True, capture_output=True, text=True)
        self._device = done.stdout.strip()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "errors=remount-ro", self._device, str(self._place)], check=True)

    def fail(self) -> None:
        Path("/sys/fs/ext4", os.path.basename(self._device), "trigger_fs_error").write_text("1")

    def remount(self, how: str) -> subprocess.CompletedProcess[str]:
        """As an administrator does: ``ro`` or ``rw``."""
        words = ["mount", "-o", f"remount,{how}", str(self._place)]
        return subprocess.run(words, capture_output=True, text=True, env={**os.environ, "LANG": "C"})

    def repair(self) -> None:
        subprocess.run(["umount", str(self._place)], check=True)
        subprocess.run(["e2fsck", "-fy", self._device], capture_output=True)
        self.mount()

    def close(self) -> None:
        subprocess.run(["losetup", "-d", self._device], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[_Disk, Daemon]]:
    daemon = Daemon(f"cove-test-{os.getpid()}-ro{next(_numbers)}", "--debug")
    daemon.data_root.mkdir()
    made = _Disk(tmp_path / "disk", daemon.data_root)
    try:
        made.mount()
        daemon.start()
        daemon.load_base_image()
        yield made, daemon
    finally:
        daemon.close()
        made.close()


def test_a_disk_that_fails(disk: tuple[_Disk, Daemon]) -> None:
    made, daemon = disk
    leaks = LeakCheck(daemon)
    daemon.docker("run", "-d", "--name", "lives", "-v", "data:/d", "busybox", "sleep", "600")
    daemon.docker("exec", "lives", "sh", "-c", "echo hi > /d/file; sync")
    daemon.docker("create", "--name", "made", "busybox", "echo", "started")
    daemon.docker("run", "--name", "ended", "busybox", "touch", "/made")
    made.fail()
    for command in REFUSED:
        refused = daemon.docker(*command, check=False, timeout=30)
        assert refused.code == 1, command
        assert "Read-only file system" in refused.err or "cannot write the database" in refused.err, refused
    for command in WORKS:
        daemon.docker(*command, timeout=30)
    assert daemon.http("GET", "/containers/ended/export").status == 200
    daemon.docker("stop", "-t", "0", "lives", timeout=30)
    daemon.kill9()
    with pytest.raises(AssertionError, match=r"Read-only file system|readonly database|disk I/O error"):
        daemon.start()
    made.repair()
    daemon.start()
    assert daemon.docker("start", "-a", "made").out == "started\n"
    daemon.docker("start", "lives")
    assert daemon.docker("exec", "lives", "cat", "/d/file").out == "hi\n"
    remove_everything(daemon, keep_images=True)
    leaks.check()


def test_an_administrator_who_makes_it_read_only(disk: tuple[_Disk, Daemon]) -> None:
    """Not below a daemon, whose database is open to be written; and without one it says what it cannot do."""
    made, daemon = disk
    leaks = LeakCheck(daemon)
    daemon.docker("run", "-d", "--name", "lives", "-v", "data:/d", "busybox", "sleep", "600")
    daemon.docker("create", "--name", "made", "busybox", "echo", "started")
    refused = made.remount("ro")
    assert refused.returncode and "busy" in refused.stderr
    daemon.docker("exec", "lives", "sh", "-c", "echo hi > /d/file; sync")
    daemon.docker("volume", "create", "more")
    daemon.docker("stop", "-t", "0", "lives")
    daemon.stop()
    assert not made.remount("ro").returncode
    with pytest.raises(AssertionError, match=r"Read-only file system|readonly database"):
        daemon.start()
    assert not made.remount("rw").returncode
    daemon.start()
    daemon.docker("start", "lives")
    assert daemon.docker("exec", "lives", "cat", "/d/file").out == "hi\n"
    assert daemon.docker("start", "-a", "made").out == "started\n"
    remove_everything(daemon, keep_images=True)
    leaks.check()
