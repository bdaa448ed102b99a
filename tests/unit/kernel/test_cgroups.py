"""Control groups of this machine."""

import errno
import mmap
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.kernel import cgroups
from cove.kernel.cgroups import Cgroup
from cove.runtime import cgroup

pytestmark = [pytest.mark.root, pytest.mark.cgroup2, pytest.mark.needs("cgroup-pids", "cgroup-memory")]

_PARENT = f"/cove-test-kernel-{os.getpid()}"


@pytest.fixture
def group() -> Iterator[Cgroup]:
    made = cgroup.load(f"{_PARENT}/box")
    cgroup.create(made, {"pids": {"limit": 50}, "memory": {"limit": 32 << 20, "swap": 32 << 20}})
    yield made
    made.kill()
    made.remove()
    Cgroup(cgroups.layout(), _PARENT).remove()


def _sleeper(group: Cgroup) -> int:
    """A process in the group, which has joined when this returns. It ends by itself on SIGTERM."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        group.join()
        os.write(writer, b"joined")
        signal.pause()
        os._exit(1)
    os.read(reader, 6)
    os.close(reader)
    os.close(writer)
    return pid


def test_limits_are_there_and_can_grow(group: Cgroup) -> None:
    assert group.read("pids", "pids.max") == "50"
    cgroup.update(group, {"memory": {"limit": 64 << 20, "swap": 64 << 20}})
    file = "memory.max" if group.layout.unified else "memory.limit_in_bytes"
    assert group.read("memory", file) == str(64 << 20)


def test_killing_ends_all(group: Cgroup) -> None:
    pids = {_sleeper(group), _sleeper(group)}
    assert set(group.pids()) == pids
    group.kill()
    assert {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids} == {-signal.SIGKILL}
    group.remove()
    assert not any(os.path.exists(directory) for directory in group.directories)


def test_freezing_stops_and_thawing_goes_on(group: Cgroup) -> None:
    pid = _sleeper(group)
    group.freeze()
    os.kill(pid, signal.SIGTERM)  # which is not fatal: version 2 lets fatal ones through
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    group.thaw()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.needs("cgroup-v1")  # version 2 has no way round it
def test_joining_waits_for_no_grace_period(group: Cgroup) -> None:
    began = time.perf_counter()
    for _ in range(5):
        pid = _sleeper(group)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert (time.perf_counter() - began) / 5 < 0.5


def test_a_limit_that_is_refused_leaves_nothing(group: Cgroup) -> None:
    other = f"{_PARENT}/other"
    with pytest.raises(OSError, match="cpuset"):
        cgroup.create(cgroup.load(other), {"cpu": {"cpus": "4000-5000"}})
    assert not any(os.path.exists(directory) for directory in cgroup.load(other).directories)


def test_an_out_of_memory_kill_is_counted(group: Cgroup) -> None:
    assert group.oom_kills() == 0
    pid = os.fork()
    if pid == 0:
        group.join()
        hoard = [b"x" * (1 << 20)]
        while True:
            hoard.append(bytes(hoard[0]) + b"y")
    _pid, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert group.oom_kills() == 1


@pytest.mark.needs("cgroup-v2")
def test_huge_pages_are_limited() -> None:
    """The machine has more of them than the group may take."""
    pages = Path("/proc/sys/vm/nr_hugepages")
    before = pages.read_text()
    made = cgroup.load(f"{_PARENT}/huge")
    cgroup.create(made, {"hugepageLimits": [{"pageSize": "2MB", "limit": _HUGE}]})
    try:
        pages.write_text("4")
        assert made.read("hugetlb", "hugetlb.2MB.max") == str(_HUGE)
        assert [_maps_huge(made, count * _HUGE) for count in (1, 2)] == [0, errno.ENOMEM]
    finally:
        pages.write_text(before)
        made.remove()
        Cgroup(cgroups.layout(), _PARENT).remove()


_HUGE = 2 << 20


def _maps_huge(group: Cgroup, size: int) -> int:
    """Map huge pages in a process of the group; errno, or 0."""
    pid = os.fork()
    if pid == 0:
        group.join()
        try:
            mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_HUGETLB)[0] = 1
        except OSError as error:
            os._exit(error.errno or 255)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


_MAP_HUGETLB = 0x40000
