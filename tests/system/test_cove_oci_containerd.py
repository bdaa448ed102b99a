"""``cove-oci`` below containerd, called by its own command line and no engine."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.containerd import Containerd
from harness.containers import busybox_root
from harness.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.needs("containerd", "cove")]

GROUP = f"cove-test-{os.getpid()}-containerd"
TRAPPED = "trap 'exit 3' TERM; while :; do sleep 0.05; done"


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """With a short name: containerd's socket has to fit into 106 bytes."""
    with tempfile.TemporaryDirectory(prefix="ctr-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def containerd(directory: Path) -> Iterator[Containerd]:
    started = Containerd(directory, GROUP)
    yield started
    started.close()
    for group in sorted(Path("/sys/fs/cgroup").glob(f"*/{GROUP}/**"), reverse=True):
        group.rmdir()


@pytest.fixture(scope="module")
def root(directory: Path) -> Path:
    return busybox_root(directory / "busybox")


@pytest.fixture
def box(containerd: Containerd, root: Path) -> Iterator[Containerd]:
    containerd.run(root, "box", "sh", "-c", TRAPPED, flags=("-d",))
    yield containerd
    containerd.task("rm", "--force", "box", check=False)
    containerd("containers", "rm", "box")


def test_output_and_exit_code(containerd: Containerd, root: Path) -> None:
    done = containerd.run(root, "one", "sh", "-c", "echo out; echo err >&2; exit 7", flags=("--rm",), check=False)
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    done = containerd.run(root, "two", "nonesuch", flags=("--rm",), check=False)
    assert done.code and "nonesuch" in done.err
    assert containerd("containers", "ls", "-q").out == ""


def test_limits_and_namespaces(containerd: Containerd, root: Path) -> None:
    flags = ("--rm", "--memory-limit", str(64 << 20), "--env", "A=b", "--cwd", "/tmp")
    script = "echo $A; pwd; echo $$; ip -o link | wc -l"
    assert containerd.run(root, "limited", "sh", "-c", script, flags=flags).out.split() == ["b", "/tmp", "1", "1"]
    done = containerd.run(
        root, "big", "tail", "-c", "200m", "/dev/zero", flags=("--rm", "--memory-limit", str(20 << 20)), check=False
    )
    assert done.code == 137


def test_exec(box: Containerd) -> None:
    done = box.task(
        "exec", "--exec-id", "one", "box", "sh", "-c", "cat /proc/1/comm; echo err >&2; exit 4", check=False
    )
    assert (done.code, done.out, done.err) == (4, "sh\n", "err\n")
    box.task("exec", "-d", "--exec-id", "two", "box", "sleep", "600")
    eventually(lambda: "sleep" in box.task("exec", "--exec-id", "three", "box", "ps").out)
    assert len(box.task("ps", "box").out.splitlines()) >= 3
    box.task("kill", "--exec-id", "two", "--signal", "KILL", "box")


def test_pause_and_resume(box: Containerd) -> None:
    assert box.status("box") == "RUNNING"
    box.task("pause", "box")
    assert box.status("box") == "PAUSED"
    box.task("resume", "box")
    assert box.status("box") == "RUNNING"


def test_kill_and_delete(box: Containerd) -> None:
    box.task("kill", "--signal", "TERM", "box")
    eventually(lambda: box.status("box") == "STOPPED")
    assert "exit with non-zero exit code 3" in box.task("rm", "box").err
    assert box.status("box") == ""


def test_metrics_are_of_its_control_group(box: Containerd) -> None:
    told = json.loads(box.task("metrics", "--format", "json", "box").out)
    assert told["pids"]["current"] >= 1 and "memory" in told


def test_all_processes_are_killed(containerd: Containerd, root: Path) -> None:
    script = "for i in 1 2 3; do sleep 600 & done; exec sleep 600"
    containerd.run(root, "many", "sh", "-c", script, flags=("-d",))
    pids = [int(row.split()[0]) for row in containerd.task("ps", "many").out.splitlines()[1:]]
    containerd.task("kill", "--all", "--signal", "KILL", "many")
    eventually(lambda: containerd.status("many") == "STOPPED")
    containerd.task("rm", "many", check=False)
    containerd("containers", "rm", "many")
    assert pids and not any(Path(f"/proc/{pid}").exists() for pid in pids)
