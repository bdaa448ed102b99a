"""Sizes on a data root whose file system has project quotas: volumes and roots of containers are bounded by those."""

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from backports import zstd

from harness.daemon import Daemon
from harness.leaks import LeakCheck, remove_everything

pytestmark = [pytest.mark.vm, pytest.mark.needs("cove"), pytest.mark.timeout(1200)]

MAKE = {"ext4": ["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"], "xfs": ["mkfs.xfs", "-q"]}
FULL = re.compile("No space left on device|Disk quota exceeded|Quota exceeded")
ACL = bytes.fromhex("02000000 01000600ffffffff 02000600e8030000 04000400ffffffff 10000600ffffffff 20000400ffffffff")
"""A list that lets user 1000 write (posix_acl_xattr.h)."""

_numbers = itertools.count(1)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("ext4", marks=pytest.mark.needs("ext4-quotas")),
        pytest.param("xfs", marks=pytest.mark.needs("xfs-quotas")),
    ],
)
def bounded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with its data root on such a file system; it must leave nothing. One for all tests: starts take time."""
    daemon = Daemon(f"cove-test-{os.getpid()}-quota{next(_numbers)}", "--debug")
    image = tmp_path_factory.mktemp("disk") / "image"
    with image.open("wb") as file:
        file.truncate(400 << 20)
    subprocess.run([*MAKE[request.param], str(image)], check=True)
    daemon.data_root.mkdir()
    try:
        subprocess.run(["mount", "-o", "loop,prjquota", str(image), str(daemon.data_root)], check=True)
        daemon.start()
        daemon.load_base_image()
        leaks = LeakCheck(daemon)
        yield daemon
        remove_everything(daemon, keep_images=True)
        leaks.check()
    finally:
        daemon.close()


def _fill(daemon: Daemon, volume: str, megabytes: int) -> str:
    """What dd says when it writes so much to a file of the volume."""
    words = ["dd", "if=/dev/zero", "of=/d/big", "bs=1M", f"count={megabytes}"]
    return daemon.docker("run", "--rm", "--net=none", "-v", f"{volume}:/d", "busybox", *words, check=False).err


def _status(daemon: Daemon, volume: str) -> dict[str, object]:
    [shown] = json.loads(daemon.docker("volume", "inspect", volume).out)
    return dict(shown["Status"])


def test_volumes(bounded: Daemon) -> None:
    bounded.cove("volume", "create", "--size", "16M", "data")
    status = _status(bounded, "data")
    assert (status["Backing"], status["Size"]) == ("project quota", 16 << 20)
    assert FULL.search(_fill(bounded, "data", 32))
    assert "are in use" in bounded.cove("volume", "resize", "data", "8M", check=False).err
    bounded.docker("run", "-d", "--net=none", "--name", "box", "-v", "data:/d", "busybox", "sleep", "600")
    bounded.cove("volume", "resize", "data", "48M")
    assert not FULL.search(_fill(bounded, "data", 32))
    assert FULL.search(_fill(bounded, "data", 64))
    bounded.docker("rm", "-f", "box")
    bounded.docker("run", "--rm", "--net=none", "-v", "data:/d", "busybox", "sh", "-c", "rm /d/big; echo hi > /d/file")
    bounded.cove("volume", "clone", "data", "copy")
    bounded.cove("volume", "snapshot", "data", "one")
    bounded.cove("volume", "restore", "data", "one")
    for volume in ("copy", "data"):
        assert _status(bounded, volume)["Size"] == 48 << 20
        assert bounded.cove("volume", "browse", volume, "cat", "/file").out == "hi\n"
        assert FULL.search(_fill(bounded, volume, 64))
    bounded.kill9()
    bounded.start()
    assert FULL.search(_fill(bounded, "copy", 64))


def test_roots_of_containers(bounded: Daemon) -> None:
    flags = ("--net=none", "--storage-opt", "size=16m", "--name", "box")
    done = bounded.docker("run", *flags, "busybox", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=32", check=False)
    assert FULL.search(done.err)
    assert bounded.docker("diff", "box").out == "A /big\n"
    bounded.docker("rm", "-f", "box")


def test_backups_have_all_that_files_have(bounded: Daemon, tmp_path: Path) -> None:
    for volume in ("odd", "back"):
        bounded.cove("volume", "create", "--size", "16M", volume)
    script = "cd /d; mkdir sub; echo x > sub/own; chown 5:6 sub/own; chmod 4750 sub/own; ln sub/own hard"
    bounded.docker("run", "--rm", "--net=none", "-v", "odd:/d", "busybox", "sh", "-c", script)
    places = [bounded.data_root / "volumes" / volume / "_data" for volume in ("odd", "back")]
    kept = {"user.note": b"kept", "trusted.note": b"kept", "system.posix_acl_access": ACL}
    for name, value in kept.items():
        os.setxattr(places[0] / "sub" / "own", name, value)
    bounded.cove("volume", "backup", "odd", "-o", str(tmp_path / "one"))
    bounded.cove("volume", "restore", "back", "-i", str(tmp_path / "one"))
    bounded.cove("volume", "backup", "back", "-o", str(tmp_path / "two"))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert b"SGI_ACL" not in zstd.decompress((tmp_path / "one").read_bytes())
    names = [name for name in os.listxattr(places[1] / "hard") if not name.startswith("trusted.SGI_ACL_")]
    assert {name: os.getxattr(places[1] / "hard", name) for name in names} == kept
    assert _status(bounded, "back")["Size"] == 16 << 20
    assert FULL.search(_fill(bounded, "back", 32))


def _copied(directory: Path) -> None:
    """All of it is another copy, as after a move to another disk: its projects are not copied."""
    copy = directory.with_name("copy")
    subprocess.run(["cp", "-a", str(directory), str(copy)], check=True)
    shutil.rmtree(directory)
    copy.rename(directory)


def test_a_data_root_that_is_copied(bounded: Daemon) -> None:
    """Whatever is used first bounds it again, in directories that were there as well."""
    bounded.cove("volume", "create", "--size", "16M", "moved")
    script = "mkdir -p /d/deep/er; echo hi > /d/deep/er/file; ln -s /etc /d/link; mkfifo /d/fifo"
    bounded.docker("run", "--rm", "--net=none", "-v", "moved:/d", "busybox", "sh", "-c", script)
    flags = ("--net=none", "--storage-opt", "size=16m", "--name", "box")
    bounded.docker("create", *flags, "busybox", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=32")
    bounded.stop()
    for name in ("volumes", "containers"):
        _copied(bounded.data_root / name)
    bounded.start()
    words = ["dd", "if=/dev/zero", "of=/d/deep/er/file", "bs=1M", "count=32"]
    deep = bounded.docker("run", "--rm", "--net=none", "-v", "moved:/d", "busybox", *words, check=False)
    assert FULL.search(deep.err)
    status = _status(bounded, "moved")
    assert (status["Backing"], status["Size"]) == ("project quota", 16 << 20)
    assert FULL.search(bounded.docker("start", "-a", "box", check=False).err)
    bounded.docker("rm", "box")


def _free(daemon: Daemon) -> int:
    os.sync()
    found = os.statvfs(daemon.data_root)
    return found.f_bavail * found.f_frsize


def test_copies_share_blocks_where_the_file_system_can(bounded: Daemon, request: pytest.FixtureRequest) -> None:
    bounded.cove("volume", "create", "large")
    assert not FULL.search(_fill(bounded, "large", 32))
    before = _free(bounded)
    bounded.cove("volume", "clone", "large", "second")
    bounded.cove("volume", "snapshot", "large", "one")
    taken = before - _free(bounded)
    if "xfs" in request.node.name:
        assert taken < 8 << 20
    else:
        assert taken > 60 << 20
    sums = bounded.docker(
        "run", "--rm", "--net=none", "-v", "large:/a", "-v", "second:/b", "busybox", "md5sum", "/a/big", "/b/big"
    )
    assert len({line.split()[0] for line in sums.out.splitlines()}) == 1
