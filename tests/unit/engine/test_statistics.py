"""Samples of what a container uses, read from files that look like the kernel's."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cove.engine.bundle.bundles import Bundles
from cove.engine.bundle.group_names import GroupNames
from cove.engine.bundle.seccomp import Seccomp
from cove.engine.containers import statistics
from cove.engine.containers.registry import Registry
from cove.engine.containers.statistics import Statistics
from cove.engine.networking.connectivity import Connectivity
from cove.engine.networking.etcfiles import Wishes
from cove.engine.networking.links import Links
from cove.engine.networking.namefiles import NameFiles
from cove.errors import InvalidArgument
from cove.kernel.cgroups import Cgroup, Hierarchy, Layout
from cove.network import Networks, NetworkSettings
from cove.store import Database
from cove.wire.containers import ZERO_TIME
from cove.wire.stats import Stats
from unit.engine.containers import container

CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "blkio")


def cgroup(directory: Path, files: dict[str, str], *, unified: bool) -> Cgroup:
    (directory / "box").mkdir()
    for name, text in files.items():
        (directory / "box" / name).write_text(text)
    hierarchy = Hierarchy(str(directory), 2 if unified else 1, () if unified else CONTROLLERS, "")
    return Cgroup(Layout((hierarchy,), unified), "/box")


def test_version_1(tmp_path: Path) -> None:
    files = {
        "cpuacct.usage": "9000\n",
        "cpuacct.usage_percpu": "4000 5000 \n",
        "cpuacct.stat": "user 3\nsystem 2\n",
        "cpu.stat": "nr_periods 7\nnr_throttled 6\nthrottled_time 5\n",
        "memory.usage_in_bytes": "4096\n",
        "memory.max_usage_in_bytes": "8192\n",
        "memory.failcnt": "3\n",
        "memory.limit_in_bytes": "65536\n",
        "memory.stat": "cache 1\ntotal_inactive_file 2\n",
        "pids.current": "4\n",
        "pids.max": "10\n",
        "blkio.throttle.io_service_bytes_recursive": "8:0 Read 512\n8:0 Write 1024\n8:0 Total 1536\nTotal 1536\n",
    }
    box = cgroup(tmp_path, files, unified=False)
    cpu, memory, blocks = statistics.cpu(box), statistics.memory(box), statistics.block_io(box)
    assert (cpu.cpu_usage.total_usage, cpu.cpu_usage.percpu_usage) == (9000, [4000, 5000])
    assert (cpu.cpu_usage.usage_in_usermode, cpu.cpu_usage.usage_in_kernelmode) == (30_000_000, 20_000_000)
    throttling = cpu.throttling_data
    assert (throttling.periods, throttling.throttled_periods, throttling.throttled_time) == (7, 6, 5)
    assert cpu.system_cpu_usage > 0 and cpu.online_cpus > 0
    assert (memory.usage, memory.max_usage, memory.failcnt, memory.limit) == (4096, 8192, 3, 65536)
    assert memory.stats == {"cache": 1, "total_inactive_file": 2}
    assert (statistics.pids(box).current, statistics.pids(box).limit) == (4, 10)
    found = [(entry.major, entry.minor, entry.op, entry.value) for entry in blocks.io_service_bytes_recursive or []]
    assert found == [(8, 0, "Read", 512), (8, 0, "Write", 1024), (8, 0, "Total", 1536)]
    assert blocks.io_serviced_recursive == blocks.sectors_recursive == []


def test_version_2(tmp_path: Path) -> None:
    files = {
        "cpu.stat": "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 3\nnr_throttled 2\nthrottled_usec 1\n",
        "memory.current": "4096\n",
        "memory.max": "max\n",
        "memory.stat": "inactive_file 2\n",
        "memory.events": "low 0\noom 6\noom_kill 1\n",
        "pids.current": "4\n",
        "pids.max": "max\n",
        "io.stat": "8:0 rbytes=512 wbytes=1024 rios=1 wios=2 dbytes=0 dios=0\n",
    }
    box = cgroup(tmp_path, files, unified=True)
    cpu, memory, blocks = statistics.cpu(box), statistics.memory(box), statistics.block_io(box)
    usage = cpu.cpu_usage
    assert (usage.total_usage, usage.usage_in_usermode, usage.usage_in_kernelmode) == (9000, 5000, 4000)
    assert usage.percpu_usage is None and cpu.throttling_data.throttled_time == 1000
    assert (memory.usage, memory.failcnt, memory.limit) == (4096, 6, statistics.MACHINE_MEMORY)
    assert (statistics.pids(box).current, statistics.pids(box).limit) == (4, 0)
    sizes, counts = blocks.io_service_bytes_recursive or [], blocks.io_serviced_recursive or []
    assert [(entry.op, entry.value) for entry in sizes] == [("read", 512), ("write", 1024)]
    assert [(entry.op, entry.value) for entry in counts] == [("read", 1), ("write", 2)]
    assert blocks.io_time_recursive is None


def test_a_group_that_is_gone_has_used_nothing(tmp_path: Path) -> None:
    box = Cgroup(Layout((Hierarchy(str(tmp_path), 1, CONTROLLERS, ""),), False), "/gone")
    assert (
        statistics.cpu(box).cpu_usage.total_usage == statistics.memory(box).usage == statistics.pids(box).current == 0
    )


def test_interfaces() -> None:
    text = (
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo\n"
        "    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0\n"
        "  eth0:    1000      10    1    2    0     0          0         0     2000      20    3    4    0     0\n"
    )
    found = statistics.networks(text)
    assert set(found) == {"eth0"}
    eth0 = found["eth0"]
    assert (eth0.rx_bytes, eth0.rx_packets, eth0.rx_errors, eth0.rx_dropped) == (1000, 10, 1, 2)
    assert (eth0.tx_bytes, eth0.tx_packets, eth0.tx_errors, eth0.tx_dropped) == (2000, 20, 3, 4)
    assert statistics.networks("") == {}


def test_time_of_the_machine() -> None:
    """It goes by as often as there are CPUs, in nanoseconds: two looks may be closer than the kernel's ticks."""
    begun, before = time.monotonic_ns(), statistics.machine_time()
    after, ended = statistics.machine_time(), time.monotonic_ns()
    assert 0 < after - before <= (ended - begun) * (os.cpu_count() or 1)


async def _all(samples: AsyncIterator[Stats]) -> list[Stats]:
    return [sample async for sample in samples]


def test_a_stopped_container_uses_nothing_until_it_is_removed(tmp_path: Path) -> None:
    async def run() -> None:
        database = Database(tmp_path / "cove.db")
        registry = Registry(database)
        connectivity = Connectivity(Networks(database, NetworkSettings()))
        files = NameFiles(connectivity, Links(registry, connectivity), Wishes())
        bundles = Bundles(
            registry,
            connectivity,
            files,
            Seccomp(tmp_path),
            groups=GroupNames("/cove-unit"),
            init_path=None,
            init=False,
        )
        watched = Statistics(registry, bundles)
        made = container("c1", host={"network_mode": "none"})
        registry.restore(made)
        (single,) = await _all(await watched.stream("c1", stream=False, one_shot=False))
        assert single.read == ZERO_TIME and single.networks is None and single.cpu_stats.system_cpu_usage == 0
        assert (single.id, single.name) == ("c1", "/name")
        streamed = await watched.stream("c1", stream=True, one_shot=False)
        await anext(streamed)
        made.removed.set_result(0)
        assert await _all(streamed) == []
        with pytest.raises(InvalidArgument, match="cannot have stream=true and one-shot=true"):
            await watched.stream("c1", stream=True, one_shot=True)
        database.close()

    asyncio.run(asyncio.wait_for(run(), 10))
