"""``docker update``: other limits for a container, which a running one has at once."""

import json
from typing import Any

import pytest

from harness.engine import Engine
from harness.limits import limit, path

pytestmark = pytest.mark.cgroup2


@pytest.fixture
def box(daemon: Engine) -> str:
    daemon.docker("run", "-d", "--name", "box", "-m", "64m", "--memory-swap", "64m", "busybox", "sleep", "600")
    return "box"


def kept(daemon: Engine, box: str) -> Any:
    return json.loads(daemon.docker("inspect", "-f", "{{json .HostConfig}}", box).out)


@pytest.mark.parametrize(
    ("flags", "name", "value"),
    [
        (("-m", "32m"), "memory", str(32 << 20)),
        (("-m", "256m", "--memory-swap", "512m"), "swap", str(512 << 20)),
        (("--cpus", "0.5"), "quota", "50000"),
        (("--cpu-shares", "512"), "shares", "512"),
        (("--pids-limit", "50"), "pids", "50"),
        (("--memory-reservation", "16m"), "reservation", str(16 << 20)),
        (("--cpuset-cpus", "0"), "cpus", "0"),
        (("--cpuset-mems", "0"), "mems", "0"),
        (("--cpu-period", "50000", "--cpu-quota", "20000"), "quota", "20000"),
        (("--cpu-period", "50000", "--cpu-quota", "20000"), "period", "50000"),
    ],
)
@pytest.mark.parametrize("client", ["docker", "cove"])
def test_running(daemon: Engine, box: str, client: str, flags: tuple[str, ...], name: str, value: str) -> None:
    run = daemon.docker if client == "docker" else daemon.cove
    assert run("update", *flags, box).out == f"{box}\n"
    assert limit(daemon, box, name) == value


def test_the_next_start_has_them_too(daemon: Engine, box: str) -> None:
    daemon.docker("update", "--pids-limit", "50", "--restart", "on-failure:3", box)
    host = kept(daemon, box)
    assert (host["PidsLimit"], host["Memory"]) == (50, 64 << 20)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    daemon.docker("restart", "-t", "0", box)
    assert limit(daemon, box, "pids") == "50"


def test_without_a_limit_again(daemon: Engine, box: str) -> None:
    daemon.docker("update", "--pids-limit", "50", box)
    daemon.docker("update", "--pids-limit", "-1", box)
    assert limit(daemon, box, "pids") == "max"


def test_stopped(daemon: Engine) -> None:
    daemon.docker("create", "--name", "idle", "busybox", "cat", path("pids"))
    daemon.docker("update", "--pids-limit", "50", "idle")
    assert daemon.docker("start", "-a", "idle").out == "50\n"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-m", "256m"), "Memory limit should be smaller than already set memoryswap limit"),
        (("-m", "3m"), "Minimum memory limit allowed is 6MB"),
        (("--cpuset-cpus", "999"), "Requested CPUs are not available - requested 999"),
    ],
)
def test_refused(daemon: Engine, box: str, flags: tuple[str, ...], words: str) -> None:
    before = kept(daemon, box)
    done = daemon.docker("update", *flags, box, check=False)
    assert done.code == 1
    assert words in done.err
    assert kept(daemon, box) == before
    assert limit(daemon, box, "memory") == str(64 << 20)


def test_a_restart_policy_beside_auto_removal(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--rm", "--name", "box", "busybox", "sleep", "600")
    done = daemon.docker("update", "--restart", "always", "box", check=False)
    assert "Restart policy cannot be updated because AutoRemove is enabled for the container" in done.err


def test_none_such(daemon: Engine) -> None:
    assert "No such container: nonesuch" in daemon.docker("update", "--cpus", "1", "nonesuch", check=False).err


def test_after_the_daemon_came_back(fresh_daemon: Engine) -> None:
    daemon = fresh_daemon
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    daemon.kill9()
    daemon.start()
    daemon.docker("update", "--pids-limit", "50", "box")
    assert limit(daemon, "box", "pids") == "50"
