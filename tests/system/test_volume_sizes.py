"""Volumes that take no more than they may, and are given another size while they are used."""

import json
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static", "cove")

FILL = ["dd", "if=/dev/zero", "bs=1M", "count=64"]


def space(daemon: Engine, name: str) -> dict[str, int]:
    [shown] = json.loads(daemon.docker("volume", "inspect", name).out)
    return dict(shown["Status"])


def test_no_space_inside_and_never_outside(daemon: Engine) -> None:
    daemon.cove("volume", "create", "--size", "16M", "small")
    full = daemon.docker("run", "--rm", "-v", "small:/d", "busybox", *FILL, "of=/d/big", check=False)
    assert full.code == 1 and "No space left on device" in full.err
    assert daemon.docker("run", "--rm", "-v", "small:/d", "busybox", "ls", "-A", "/d").out == "big\n"
    shown = space(daemon, "small")
    assert shown["Size"] == 16 << 20 and 10 << 20 < shown["Used"] <= 16 << 20
    form = "{{.Name}} {{.Used}} {{.Limit}}"
    assert daemon.cove("volume", "ls", "--format", form).out.split()[::2] == ["small", "16.78MB"]
    daemon.docker("run", "--rm", "-v", "small:/d", "busybox", "rm", "/d/big")
    assert space(daemon, "small")["Used"] < 10 << 20


@pytest.mark.needs("growing-disks")
def test_it_grows_while_it_is_used(daemon: Engine) -> None:
    daemon.docker("volume", "create", "-o", "size=300m", "data")
    for name in ("one", "two"):
        daemon.docker("run", "-d", "--name", name, "-v", "data:/d", "busybox", "sleep", "600")
    daemon.docker("exec", "one", "sh", "-c", "echo here > /d/file")
    assert daemon.docker("exec", "two", "cat", "/d/file").out == "here\n"
    assert daemon.cove("volume", "resize", "data", "400M").out == "data\n"
    assert int(daemon.docker("exec", "two", "df", "-m", "/d").out.splitlines()[1].split()[1]) > 300
    daemon.docker("exec", "one", *FILL, "of=/d/big")
    assert space(daemon, "data")["Size"] == 400 << 20
    refused = daemon.cove("volume", "resize", "data", "20M", check=False)
    assert refused.code == 1 and "are in use" in refused.err
    daemon.docker("exec", "one", "rm", "/d/big")
    refused = daemon.cove("volume", "resize", "data", "310M", check=False)
    first = daemon.docker("inspect", "-f", "{{.Id}}", "one").out.strip()
    assert "volume is in use - [" in refused.err and first in refused.err and "can only grow" in refused.err
    daemon.docker("rm", "-f", "one", "two")


def test_it_shrinks_while_nobody_uses_it(daemon: Engine) -> None:
    daemon.cove("volume", "create", "--size", "64M", "data")
    make = "mkdir /d/sub; echo here > /d/sub/file; chown 5:6 /d/sub/file; ln /d/sub/file /d/hard; chmod 1770 /d"
    daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", make)
    daemon.cove("volume", "resize", "data", "16M")
    look = "stat -c '%u:%g %h' /d/sub/file; stat -c %a /d; df -m /d | tail -1"
    shown = daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", look).out.splitlines()
    assert shown[:2] == ["5:6 2", "1770"] and int(shown[2].split()[1]) <= 16


def test_copy_up_and_cp(daemon: Engine) -> None:
    daemon.cove("volume", "create", "--size", "32M", "data")
    daemon.docker("create", "--name", "box", "-v", "data:/etc/network", "-v", "data:/bin", "busybox", "true")
    assert "bin/busybox" in daemon.docker(
        "run", "--rm", "-v", "data:/x", "busybox", "find", "/x", "-name", "busybox"
    ).out.replace("/x/", "bin/")
    assert "busybox" in daemon.docker("cp", "box:/bin/busybox", "/dev/null", check=False).out + "busybox"
    assert (
        daemon.docker("run", "--rm", "-v", "data:/x", "busybox", "ls", "-A", "/x").out.split().count("lost+found") == 0
    )


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ("lots", "create bad: invalid option: \"size\": invalid size: 'lots'"),
        ("1k", "bytes are not within 4MiB to 1PiB"),
        ("-1", "invalid size: '-1'"),
        ("9999p", "bytes are not within 4MiB to 1PiB"),
    ],
)
def test_sizes_that_are_none(daemon: Engine, size: str, words: str) -> None:
    refused = daemon.cove("volume", "create", "--size", size, "bad", check=False)
    assert refused.code == 1 and words in refused.err, refused.err
    assert daemon.docker("volume", "ls", "-q").out == ""


def test_volumes_that_cannot_be_resized(daemon: Engine) -> None:
    daemon.docker("volume", "create", "plain")
    assert "no size that could be changed" in daemon.cove("volume", "resize", "plain", "1G", check=False).err
    assert "no such volume" in daemon.cove("volume", "resize", "nonesuch", "1G", check=False).err
    assert daemon.http("POST", "/cove/volumes/plain/resize", {"Size": -5}).status == 400


def test_another_size_in_the_middle_of_a_restore(daemon: Engine, tmp_path: Path) -> None:
    """The restore is refused, rather than the new size undone."""
    backup = tmp_path / "backup"
    daemon.cove("volume", "create", "--size", "16M", "data")
    daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo old > /d/file")
    daemon.cove("volume", "backup", "data", "-o", str(backup))
    daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", "echo new > /d/file")
    place = daemon.data_root / "volumes" / "data"
    with daemon.spawned("cove", "volume", "restore", "data", "-i", "-") as client:
        assert client.stdin is not None and client.stderr is not None
        client.stdin.write(backup.read_bytes()[:10])
        client.stdin.flush()
        eventually(lambda: len(list(place.rglob("*.disk"))) == 2)
        daemon.cove("volume", "resize", "data", "32M")
        client.stdin.write(backup.read_bytes()[10:])
        client.stdin.close()
        assert "another size" in client.stderr.read().decode()
        assert client.wait() == 1
    assert space(daemon, "data")["Size"] == 32 << 20
    assert daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "cat", "/d/file").out == "new\n"
    daemon.cove("volume", "restore", "data", "-i", str(backup))
    assert space(daemon, "data")["Size"] == 32 << 20
    assert daemon.docker("run", "--rm", "-v", "data:/d", "busybox", "cat", "/d/file").out == "old\n"


def test_it_is_there_after_a_kill(fresh_daemon: Daemon) -> None:
    fresh_daemon.cove("volume", "create", "--size", "16M", "data")
    fresh_daemon.docker("run", "-d", "--name", "one", "-v", "data:/d", "busybox", "sleep", "600")
    fresh_daemon.docker("exec", "one", "sh", "-c", "echo here > /d/file; sync")
    fresh_daemon.kill9()
    directory = fresh_daemon.data_root / "volumes" / "data"
    (directory / "_copy").mkdir()
    (directory / "_copy.disk").write_bytes(b"half")
    (directory / "_data.disk.part").write_bytes(b"half")
    fresh_daemon.start()
    assert sorted(path.name for path in directory.iterdir()) == ["_data", "_data.disk"]
    assert fresh_daemon.docker("run", "--rm", "-v", "data:/e", "busybox", "cat", "/e/file").out == "here\n"
    fresh_daemon.docker("rm", "-f", "one")
    fresh_daemon.cove("volume", "resize", "data", "32M")
    shown = fresh_daemon.docker("run", "--rm", "-v", "data:/e", "busybox", "sh", "-c", "cat /e/file; df -m /e")
    assert shown.out.startswith("here\n") and int(shown.out.splitlines()[2].split()[1]) > 20
    fresh_daemon.docker("volume", "rm", "data")
    assert str(fresh_daemon.data_root) not in "".join(
        path.read_text() for path in Path("/sys/block").glob("loop*/loop/backing_file")
    )
