"""``cove volume``: rename, clone, snapshot, restore, diff, backup, browse."""

import hashlib
import os
import re
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")

FILL = (
    "cd /d; mkdir -p sub/deep; echo hi > sub/f; ln sub/f hard; ln -s sub/f link; mkfifo pipe; echo x > own; "
    "chown 5:6 own; chmod 4750 own; dd if=/dev/zero of=sparse bs=1 count=1 seek=20000000 2>/dev/null; "
    "head -c 3000000 /dev/urandom > big; chmod 700 /d; chown 7:8 /d; touch -d '2001-02-03 04:05:06' sub/deep"
)
PAUSED = re.compile(r"paused for \d+\.\d ms: writer\n")
ACL = bytes.fromhex("02000000 01000600ffffffff 02000600e8030000 04000400ffffffff 10000600ffffffff 20000400ffffffff")
"""A list that lets user 1000 write (posix_acl_xattr.h): version 2, then tag, permissions and id of each entry."""


@pytest.fixture
def data(daemon: Engine) -> Iterator[Path]:
    """The volume ``data``, full of odd files; its directory on the host."""
    daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", FILL)
    place = daemon.data_root / "volumes" / "data" / "_data"
    os.setxattr(place / "own", "user.note", b"kept")
    os.setxattr(place / "own", "trusted.note", b"kept")
    os.setxattr(place / "sub", "system.posix_acl_access", ACL)
    yield place


def _seen(place: Path) -> dict[str, tuple[object, ...]]:
    """All that makes the files what they are. Names of one inode share its number in the order of their names."""
    numbers: dict[int, int] = {}
    found = {}
    for path in [place, *sorted(place.rglob("*"))]:
        status = path.lstat()
        names = [] if path.is_symlink() else os.listxattr(path)
        xattrs = {name: os.getxattr(path, name) for name in sorted(names)}
        content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
        target = os.readlink(path) if path.is_symlink() else ""
        inode = numbers.setdefault(status.st_ino, len(numbers))
        held = status.st_blocks if stat.S_ISREG(status.st_mode) else 0
        owner = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)
        found[str(path.relative_to(place))] = (*owner, inode, held, content, target, xattrs)
    return found


def _place(engine: Engine, volume: str) -> Path:
    return engine.data_root / "volumes" / volume / "_data"


def test_clone(daemon: Engine, data: Path) -> None:
    assert daemon.cove("volume", "clone", "data", "copy").out == "copy\n"
    assert _seen(_place(daemon, "copy")) == _seen(data)
    (data / "sub" / "f").write_text("changed")
    assert (_place(daemon, "copy") / "hard").read_text() == "hi\n"
    done = daemon.cove("volume", "clone", "data", "copy", check=False)
    assert 'volume "copy" already exists' in done.err
    assert "get nobody: no such volume" in daemon.cove("volume", "clone", "nobody", "other", check=False).err
    assert "invalid characters" in daemon.cove("volume", "clone", "data", "a/b", check=False).err


def test_snapshots(daemon: Engine, data: Path) -> None:
    before = _seen(data)
    assert daemon.cove("volume", "snapshot", "data", "one").out == "one\n"
    made = daemon.cove("volume", "snapshot", "data").out.strip()
    assert re.fullmatch(r"\d{8}-\d{6}", made)
    assert daemon.cove("volume", "snapshots", "-q", "data").out.split() == ["one", made]
    for path, text in (("sub/new", "new"), ("own", "other")):
        (data / path).write_text(text)
    (data / "hard").unlink()
    assert daemon.cove("volume", "diff", "data", "one").out == "D /hard\nC /own\nC /sub\nA /sub/new\n"
    assert daemon.cove("volume", "diff", "data", "one", made).out == ""
    assert daemon.cove("volume", "restore", "data", "one").out == "data\n"
    assert _seen(data) == before
    daemon.cove("volume", "snapshot", "--rm", "data", "one")
    assert daemon.cove("volume", "snapshots", "-q", "data").out.split() == [made]
    for words in (["snapshot", "data", made], ["snapshot", "data", "../x"], ["restore", "data", "none"]):
        assert daemon.cove("volume", *words, check=False).code == 1


def test_a_backup_is_whole_and_reproducible(daemon: Engine, data: Path, tmp_path: Path) -> None:
    before = _seen(data)
    for name in ("one", "two"):
        daemon.cove("volume", "backup", "data", "-o", str(tmp_path / name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_size < 4_000_000, "holes are not in it"
    assert "--input" in daemon.cove("volume", "restore", "fresh", str(tmp_path / "one"), check=False).err
    assert daemon.cove("volume", "restore", "fresh", "-i", str(tmp_path / "one")).out == "fresh\n"
    assert _seen(_place(daemon, "fresh")) == before
    (data / "own").unlink()
    daemon.cove("volume", "restore", "data", "-i", str(tmp_path / "one"))
    assert _seen(data) == before
    listed = subprocess.run(["tar", "-tf", tmp_path / "one"], capture_output=True, text=True)
    assert "./sub/deep/" in listed.stdout.split()


def test_a_backup_through_a_volume_with_a_size(daemon: Engine, data: Path, tmp_path: Path) -> None:
    """What a disk of its own has been given is what it gives: lists of access and attributes too."""
    before = _seen(data)
    daemon.cove("volume", "backup", "data", "-o", str(tmp_path / "one"))
    daemon.cove("volume", "create", "--size", "64M", "sized")
    daemon.cove("volume", "restore", "sized", "-i", str(tmp_path / "one"))
    daemon.cove("volume", "snapshot", "sized", "kept")
    daemon.docker("run", "--rm", "-v", "sized:/d", "busybox", "sh", "-c", "rm -rf /d/*")
    daemon.cove("volume", "restore", "sized", "kept")
    daemon.cove("volume", "backup", "sized", "-o", str(tmp_path / "two"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    daemon.cove("volume", "restore", "back", "-i", str(tmp_path / "two"))
    assert _seen(_place(daemon, "back")) == before


def test_what_is_no_backup_changes_nothing(daemon: Engine, data: Path, tmp_path: Path) -> None:
    before = _seen(data)
    daemon.cove("volume", "backup", "data", "-o", str(tmp_path / "whole"))
    whole = (tmp_path / "whole").read_bytes()
    for number, junk in enumerate((b"", b"junk" * 1000, whole[:-100], whole[: len(whole) // 2])):
        (tmp_path / "junk").write_bytes(junk)
        for volume in ("data", f"fresh{number}"):
            assert daemon.cove("volume", "restore", volume, "-i", str(tmp_path / "junk"), check=False).code == 1
    assert _seen(data) == before
    assert daemon.docker("volume", "ls", "-q").out.split() == ["data"]
    assert sorted(os.listdir(data.parent)) == ["_data"]


def test_rename(daemon: Engine, data: Path) -> None:
    before = _seen(data)
    daemon.docker("run", "-d", "--name", "user", "-v", "data:/d", "busybox", "sleep", "600")
    daemon.cove("volume", "snapshot", "data", "one")
    done = daemon.cove("volume", "rename", "data", "other", check=False)
    assert "rename data: volume is in use by running containers - [" in done.err
    daemon.docker("kill", "user")
    daemon.cove("volume", "rename", "data", "other")
    assert daemon.docker("volume", "ls", "-q").out == "other\n"
    assert _seen(_place(daemon, "other")) == before
    assert daemon.cove("volume", "snapshots", "-q", "other").out == "one\n"
    daemon.docker("start", "user")
    assert daemon.docker("exec", "user", "cat", "/d/sub/f").out == "hi\n"
    shown = daemon.docker("inspect", "-f", "{{(index .Mounts 0).Name}} {{index .HostConfig.Binds 0}}", "user").out
    assert shown == "other other:/d\n"
    daemon.docker("volume", "create", "taken")
    assert 'volume "taken" already exists' in daemon.cove("volume", "rename", "taken", "taken", check=False).err


def test_a_writer_is_paused_for_a_moment(daemon: Engine, tmp_path: Path) -> None:
    """It writes a number to two files, one after the other: in a copy they never differ by more than one."""
    script = "i=0; while :; do i=$((i+1)); echo $i > /d/a; echo $i > /d/b; done"
    daemon.docker("run", "-d", "--name", "writer", "-v", "data:/d", "busybox", "sh", "-c", script)
    daemon.docker("exec", "writer", "sh", "-c", "until [ -s /d/b ]; do :; done")
    for number in range(3):
        assert PAUSED.fullmatch(daemon.cove("volume", "clone", "data", f"copy{number}").err)
        first, second = ((_place(daemon, f"copy{number}") / name).read_text() for name in "ab")
        assert not first or not second or int(first) - int(second) in (0, 1)
    assert PAUSED.fullmatch(daemon.cove("volume", "backup", "data", "-o", str(tmp_path / "backup")).err)
    assert daemon.docker("inspect", "-f", "{{.State.Status}}", "writer").out == "running\n"
    assert "in use" in daemon.cove("volume", "restore", "data", "-i", str(tmp_path / "backup"), check=False).err
    assert os.listdir(daemon.data_root / "volumes" / "data") == ["_data"]


def test_who_leaves_during_a_backup_leaves_nothing_paused(daemon: Engine) -> None:
    """Whenever that is: also while the container is being stopped, which a thread does."""
    daemon.docker("run", "-d", "--name", "writer", "-v", "busy:/d", "busybox", "sleep", "600")
    request = b"GET /cove/volumes/busy/backup HTTP/1.1\r\nHost: x\r\n\r\n"
    for attempt in range(150):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.socket))
            client.sendall(request)
            time.sleep(attempt % 50 * 0.0002)
    words = ("inspect", "-f", "{{.State.Status}}", "writer")
    eventually(lambda: daemon.docker(*words).out == "running\n")
    assert daemon.docker("exec", "writer", "echo", "goes on").out == "goes on\n"


def test_browse(daemon: Engine, data: Path, tmp_path: Path) -> None:
    (data / "out").symlink_to("/etc/hostname")
    (data / "up").symlink_to("../../../../../../etc")
    assert daemon.cove("volume", "browse", "-q", "data").out.split("\n")[:2] == ["big", "hard"]
    listed = daemon.cove("volume", "browse", "data", "ls", "/").out
    assert re.search(r"^-rwsr-x--- +5:6 +2 +\S+ \S+ +own$", listed, re.M)
    assert re.search(r"^lrwxrwxrwx .* link -> sub/f$", listed, re.M)
    assert daemon.cove("volume", "browse", "data", "cat", "/link").out == "hi\n"
    for outside in ("/out", "/up/hostname", "/nonesuch"):
        done = daemon.cove("volume", "browse", "data", "cat", outside, check=False)
        assert done.code == 1 and "Could not find the file" in done.err
    daemon.cove("volume", "browse", "data", "cp", ":/sub", str(tmp_path / "back"))
    assert (tmp_path / "back" / "f").read_text() == "hi\n"
    daemon.cove("volume", "browse", "data", "cp", str(tmp_path / "back"), ":/sub/new")
    assert (data / "sub" / "new" / "f").read_text() == "hi\n"
    daemon.cove("volume", "browse", "data", "cp", str(tmp_path / "back" / "f"), ":/up/", check=False)
    assert not Path("/etc/f").exists()


@pytest.mark.parametrize("action", [["clone", "data", "copy"], ["snapshot", "data", "one"], ["rename", "data", "copy"]])
def test_kill_9_in_the_middle(fresh_daemon: Daemon, action: list[str]) -> None:
    """All of it or nothing of it is there, and nothing else."""
    script = "for i in $(seq 300); do echo $i > /d/$i; done; head -c 30000000 /dev/zero > /d/big"
    fresh_daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", script)
    before = _seen(_place(fresh_daemon, "data"))
    for seconds in (0.02, 0.1):
        with fresh_daemon.spawned("cove", "volume", *action) as client:
            time.sleep(seconds)  # where in the middle is chance
            fresh_daemon.kill9()
            client.wait()
        fresh_daemon.start()
        there = fresh_daemon.docker("volume", "ls", "-q").out.split()
        assert sorted(os.listdir(fresh_daemon.data_root / "volumes")) == there
        for volume in there:
            left = set(os.listdir(fresh_daemon.data_root / "volumes" / volume))
            assert left <= {"_data", "snapshots"} and _seen(_place(fresh_daemon, volume)) == before
        if action[0] == "rename" and there == ["copy"]:
            fresh_daemon.cove("volume", "rename", "copy", "data")
        if there == ["copy", "data"]:
            fresh_daemon.docker("volume", "rm", "copy")
        for tag in fresh_daemon.cove("volume", "snapshots", "-q", "data").out.split():
            fresh_daemon.cove("volume", "snapshot", "--rm", "data", tag)
