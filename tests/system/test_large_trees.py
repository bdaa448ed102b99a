"""Large and odd trees through ``export``, ``commit``, ``cp`` and ``diff``: holes and links stay, memory does not grow.

``COVE_TEST_LARGE_MB`` and ``COVE_TEST_LARGE_FILES`` give the full sizes, 4096 and 1000000.
"""

import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine

pytestmark = pytest.mark.needs("cove")

MEGABYTES = int(os.environ.get("COVE_TEST_LARGE_MB", "96"))
FILES = int(os.environ.get("COVE_TEST_LARGE_FILES", "2000"))
GROWTH = 40 << 20
"""Bytes that a process may have more at its peak than before; far less than what passes through it."""

FILL = (
    f"mkdir /tree; cd /tree; for d in $(seq {FILES // 200}); do mkdir $d; cd $d; touch $(seq 200); cd ..; done; "
    f"head -c {MEGABYTES}m /dev/urandom > large; ln large other; "
    "dd if=/dev/zero of=holes bs=1 count=1 seek=3G 2>/dev/null"
)


def _peak(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) << 10 if found else 0


def _workers(daemon: Engine) -> list[int]:
    """The daemon's worker and the children that it has forked for jobs."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                parents = (entry / "status").read_text()
            except OSError:
                continue
            if b"cove.layers.worker.process" in words:
                parent = int(re.findall(r"PPid:\s+(\d+)", parents)[0])
                found.append((int(entry.name), parent))
    ours = {pid for pid, parent in found if parent == daemon.pid}
    return [pid for pid, parent in found if pid in ours or parent in ours]


def test_memory_stays_what_it_was(fresh_daemon: Daemon, tmp_path: Path) -> None:
    daemon = fresh_daemon
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", FILL, timeout=600)
    before = _peak(daemon.pid)
    for command in (["docker", "export", "box"], ["docker", "cp", "box:/tree", "-"]):
        with daemon.spawned(*command) as client:
            assert client.stdout is not None
            left = (MEGABYTES << 20) * 9 // 10
            while left > 0:
                left -= len(client.stdout.read(1 << 20))
            peaks = [_peak(pid) for pid in _workers(daemon)]
            assert peaks and max(peaks) < GROWTH + (60 << 20)
            while client.stdout.read(1 << 20):
                pass
    daemon.docker("commit", "box", "committed", timeout=600)
    assert daemon.docker("diff", "box", timeout=600).out.count("\n") > FILES // 200 * 201
    assert _peak(daemon.pid) - before < GROWTH


def test_holes_and_links_stay(daemon: Engine, tmp_path: Path) -> None:
    script = "cd /root; echo text > one; ln one two; dd if=/dev/zero of=holes bs=1 count=1 seek=64M 2>/dev/null"
    daemon.docker("run", "--name", "box", "-v", "/mounted", "busybox", "sh", "-c", f"{script}; touch /mounted/no")
    daemon.docker("export", "-o", str(tmp_path / "exported"), "box")
    assert (tmp_path / "exported").stat().st_size < 20_000_000
    with tarfile.open(tmp_path / "exported") as tar:
        names = tar.getnames()
        assert tar.getmember("root/two").linkname == "root/one" and tar.getmember("root/holes").issparse()
    assert "mounted" in names and "mounted/no" not in names
    daemon.docker("commit", "box", "committed")
    listing = "stat -c '%h %s' /root/one /root/holes; du -k /root/holes; ls /mounted"
    done = daemon.docker("run", "--rm", "committed", "sh", "-c", listing)
    assert re.fullmatch(r"2 5\n1 67108865\n\d{1,2}\t/root/holes\n", done.out)
    daemon.docker("cp", "box:/root", str(tmp_path / "copied"))
    assert os.stat(tmp_path / "copied" / "one").st_ino == os.stat(tmp_path / "copied" / "two").st_ino
    assert subprocess.run(["tail", "-c", "1", tmp_path / "copied" / "holes"], capture_output=True).stdout == b"\0"
