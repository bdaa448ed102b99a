"""Limits of containers: what the kernel is told, and a program in the container that meets each of them."""

import json
import time
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import SLOWNESS, Engine
from harness.leaks import remove_cgroups
from harness.limits import UNIFIED, limit

pytestmark = pytest.mark.cgroup2

HOARD = "dd if=/dev/zero of=/dev/null bs=200M count=1"
"""Needs 200 MB at once."""


def box(daemon: Engine, *flags: str, program: str = "sleep 600") -> str:
    daemon.docker("run", "-d", "--name", "box", *flags, "busybox", "sh", "-c", program)
    return "box"


def state(daemon: Engine, name: str) -> str:
    return daemon.docker("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", name).out.strip()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("-m", "64m"), {"memory": str(64 << 20), "swap": str(128 << 20)}),
        (("-m", "64m", "--memory-swap", "64m"), {"swap": str(64 << 20)}),
        (("-m", "64m", "--memory-swap", "-1"), {"swap": "-1"}),
        (("-m", "64m", "--memory-reservation", "32m"), {"reservation": str(32 << 20)}),
        (("--cpus", "0.5"), {"quota": "50000", "period": "100000"}),
        (("--cpu-period", "50000", "--cpu-quota", "10000"), {"quota": "10000", "period": "50000"}),
        (("--cpu-shares", "512"), {"shares": "512"}),
        (("--cpuset-cpus", "0", "--cpuset-mems", "0"), {"cpus": "0", "mems": "0"}),
        (("--pids-limit", "20"), {"pids": "20"}),
    ],
)
def test_what_the_kernel_is_told(daemon: Engine, flags: tuple[str, ...], expected: dict[str, str]) -> None:
    name = box(daemon, *flags)
    assert {key: limit(daemon, name, key) for key in expected} == expected


def test_a_program_that_wants_more_memory_is_killed(daemon: Engine) -> None:
    done = daemon.docker(
        "run", "--name", "box", "-m", "32m", "--memory-swap", "32m", "busybox", *HOARD.split(), check=False
    )
    assert done.code == 137
    assert state(daemon, "box") == "true 137"


def test_a_child_that_is_killed_is_told_of_while_the_container_runs(daemon: Engine) -> None:
    since = str(int(time.time()) - 1)
    name = box(daemon, "-m", "32m", "--memory-swap", "32m", program=f"{HOARD}; sleep 600")
    deadline = time.monotonic() + 20 * SLOWNESS
    while state(daemon, name).split()[0] != "true":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert daemon.docker("inspect", "-f", "{{.State.Running}}", name).out == "true\n"
    daemon.docker("kill", name)
    daemon.docker("wait", name)
    identity = daemon.docker("inspect", "-f", "{{.Id}}", name).out.strip()
    until = str(int(time.time()) + 1)
    told = daemon.docker("events", "--since", since, "--until", until, "-f", "event=oom", "-f", f"container={identity}")
    assert len(told.out.splitlines()) == 1
    assert state(daemon, name) == "true 137"


def test_a_kill_while_no_daemon_was_there(fresh_daemon: Daemon) -> None:
    daemon = fresh_daemon
    program = f"until [ -e /tmp/go ]; do sleep 0.1; done; {HOARD}; touch /tmp/done; sleep 600"
    name = box(daemon, "-m", "32m", "--memory-swap", "32m", "-v", "shared:/tmp", program=program)
    place = Path(daemon.docker("volume", "inspect", "-f", "{{.Mountpoint}}", "shared").out.strip())
    daemon.kill9()
    (place / "go").touch()
    deadline = time.monotonic() + 20 * SLOWNESS
    while not (place / "done").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    daemon.start()
    while state(daemon, name).split()[0] != "true":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_fork_too_many_is_refused(daemon: Engine) -> None:
    script = "for n in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait"
    done = daemon.docker("run", "--rm", "--pids-limit", "5", "busybox", "sh", "-c", script, check=False)
    assert "can't fork: Resource temporarily unavailable" in done.err


def test_a_program_is_held_to_its_quota(daemon: Engine) -> None:
    name = box(daemon, "--cpus", "0.2", program="while :; do :; done")
    deadline = time.monotonic() + 20 * SLOWNESS
    while True:
        sample = daemon.http("GET", f"/containers/{name}/stats?stream=false&one-shot=true").json()
        throttled = sample["cpu_stats"]["throttling_data"]
        if throttled["throttled_periods"] > 0 and throttled["throttled_time"] > 0:
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_ulimits_shared_memory_and_scores(daemon: Engine) -> None:
    script = "ulimit -n; ulimit -H -n; df -k /dev/shm | tail -1 | awk '{print $2}'; cat /proc/self/oom_score_adj"
    flags = ("--ulimit", "nofile=50:60", "--shm-size", "8m", "--oom-score-adj", "500")
    assert daemon.docker("run", "--rm", *flags, "busybox", "sh", "-c", script).out.split() == "50 60 8192 500".split()


def test_a_parent_of_the_user_s(daemon: Engine) -> None:
    parent = f"/{daemon.name}/deep/below"
    name = box(daemon, "--cgroup-parent", parent, "-m", "64m", "--pids-limit", "10")
    pid = daemon.docker("inspect", "-f", "{{.State.Pid}}", name).out.strip()
    assert f"{parent}/" in Path(f"/proc/{pid}/cgroup").read_text()
    assert limit(daemon, name, "pids") == "10"
    daemon.docker("rm", "-f", name)
    remove_cgroups(parent)
    remove_cgroups(f"/{daemon.name}/deep")


def test_warnings_about_what_has_no_effect(daemon: Engine) -> None:
    body = {"Image": "busybox", "HostConfig": {"KernelMemory": 64 << 20, "CpuPercent": 5, "NetworkMode": "none"}}
    answer = daemon.http("POST", "/v1.41/containers/create", body).json()
    assert answer["Warnings"] == [
        "Specifying a kernel memory limit is deprecated and will be removed in a future release.",
        "linux does not support CPU percent. Percent discarded.",
    ]


@pytest.mark.needs("cgroup-v2")
def test_what_version_2_has_not_is_discarded(daemon: Engine) -> None:
    flags = ("--memory-swappiness", "10", "--oom-kill-disable", "-m", "64m")
    done = daemon.docker("create", "--name", "box", *flags, "busybox")
    assert "does not support memory swappiness" in done.err
    assert "does not support OomKillDisable. OomKillDisable discarded." in done.err
    host = json.loads(daemon.docker("inspect", "-f", "{{json .HostConfig}}", "box").out)
    assert host["MemorySwappiness"] is None and not host["OomKillDisable"]


def test_pausing_stops_every_process(daemon: Engine) -> None:
    name = box(daemon, program="n=0; while :; do n=$((n + 1)); echo $n > /count; done")
    daemon.docker("pause", name)
    first = daemon.docker("cp", f"{name}:/count", "-").out
    assert daemon.docker("cp", f"{name}:/count", "-").out == first
    daemon.docker("unpause", name)
    daemon.docker("rm", "-f", name)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({"BlkioWeight": 5}, "Range of blkio weight is from 10 to 1000"),
        ({"IOMaximumIOps": 5}, "Invalid QoS settings: linux does not support configuration of maximum IOPs"),
        ({"KernelMemory": 1000}, "Minimum kernel memory limit allowed is 6MB"),
        ({"CpuShares": -5}, "shares: invalid argument"),
        ({"MemorySwappiness": 200}, "valid memory swappiness range is 0-100"),
        ({"DeviceCgroupRules": ["x"]}, "invalid device cgroup rule format: 'x'"),
    ],
)
def test_refused(daemon: Engine, host: dict[str, object], words: str) -> None:
    if "MemorySwappiness" in host and UNIFIED:
        host, words = {"CpuShares": -1}, "shares: invalid argument"  # version 2 discards it unseen
    answer = daemon.http("POST", "/v1.41/containers/create", {"Image": "busybox", "HostConfig": host})
    assert (answer.status, words in answer.json()["message"]) == (400, True), answer.body
