"""``docker stats``: what containers use."""

import json
from itertools import pairwise

import pytest

from harness import rawhttp
from harness.engine import Engine

pytestmark = pytest.mark.cgroup2


@pytest.fixture
def box(daemon: Engine) -> str:
    daemon.docker("run", "-d", "--name", "box", "-m", "64m", "busybox", "sh", "-c", "while :; do :; done")
    return "box"


@pytest.mark.parametrize("client", ["docker", "cove"])
def test_columns(daemon: Engine, box: str, client: str) -> None:
    run = daemon.docker if client == "docker" else daemon.cove
    head, line = run("stats", "--no-stream", box).out.splitlines()
    assert head.split() == "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS".split()
    identity, name, cpu, _used, slash, limit, _share, *rest = line.split()
    assert daemon.docker("inspect", "-f", "{{.Id}}", box).out.startswith(identity)
    assert (name, slash, limit, rest[-1]) == ("box", "/", "64MiB", "1")
    assert 5 < float(cpu.rstrip("%")) < 150


def test_a_sample(daemon: Engine, box: str) -> None:
    sample = daemon.http("GET", f"/containers/{box}/stats?stream=false").json()
    now, before = sample["cpu_stats"], sample["precpu_stats"]
    assert now["cpu_usage"]["total_usage"] > before["cpu_usage"]["total_usage"] > 0
    assert now["system_cpu_usage"] > before["system_cpu_usage"]
    assert sample["preread"] < sample["read"]
    assert sample["memory_stats"]["limit"] == 64 << 20
    assert 0 < sample["memory_stats"]["usage"] < 64 << 20
    assert sample["pids_stats"]["current"] == 1
    assert set(sample["networks"]) == {"eth0"}
    assert sample["name"] == "/box"


def test_at_once(daemon: Engine, box: str) -> None:
    sample = daemon.http("GET", f"/containers/{box}/stats?stream=false&one-shot=true").json()
    assert sample["preread"] == "0001-01-01T00:00:00Z"
    assert sample["precpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_traffic_is_counted(daemon: Engine, box: str) -> None:
    daemon.docker("exec", box, "ping", "-c", "1", "-W", "1", "-s", "5000", "172.17.0.1", check=False)
    sample = daemon.http("GET", f"/containers/{box}/stats?stream=false&one-shot=true").json()
    assert sample["networks"]["eth0"]["tx_bytes"] > 5000


def test_streams_share_one_reader(daemon: Engine, box: str) -> None:
    """A sample has a time in nanoseconds: two streams that show the same one have it from one look."""
    with rawhttp.opened(daemon.socket, "GET", f"/containers/{box}/stats") as first:
        with rawhttp.opened(daemon.socket, "GET", f"/containers/{box}/stats") as second:
            shown = [[json.loads(stream.readline()) for _ in range(3)] for stream in (first, second)]
        times = [{sample["read"] for sample in samples} for samples in shown]
        assert times[0] & times[1]
        assert [samples[0]["preread"] for samples in shown] == ["0001-01-01T00:00:00Z"] * 2
        assert all(now["preread"] == before["read"] for samples in shown for before, now in pairwise(samples))
        assert json.loads(first.readline())["read"] not in times[1]  # which goes on when others have left


def test_stream_goes_on_over_the_end_and_ends_with_the_removal(daemon: Engine, box: str) -> None:
    target = f"http://engine/v1.41/containers/{box}/stats"
    with daemon.spawned("curl", "-sN", "--unix-socket", str(daemon.socket), target) as client:
        assert client.stdout is not None
        first, second = (json.loads(client.stdout.readline()) for _ in range(2))
        assert first["preread"] == "0001-01-01T00:00:00Z"
        assert second["preread"] == first["read"]
        daemon.docker("kill", box)
        while (sample := json.loads(client.stdout.readline()))["read"] != "0001-01-01T00:00:00Z":
            pass
        assert not sample["pids_stats"]
        daemon.docker("rm", box)
        assert [line for line in client.stdout if json.loads(line)["pids_stats"]] == []
        assert client.wait(10) == 0


def test_none_such(daemon: Engine) -> None:
    done = daemon.docker("stats", "--no-stream", "nonesuch", check=False)
    assert done.code == 1
    assert "No such container: nonesuch" in done.err


def test_stopped(daemon: Engine) -> None:
    daemon.docker("create", "--name", "idle", "busybox", "true")
    assert daemon.docker("stats", "--no-stream", "--format", "{{.CPUPerc}} {{.PIDs}}", "idle").out == "0.00% 0\n"
