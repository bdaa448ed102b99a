"""``kill -9`` of the daemon in the middle of what is done to files: all of it or nothing of it is there afterwards, and
nothing else. ``COVE_TEST_KILLS=100`` in the environment is the number of moments.
"""

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon

pytestmark = pytest.mark.needs("root", "cove", "docker-cli", "busybox-static")

KILLS = int(os.environ.get("COVE_TEST_KILLS", "1"))
LONGEST_SECONDS = 0.4
FILES = 200
FILL = f"for i in $(seq {FILES}); do echo $1 > /d/$i; done; head -c 20000000 /dev/zero > /d/big"


@contextlib.contextmanager
def _killed(daemon: Daemon, chance: random.Random, *command: str) -> Iterator[None]:
    """A command of ours is under way when the daemon is killed; another one has started in the end."""
    with daemon.spawned("cove", *command) as client:
        time.sleep(chance.random() * LONGEST_SECONDS)  # where in the middle is chance
        daemon.kill9()
        yield
        client.wait()
    daemon.start()


def _seen(daemon: Daemon, volume: str) -> set[str]:
    """The different contents of the volume's small files, and how many there are."""
    place = daemon.data_root / "volumes" / volume / "_data"
    names = [name for name in os.listdir(place) if name != "big"]
    return {(place / name).read_text().strip() for name in names} | {str(len(names))}


def _left(daemon: Daemon, volume: str) -> list[str]:
    return sorted(os.listdir(daemon.data_root / "volumes" / volume))


def _fill(daemon: Daemon, word: str, volume: str = "data") -> None:
    daemon.docker("run", "--rm", "--net=none", "-v", f"{volume}:/d", "busybox", "sh", "-c", FILL, "sh", word)


def test_a_restore(fresh_daemon: Daemon, tmp_path: Path) -> None:
    chance = random.Random(1)
    _fill(fresh_daemon, "old")
    fresh_daemon.cove("volume", "snapshot", "data", "old")
    fresh_daemon.cove("volume", "backup", "data", "-o", str(tmp_path / "old"))
    ways = (["restore", "data", "old"], ["restore", "data", "-i", str(tmp_path / "old")])
    for number in range(KILLS):
        _fill(fresh_daemon, "new")
        with _killed(fresh_daemon, chance, "volume", *ways[number % 2]):
            pass
        assert _seen(fresh_daemon, "data") in ({"old", str(FILES)}, {"new", str(FILES)})
        assert _left(fresh_daemon, "data") == ["_data", "snapshots"]


def test_a_backup(fresh_daemon: Daemon, tmp_path: Path) -> None:
    chance = random.Random(2)
    _fill(fresh_daemon, "old")
    fresh_daemon.docker("run", "-d", "--name", "writer", "-v", "data:/d", "busybox", "sleep", "600")
    for _ in range(KILLS):
        with _killed(fresh_daemon, chance, "volume", "backup", "data", "-o", str(tmp_path / "cut")):
            pass
        assert _left(fresh_daemon, "data") == ["_data"] and _seen(fresh_daemon, "data") == {"old", str(FILES)}
        assert fresh_daemon.docker("inspect", "-f", "{{.State.Status}}", "writer").out == "running\n"
    fresh_daemon.cove("volume", "backup", "data", "-o", str(tmp_path / "whole"))
    fresh_daemon.cove("volume", "restore", "again", "-i", str(tmp_path / "whole"))
    assert _seen(fresh_daemon, "again") == {"old", str(FILES)}


def test_a_copy(fresh_daemon: Daemon, tmp_path: Path) -> None:
    """What a killed ``cp`` has written may be there; with another try all is as it should be, and nothing more."""
    chance = random.Random(3)
    (tmp_path / "tree").mkdir()
    for number in range(FILES):
        (tmp_path / "tree" / str(number)).write_text(f"{number}\n" * number)
    fresh_daemon.docker("create", "--name", "made", "-v", "data:/d", "busybox", "sh", "-c", "ls /d/tree | wc -l")
    fresh_daemon.docker("run", "-d", "--name", "lives", "busybox", "sleep", "600")
    for number in range(KILLS):
        box, place = (("made", "/d/"), ("lives", "/root/"))[number % 2]
        with _killed(fresh_daemon, chance, "cp", "-q", str(tmp_path / "tree"), f"{box}:{place}"):
            pass
    for box, place in (("made", "/d/"), ("lives", "/root/")):
        fresh_daemon.cove("cp", "-q", str(tmp_path / "tree"), f"{box}:{place}")
        fresh_daemon.cove("cp", "-q", f"{box}:{place}tree", str(tmp_path / box))
        for number in range(FILES):
            assert (tmp_path / box / str(number)).read_text() == f"{number}\n" * number
    assert fresh_daemon.docker("start", "-a", "made").out == f"{FILES}\n"
    assert str(fresh_daemon.data_root) not in Path("/proc/mounts").read_text()


def test_a_prune(fresh_daemon: Daemon) -> None:
    """Each volume is either there or in the trash, and comes back from there."""
    chance = random.Random(4)
    names = [f"data{number}" for number in range(8)]
    for _ in range(KILLS):
        for name in names:
            fresh_daemon.docker("volume", "create", name)
            (fresh_daemon.data_root / "volumes" / name / "_data" / "file").write_text(name)
        with _killed(fresh_daemon, chance, "volume", "prune", "-af"):
            pass
        trashed = fresh_daemon.cove("trash", "ls", "--format", "{{.Name}}").out.split()
        there = fresh_daemon.docker("volume", "ls", "-q").out.split()
        assert sorted(there + trashed) == names
        assert sorted(os.listdir(fresh_daemon.data_root / "volumes")) == there
        for name in trashed:
            fresh_daemon.cove("undo", name)
        for name in names:
            assert (fresh_daemon.data_root / "volumes" / name / "_data" / "file").read_text() == name
        fresh_daemon.docker("volume", "rm", *names)
        fresh_daemon.cove("trash", "empty", "-f")


def test_a_resize(fresh_daemon: Daemon) -> None:
    chance = random.Random(5)
    fresh_daemon.cove("volume", "create", "--size", "64M", "data")
    _fill(fresh_daemon, "old")
    for number in range(KILLS):
        size = (40 + number) << 20
        with _killed(fresh_daemon, chance, "volume", "resize", "data", str(size)):
            pass
        assert _left(fresh_daemon, "data") == ["_data", "_data.disk"]
        look = "cat /d/[0-9]* | sort -u; ls /d | wc -l"
        words = ("-v", "data:/d", "busybox", "sh", "-c", look)
        assert fresh_daemon.docker("run", "--rm", "--net=none", *words).out == f"old\n{FILES + 1}\n"
        fresh_daemon.cove("volume", "resize", "data", "64M")
        [shown] = json.loads(fresh_daemon.docker("volume", "inspect", "data").out)
        assert shown["Status"]["Size"] == 64 << 20 and shown["Options"]["size"] == str(64 << 20)


def test_a_clone(fresh_daemon: Daemon) -> None:
    """It is whole or not there."""
    chance = random.Random(7)
    _fill(fresh_daemon, "old")
    for _ in range(KILLS):
        with _killed(fresh_daemon, chance, "volume", "clone", "data", "copy"):
            pass
        there = fresh_daemon.docker("volume", "ls", "-q").out.split()
        assert sorted(os.listdir(fresh_daemon.data_root / "volumes")) == sorted(there)
        if "copy" in there:
            assert _seen(fresh_daemon, "copy") == {"old", str(FILES)}
            fresh_daemon.cove("volume", "rm", "--now", "copy")
        assert _seen(fresh_daemon, "data") == {"old", str(FILES)} and _left(fresh_daemon, "data") == ["_data"]


def test_a_snapshot(fresh_daemon: Daemon) -> None:
    chance = random.Random(8)
    _fill(fresh_daemon, "old")
    for _ in range(KILLS):
        with _killed(fresh_daemon, chance, "volume", "snapshot", "data", "one"):
            pass
        there = fresh_daemon.cove("volume", "snapshots", "data", "-q").out.split()
        if not there:
            fresh_daemon.cove("volume", "snapshot", "data", "one")
        assert fresh_daemon.cove("volume", "diff", "data", "one").out == ""
        fresh_daemon.cove("volume", "snapshot", "--rm", "data", "one")
        assert set(_left(fresh_daemon, "data")) <= {"_data", "snapshots"}
        assert _seen(fresh_daemon, "data") == {"old", str(FILES)}


def test_a_rename(fresh_daemon: Daemon) -> None:
    """The volume has one of the two names, its files, and the container that has it."""
    chance = random.Random(9)
    _fill(fresh_daemon, "old")
    look = f"test -f /d/{FILES} && echo there"
    fresh_daemon.docker("create", "--name", "box", "--net=none", "-v", "data:/d", "busybox", "sh", "-c", look)
    name, other = "data", "other"
    for _ in range(KILLS):
        with _killed(fresh_daemon, chance, "volume", "rename", name, other):
            pass
        [there] = fresh_daemon.docker("volume", "ls", "-q").out.split()
        assert os.listdir(fresh_daemon.data_root / "volumes") == [there]
        assert _seen(fresh_daemon, there) == {"old", str(FILES)}
        assert fresh_daemon.docker("start", "-a", "box").out == "there\n"
        name, other = (there, name if there == other else other)


def test_a_commit(fresh_daemon: Daemon) -> None:
    """The image is whole or not there, and the container is what it was."""
    chance = random.Random(10)
    fill = f"mkdir /d; cd /d; for i in $(seq {FILES}); do echo $i > $i; done; head -c 30000000 /dev/urandom > big"
    sums = "cat /d/* | md5sum"
    filled = fresh_daemon.docker("run", "--name", "box", "--net=none", "busybox", "sh", "-c", f"{fill}; {sums}").out
    for _ in range(KILLS):
        with _killed(fresh_daemon, chance, "commit", "box", "made"):
            pass
        if not fresh_daemon.docker("images", "-q", "made").out:
            fresh_daemon.docker("commit", "box", "made")
        assert fresh_daemon.docker("run", "--rm", "--net=none", "made", "sh", "-c", sums).out == filled
        fresh_daemon.docker("rmi", "made")
        assert fresh_daemon.docker("diff", "box").out.count("\n") == FILES + 2
        assert not os.listdir(fresh_daemon.data_root / "tmp")


LIVE: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "added": lambda place: (f"--mount-add=type=bind,source={place},target=/new", "--mount-add=type=tmpfs,target=/fast"),
    "taken": lambda place: ("--mount-rm=/new", "--mount-rm=/fast"),
}


@pytest.mark.parametrize("how", LIVE)
def test_a_live_mount(fresh_daemon: Daemon, tmp_path: Path, how: str) -> None:
    """What a container has is what its record says."""
    chance = random.Random(6)
    fresh_daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    for _ in range(KILLS):
        there = _mounts(fresh_daemon)
        if (how == "added") == bool(there):
            fresh_daemon.cove("update", *LIVE["taken" if there else "added"](tmp_path), "box")
        with _killed(fresh_daemon, chance, "update", *LIVE[how](tmp_path), "box"):
            pass
        assert _mounts(fresh_daemon) in ([], ["/fast", "/new"])


def _mounts(daemon: Daemon) -> list[str]:
    """What is mounted on ours in the container, which is what an inspection says."""
    seen = daemon.docker("exec", "box", "sh", "-c", "grep -oE ' /(new|fast) ' /proc/mounts || true").out.split()
    [shown] = json.loads(daemon.docker("inspect", "box").out)
    assert sorted(seen) == sorted(mount["Destination"] for mount in shown["Mounts"])
    return sorted(seen)
