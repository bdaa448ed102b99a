"""What a running container uses: samples of its control group and of its network interfaces, for ``stats``.

A sample is a dozen small files of the kernel, read once, without a process or a thread. Both versions of control groups
are shown under the names that Docker gives them.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterable

import msgspec

from cove.engine.bundle.bundles import Bundles
from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.containers.sampling import Sampler
from cove.engine.networking.connectivity import network_mode
from cove.errors import InvalidArgument
from cove.kernel.cgroups import Cgroup, layout, read_file
from cove.units import format_time
from cove.wire.containers import ZERO_TIME
from cove.wire.stats import (
    BlkioEntry,
    BlkioStats,
    CPUStats,
    CPUUsage,
    MemoryStats,
    NetworkStats,
    PidsStats,
    Stats,
    ThrottlingData,
)

SINGLE_INTERVAL = 0.5
"""Seconds that a single sample is compared over, half of Docker's: the kernel adds up what runs at ticks that are up to
10 ms apart, which is 2 % of it."""

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
"""Nanoseconds in the unit that cpuacct.stat counts in (times(2))."""

_SIZES = ("blkio.bfq.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive")
_COUNTS = ("blkio.bfq.io_serviced_recursive", "blkio.throttle.io_serviced_recursive")
_IO_NAMES = (("rbytes", "read"), ("wbytes", "write")), (("rios", "read"), ("wios", "write"))


class Statistics:
    """Samples of containers. All open streams share one reader; a container that nobody watches costs nothing."""

    def __init__(self, registry: Registry, bundles: Bundles) -> None:
        self._registry = registry
        self._bundles = bundles
        self._sampler = Sampler(self.sample)

    def sample(self, container: Container) -> Stats:
        """What it uses now. A container that does not run uses nothing."""
        taken = Stats(read=ZERO_TIME, name=f"/{container.name}", id=container.id)
        if container.running:
            taken.read = format_time(time.time_ns())
            cgroup = Cgroup(layout(), self._bundles.cgroup(container))
            taken.cpu_stats, taken.memory_stats = cpu(cgroup), memory(cgroup)
            taken.pids_stats, taken.blkio_stats = pids(cgroup), block_io(cgroup)
            if network_mode(container) not in ("host", "none"):
                taken.networks = networks(read_file(f"/proc/{container.pid}/net/dev") or "")
        return taken

    async def stream(self, ref: str, *, stream: bool, one_shot: bool) -> AsyncIterator[Stats]:
        """A sample a second until the container is removed; a single one unless ``stream``, at once if ``one_shot``.

        Raises NotFound, InvalidArgument.
        """
        if stream and one_shot:
            raise InvalidArgument("cannot have stream=true and one-shot=true")
        container = self._registry.get(ref)
        return self._samples(container) if stream else self._single(container, wait=not one_shot)

    async def _samples(self, container: Container) -> AsyncIterator[Stats]:
        before = None
        async with contextlib.aclosing(self._sampler.samples(container)) as samples:
            async for sample in samples:
                yield _compared(sample, before)
                before = sample

    async def _single(self, container: Container, *, wait: bool) -> AsyncIterator[Stats]:
        """One sample, compared with one shortly before it; there is nothing to wait for in a stopped container."""
        before = None
        if wait and container.running:
            before = self.sample(container)
            await asyncio.wait([container.removed], timeout=SINGLE_INTERVAL)
        yield _compared(self.sample(container), before)


def _compared(sample: Stats, before: Stats | None) -> Stats:
    """What a client compares a sample with goes with it."""
    if before is None:
        return sample
    return msgspec.structs.replace(sample, preread=before.read, precpu_stats=before.cpu_stats)


def cpu(cgroup: Cgroup) -> CPUStats:
    """Time used by the container, and by the whole machine."""
    numbers = cgroup.counters("cpu", "cpu.stat")
    made = CPUStats(
        throttling_data=ThrottlingData(
            periods=numbers.get("nr_periods", 0),
            throttled_periods=numbers.get("nr_throttled", 0),
            throttled_time=numbers.get("throttled_time", numbers.get("throttled_usec", 0) * 1000),
        ),
        system_cpu_usage=machine_time(),
        online_cpus=len(os.sched_getaffinity(0)),
    )
    if cgroup.layout.unified:
        made.cpu_usage = CPUUsage(
            total_usage=numbers.get("usage_usec", 0) * 1000,
            usage_in_kernelmode=numbers.get("system_usec", 0) * 1000,
            usage_in_usermode=numbers.get("user_usec", 0) * 1000,
        )
        return made
    modes = cgroup.counters("cpuacct", "cpuacct.stat")
    made.cpu_usage = CPUUsage(
        total_usage=_number(cgroup.read("cpuacct", "cpuacct.usage")),
        percpu_usage=[int(word) for word in (cgroup.read("cpuacct", "cpuacct.usage_percpu") or "").split()],
        usage_in_kernelmode=modes.get("system", 0) * _TICK,
        usage_in_usermode=modes.get("user", 0) * _TICK,
    )
    return made


def machine_time() -> int:
    """Nanoseconds that all CPUs have run, idled and waited: what the machine has been up, times their number.

    /proc/stat counts the same in ticks, some of which a virtual machine misses when its host is busy; a container would
    seem to use more than there is.
    """
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) * (os.cpu_count() or 1)


def memory(cgroup: Cgroup) -> MemoryStats:
    """``limit``: the machine's memory when the container has none that is lower."""
    unified = cgroup.layout.unified
    limit = _number(cgroup.read("memory", "memory.max" if unified else "memory.limit_in_bytes"))
    made = MemoryStats(
        usage=_number(cgroup.read("memory", "memory.current" if unified else "memory.usage_in_bytes")),
        stats=cgroup.counters("memory", "memory.stat") or None,
        limit=min(limit or MACHINE_MEMORY, MACHINE_MEMORY),
    )
    if unified:
        made.failcnt = cgroup.counters("memory", "memory.events").get("oom", 0)
    else:
        made.max_usage = _number(cgroup.read("memory", "memory.max_usage_in_bytes"))
        made.failcnt = _number(cgroup.read("memory", "memory.failcnt"))
    return made


MACHINE_MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
"""Bytes."""


def pids(cgroup: Cgroup) -> PidsStats:
    return PidsStats(
        current=_number(cgroup.read("pids", "pids.current")), limit=_number(cgroup.read("pids", "pids.max"))
    )


def block_io(cgroup: Cgroup) -> BlkioStats:
    """What was read and written, by device. Version 2 counts nothing else, and the rest stays empty."""
    if cgroup.layout.unified:
        text = cgroup.read("io", "io.stat") or ""
        sizes, counts = (io_stat(text, names) for names in _IO_NAMES)
        return BlkioStats(io_service_bytes_recursive=sizes, io_serviced_recursive=counts)
    return BlkioStats(
        io_service_bytes_recursive=_first_entries(cgroup, _SIZES),
        io_serviced_recursive=_first_entries(cgroup, _COUNTS),
        io_queue_recursive=[],
        io_service_time_recursive=[],
        io_wait_time_recursive=[],
        io_merged_recursive=[],
        io_time_recursive=[],
        sectors_recursive=[],
    )


def _first_entries(cgroup: Cgroup, files: Iterable[str]) -> list[BlkioEntry]:
    """Of the first file with any: which one counts depends on the device's scheduler."""
    for file in files:
        if found := blkio_entries(cgroup.read("blkio", file) or ""):
            return found
    return []


def blkio_entries(text: str) -> list[BlkioEntry]:
    """The lines ``8:0 Read 4096`` of a version 1 file, without the sum over all devices at its end."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3:
            major, _, minor = words[0].partition(":")
            found.append(BlkioEntry(major=int(major), minor=int(minor), op=words[1], value=int(words[2])))
    return found


def io_stat(text: str, names: Iterable[tuple[str, str]]) -> list[BlkioEntry]:
    """The lines ``8:0 rbytes=4096 wbytes=0 …`` of io.stat. ``names``: of its counters, and how Docker calls those."""
    found = []
    for line in text.splitlines():
        device, *pairs = line.split()
        major, _, minor = device.partition(":")
        counters = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        found += [
            BlkioEntry(major=int(major), minor=int(minor), op=operation, value=int(counters[name]))
            for name, operation in names
            if name in counters
        ]
    return found


_COUNTERS = [f"{direction}_{what}" for direction in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")]


def networks(text: str) -> dict[str, NetworkStats]:
    """Every interface but the loopback one, from the text of /proc/<pid>/net/dev."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        numbers = [int(word) for word in rest.split()]
        if name.strip() != "lo" and len(numbers) >= 12:
            found[name.strip()] = NetworkStats(**dict(zip(_COUNTERS, [*numbers[:4], *numbers[8:12]], strict=True)))
    return found


def _number(text: str | None) -> int:
    """0 when there is no file, or no limit in it."""
    return int(text) if text and text.isdecimal() else 0
