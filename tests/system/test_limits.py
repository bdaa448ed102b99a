"""Limits of containers: what the kernel is told, and a program in the container that meets each of them."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import SLOWNESS, Engine
from harness.leaks import remove_cgroups
from harness.limits import HOARD, UNIFIED, limit
from harness.waiting import eventually

pytestmark = pytest.mark.cgroup2


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


def output(daemon: Engine, script: str, *flags: str, code: int = 0) -> str:
    """What a script prints in a container with these flags, errors included."""
    done = daemon.docker("run", "--rm", *flags, "busybox", "sh", "-c", script, check=False)
    assert done.code == code, done
    return done.out + done.err


def test_files_that_are_too_many_or_too_large(daemon: Engine) -> None:
    many = "exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null"
    assert "file" in output(daemon, many, "--ulimit", "nofile=6:6", code=1)
    assert output(daemon, many, "--ulimit", "nofile=20:20") == ""
    large = "dd if=/dev/zero of=/large bs=1M count=3 2>/dev/null; echo $?; wc -c < /large"
    assert {"153", "1048576"} <= set(output(daemon, large, "--ulimit", "fsize=1048576").split())  # SIGXFSZ


def test_processes_of_a_user(daemon: Engine) -> None:
    """The kernel counts a user's in all containers, so nobody else may have this one."""
    script = "sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait"
    assert "fork" in output(daemon, script, "--user", "54321", "--ulimit", "nproc=3:3", code=2)


def test_shared_memory_is_full(daemon: Engine) -> None:
    fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=5 2>&1 | grep -c 'No space left'; wc -c < /dev/shm/x"
    assert output(daemon, fill, "--shm-size", "2m").split() == ["1", str(2 << 20)]


def test_processors_that_it_may_use(daemon: Engine) -> None:
    script = "grep Cpus_allowed_list /proc/self/status; nproc; taskset -p 2 $$ 2>&1 | grep -c Invalid"
    told = output(daemon, script, "--cpuset-cpus", "0").split()
    assert told[1:3] == ["0", "1"] and told[-1] == "1"


def test_kernel_parameters_of_its_namespaces(daemon: Engine) -> None:
    flags = (
        "--sysctl",
        "net.ipv4.ip_default_ttl=33",
        "--sysctl",
        "kernel.msgmax=4096",
        "--sysctl",
        "fs.mqueue.msg_max=7",
    )
    script = "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max"
    assert output(daemon, script, *flags).split() == ["33", "4096", "7"]
    before = Path("/proc/sys/kernel/pid_max").read_text()
    done = daemon.docker("run", "--rm", "--sysctl", "kernel.pid_max=77777", "busybox", "true", check=False)
    assert done.code != 0 and Path("/proc/sys/kernel/pid_max").read_text() == before


def test_control_groups_as_the_container_sees_them(daemon: Engine) -> None:
    own = {line.split(":", 2)[2] for line in output(daemon, "cat /proc/self/cgroup", "--cgroupns", "private").split()}
    assert "/" in own and not any(daemon.name in path for path in own)
    assert f"/{daemon.name}/" in output(daemon, "cat /proc/self/cgroup", "--cgroupns", "host")


@pytest.mark.needs("cgroup-v1")
def test_swappiness_and_a_container_that_is_not_killed(daemon: Engine) -> None:
    name = box(daemon, "--memory-swappiness", "7", "--oom-kill-disable", "-m", "64m")
    assert limit(daemon, name, "swappiness") == "7"
    told = daemon.docker("exec", name, "cat", "/sys/fs/cgroup/memory/memory.oom_control").out
    assert "oom_kill_disable 1" in told


@pytest.mark.needs("cgroup-v1")
def test_real_time_of_containers(fresh_daemon: Daemon) -> None:
    """The daemon's group gets what its containers may have a part of."""
    daemon = fresh_daemon
    before = daemon.flags
    daemon.restart_with("--cpu-rt-runtime=200000", "--cpu-rt-period=1000000")
    name = box(daemon, "--cpu-rt-runtime", "50000", "--cpu-rt-period", "500000")
    files = ["/sys/fs/cgroup/cpu/cpu.rt_runtime_us", "/sys/fs/cgroup/cpu/cpu.rt_period_us"]
    assert daemon.docker("exec", name, "cat", *files).out.split() == ["50000", "500000"]
    daemon.docker("update", "--cpu-rt-runtime", "30000", "--cpu-rt-period", "400000", name)
    assert daemon.docker("exec", name, "cat", *files).out.split() == ["30000", "400000"]
    much = daemon.docker("run", "--rm", "--cpu-rt-runtime", "300000", "busybox", "true", check=False)
    assert much.code != 0, "more than the daemon's"
    daemon.docker("rm", "-f", name)
    daemon.stop()
    daemon.flags = before
    daemon.start()


def disk(daemon: Engine) -> str:
    """The block device that the data root is on."""
    device = daemon.data_root.stat().st_dev
    return "/dev/" + Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name


@pytest.mark.needs("disk")
def test_rates_of_a_device(daemon: Engine) -> None:
    device = disk(daemon)
    flags = [word for kind in ("read-bps", "write-bps") for word in (f"--device-{kind}", f"{device}:2mb")]
    flags += [word for kind in ("read-iops", "write-iops") for word in (f"--device-{kind}", f"{device}:400")]
    name = box(daemon, *flags)
    number = f"{os.major(os.stat(device).st_rdev)}:{os.minor(os.stat(device).st_rdev)}"
    for kind, value in {"read_bps": 2 << 20, "write_bps": 2 << 20, "read_iops": 400, "write_iops": 400}.items():
        assert limit(daemon, name, kind) == f"{number} {value}"
    write = "dd if=/dev/zero of=/x bs=512k count=8 oflag=direct 2>&1 && dd if=/x of=/dev/null bs=512k iflag=direct 2>&1"
    begun = time.monotonic()
    daemon.docker("exec", name, "sh", "-c", write)
    taken = time.monotonic() - begun
    assert taken > 3, "4 MB written and 4 MB read, at 2 MB in a second each"


@pytest.mark.needs("disk")
def test_weights_of_devices(daemon: Engine) -> None:
    """Where the kernel has no scheduler with weights, it is said, and nothing is asked of it."""
    done = daemon.docker("run", "-d", "--name", "box", "--blkio-weight", "300", "busybox", "sleep", "600")
    kept = json.loads(daemon.docker("inspect", "-f", "{{.HostConfig.BlkioWeight}}", "box").out)
    assert kept == (0 if "Weight discarded" in done.err else 300)
    assert not kept or limit(daemon, "box", "weight") == "300"
    daemon.docker("rm", "-f", "box")
    device = disk(daemon)
    weighted = ("--blkio-weight-device", f"{device}:400")
    done = daemon.docker("run", "-d", "--name", "box", *weighted, "busybox", "sleep", "600", check=False)
    if done.code:  # the kernel has such a scheduler, and the device another one
        assert re.search(r"/(blkio\.\S*weight_device|io\.bfq\.weight)'", done.err), done.err
        assert "Operation not supported" in done.err
    elif "Weight-device discarded" not in done.err:
        assert limit(daemon, "box", "weights").endswith(" 400")


READING = "while :; do dd if=/dev/vde of=/dev/null bs=64k iflag=direct 2>/dev/null; done"
"""Reads the slow disk, 64 MB of it, as fast as it is let."""


@pytest.mark.vm
@pytest.mark.needs("slow-disk")
def test_two_programs_share_a_disk_by_their_weights(daemon: Engine) -> None:
    """A disk that gives two MB in a second. After an update the other one has most of it."""

    def read(name: str) -> int:
        """How many bytes it has read so far."""
        counted = daemon.docker("exec", name, "cat", "/sys/fs/cgroup/io.stat").out
        return sum(map(int, re.findall(r"rbytes=(\d+)", counted)))

    def share(heavy: str, light: str) -> float:
        """How much the heavy one reads for each part of the light one, from now on."""
        before = read(heavy), read(light)
        eventually(lambda: read(heavy) > before[0] + (16 << 20), seconds=10 * SLOWNESS)
        return (read(heavy) - before[0]) / max(read(light) - before[1], 1)

    for name, weight in (("one", "900"), ("two", "100")):
        limits = ("--device", "/dev/vde:/dev/vde:r", "--blkio-weight", weight)
        daemon.docker("run", "-d", "--net", "none", "--name", name, *limits, "busybox", "sh", "-c", READING)
        assert limit(daemon, name, "weight") == weight
    assert share("one", "two") > 3
    for name, weight in (("one", "100"), ("two", "900")):
        daemon.docker("update", "--blkio-weight", weight, name)
        assert limit(daemon, name, "weight") == weight
    assert share("two", "one") > 3
