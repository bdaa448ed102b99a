"""Control groups of version 2 below a container's own: handed down, limited, and the kernel's rules about threads."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.leaks import remove_cgroups

pytestmark = [pytest.mark.cgroup2, pytest.mark.needs("cgroup-v2")]

ROOT = Path("/sys/fs/cgroup")
WRITABLE = ("--security-opt", "writable-cgroups=true")

NESTED = """cd /sys/fs/cgroup
echo +memory >cgroup.subtree_control || echo has processes of its own
mkdir first inner; echo 1 >first/cgroup.procs; echo $$ >first/cgroup.procs
echo +pids +memory >cgroup.subtree_control && cat cgroup.subtree_control
echo 3 >inner/pids.max; cat inner/pids.max
sh -c 'echo $$ >inner/cgroup.procs; sleep 5 & sleep 5 & sleep 5 & wait' || echo refused
cat inner/pids.events
echo max >pids.max || echo not its own limit
"""

THREADS = """cd /sys/fs/cgroup
mkdir first tree; echo 1 >first/cgroup.procs; echo $$ >first/cgroup.procs
echo +cpu +memory >cgroup.subtree_control; mkdir tree/leaf; echo threaded >tree/leaf/cgroup.type
cat tree/cgroup.type tree/leaf/cgroup.type
echo +memory >tree/cgroup.subtree_control || echo a domain controller
echo +cpu >tree/cgroup.subtree_control && ls tree/leaf | grep -c ^cpu.max$
"""


@pytest.fixture
def parent() -> Iterator[str]:
    """A group for containers to be below, which the test may make threaded."""
    name = f"cove-test-{os.getpid()}-threads"
    (ROOT / name / "threaded").mkdir(parents=True)
    yield f"/{name}/threaded"
    remove_cgroups(f"/{name}")


def test_a_container_hands_down_what_it_has(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", "--pids-limit", "30", *WRITABLE, "busybox", "sh", "-c", NESTED)
    lines = done.out.splitlines()
    assert lines[0] == "has processes of its own"
    assert sorted(lines[1].split()) == ["memory", "pids"]
    assert lines[2] == "3" and "refused" in lines
    assert int(next(line for line in lines if line.startswith("max ")).split()[1]) >= 1
    assert lines[-1] == "not its own limit"


def test_threads_in_groups_of_their_own(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", *WRITABLE, "busybox", "sh", "-c", THREADS)
    assert done.out.splitlines() == ["domain threaded", "threaded", "a domain controller", "1"]


def test_a_container_below_a_threaded_group(daemon: Engine, parent: str) -> None:
    (ROOT / parent[1:] / "cgroup.type").write_text("threaded")
    below = ("--cgroup-parent", parent)
    refused = daemon.docker("run", "--rm", *below, "-m", "64m", "busybox", "true", check=False)
    assert refused.code == 125 and "where the controllers memory cannot limit anything" in refused.err
    script = "cat /sys/fs/cgroup/cgroup.type /sys/fs/cgroup/pids.max"
    done = daemon.docker("run", "--rm", *below, "--pids-limit", "20", "busybox", "sh", "-c", script)
    assert done.out.split() == ["threaded", "20"]
