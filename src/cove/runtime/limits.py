"""The limits of the OCI configuration, as what is written to which file of which controller; pure.

Values are converted to version 2 as the runtime specification and runc have it ("config-linux", "cgroups v2"), so that
a limit means the same on every machine.
"""

import math

from cove.lean import Any, Iterator, NamedTuple
from cove.oci.runtime import CpuLimits, DeviceRule, MemoryLimits, Resources


class Setting(NamedTuple):
    """One write. ``otherwise``: file and value on kernels that lack the file; ``optional``: they may lack both."""

    controller: str
    file: str
    value: str
    otherwise: tuple[str, str] | None = None
    optional: bool = False


def version1(resources: Resources) -> list[Setting]:
    """The writes for version 1 hierarchies, devices excepted. Raises ValueError naming the field."""
    if resources.get("unified"):
        raise ValueError("linux.resources.unified: this machine has version 1 control groups")
    return [
        *_memory1(resources.get("memory", {})),
        *_cpu1(resources.get("cpu", {})),
        *_pids(resources),
        *_block1(resources.get("blockIO", {})),
        *_huge_pages(resources, "limit_in_bytes"),
        *_rdma(resources),
        *_network1(resources.get("network", {})),
    ]


def version2(resources: Resources) -> list[Setting]:
    """The writes for the unified hierarchy, devices excepted. Raises ValueError naming the field."""
    return [
        *_memory2(resources.get("memory", {})),
        *_cpu2(resources.get("cpu", {})),
        *_pids(resources),
        *_block2(resources.get("blockIO", {})),
        *_huge_pages(resources, "max"),
        *_rdma(resources),
        *(Setting(_controller_of(file), file, value) for file, value in resources.get("unified", {}).items()),
    ]


def device_rules(rules: list[DeviceRule]) -> list[tuple[str, str]]:
    """The writes to devices.deny and devices.allow, in their order: (file, line) (devices.rst)."""
    return [("devices.allow" if rule["allow"] else "devices.deny", _device_line(rule)) for rule in rules]


def _device_line(rule: DeviceRule) -> str:
    kind = rule.get("type", "a") or "a"
    major, minor = rule.get("major", -1), rule.get("minor", -1)
    if kind == "a" and major < 0 and minor < 0:
        return "a"
    numbers = ":".join("*" if number < 0 else str(number) for number in (major, minor))
    return f"{kind} {numbers} {rule.get('access', 'rwm') or 'rwm'}"


def _memory1(memory: MemoryLimits) -> Iterator[Setting]:
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    _check_swap(limit, swap)
    if limit:
        yield Setting("memory", "memory.limit_in_bytes", str(limit))
    if swap or limit < 0:
        yield Setting("memory", "memory.memsw.limit_in_bytes", str(swap or -1), optional=not swap)
    if reservation := memory.get("reservation", 0):
        yield Setting("memory", "memory.soft_limit_in_bytes", str(reservation))
    swappiness = memory.get("swappiness", -1)
    if swappiness >= 0:
        yield Setting("memory", "memory.swappiness", str(swappiness))
    if memory.get("disableOOMKiller"):
        yield Setting("memory", "memory.oom_control", "1")


def _memory2(memory: MemoryLimits) -> Iterator[Setting]:
    """``swap`` is of both together, swap.max of it alone. What is not here has no counterpart."""
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    _check_swap(limit, swap)
    if swap < 0 or (limit < 0 and not swap):
        yield Setting("memory", "memory.swap.max", "max", optional=True)
    elif swap:
        yield Setting("memory", "memory.swap.max", str(swap - limit), optional=swap == limit)
    if limit:
        yield Setting("memory", "memory.max", _or_max(limit))
    if reservation := memory.get("reservation", 0):
        yield Setting("memory", "memory.low", _or_max(reservation))


def _check_swap(limit: int, swap: int) -> None:
    if swap > 0 and limit <= 0:
        raise ValueError("memory.swap: a swap limit needs a memory limit")
    if 0 < swap < limit:
        raise ValueError("memory.swap: the limit of memory and swap is below that of memory")


def _cpu1(cpu: CpuLimits) -> Iterator[Setting]:
    if shares := cpu.get("shares", 0):
        yield Setting("cpu", "cpu.shares", str(shares))
    if period := cpu.get("period", 0):
        yield Setting("cpu", "cpu.cfs_period_us", str(period))
    if quota := cpu.get("quota", 0):
        yield Setting("cpu", "cpu.cfs_quota_us", str(quota))
    if period := cpu.get("realtimePeriod", 0):
        yield Setting("cpu", "cpu.rt_period_us", str(period))
    if runtime := cpu.get("realtimeRuntime", 0):
        yield Setting("cpu", "cpu.rt_runtime_us", str(runtime))
    if "burst" in cpu:
        yield Setting("cpu", "cpu.cfs_burst_us", str(cpu["burst"]))
    if "idle" in cpu:
        yield Setting("cpu", "cpu.idle", str(cpu["idle"]))
    yield from _cpuset(cpu)


def _cpu2(cpu: CpuLimits) -> Iterator[Setting]:
    if shares := cpu.get("shares", 0):
        yield Setting("cpu", "cpu.weight", str(weight_of_shares(shares)))
    quota, period = cpu.get("quota", 0), cpu.get("period", 0)
    if quota or period:
        yield Setting("cpu", "cpu.max", f"{quota if quota > 0 else 'max'} {period or 100_000}")
    if "burst" in cpu:
        yield Setting("cpu", "cpu.max.burst", str(cpu["burst"]))
    if "idle" in cpu:
        yield Setting("cpu", "cpu.idle", str(cpu["idle"]))
    yield from _cpuset(cpu)


def _cpuset(cpu: CpuLimits) -> Iterator[Setting]:
    if cpus := cpu.get("cpus", ""):
        yield Setting("cpuset", "cpuset.cpus", cpus)
    if mems := cpu.get("mems", ""):
        yield Setting("cpuset", "cpuset.mems", mems)


def weight_of_shares(shares: int) -> int:
    """cpu.weight (1 to 10000) for cpu.shares (2 to 262144).

    The quadratic that runtimes agreed on in 2025: it maps both ends, and the default, 1024, to the default, 100. Before
    it the conversion was linear, 1 + (shares - 2) * 9999 / 262142, and 1024 became 39.
    """
    if shares <= 2:
        return 1
    if shares >= 262_144:
        return 10_000
    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def _pids(resources: Resources) -> Iterator[Setting]:
    limit = resources.get("pids", {"limit": 0})["limit"]
    if limit:
        yield Setting("pids", "pids.max", _or_max(limit))


_THROTTLES = {
    "throttleReadBpsDevice": ("blkio.throttle.read_bps_device", "rbps"),
    "throttleWriteBpsDevice": ("blkio.throttle.write_bps_device", "wbps"),
    "throttleReadIOPSDevice": ("blkio.throttle.read_iops_device", "riops"),
    "throttleWriteIOPSDevice": ("blkio.throttle.write_iops_device", "wiops"),
}


def _block1(block: dict[str, Any]) -> Iterator[Setting]:
    if weight := block.get("weight"):
        yield Setting("blkio", "blkio.weight", str(weight), ("blkio.bfq.weight", str(weight)))
    if weight := block.get("leafWeight"):
        yield Setting("blkio", "blkio.leaf_weight", str(weight), optional=True)
    for device in block.get("weightDevice") or []:
        if weight := device.get("weight"):
            line = f"{_number(device)} {weight}"
            yield Setting("blkio", "blkio.weight_device", line, ("blkio.bfq.weight_device", line))
        if weight := device.get("leafWeight"):
            yield Setting("blkio", "blkio.leaf_weight_device", f"{_number(device)} {weight}", optional=True)
    for key, (file, _name) in _THROTTLES.items():
        for device in block.get(key) or []:
            yield Setting("blkio", file, f"{_number(device)} {device['rate']}")


def _block2(block: dict[str, Any]) -> Iterator[Setting]:
    """BFQ's weights are those of version 1; the kernel's own (iocost) are on another scale."""
    if weight := block.get("weight"):
        yield Setting("io", "io.bfq.weight", str(weight), ("io.weight", f"default {_weight2(weight)}"))
    for device in block.get("weightDevice") or []:
        if weight := device.get("weight"):
            lines = (f"{_number(device)} {weight}", f"{_number(device)} {_weight2(weight)}")
            yield Setting("io", "io.bfq.weight", lines[0], ("io.weight", lines[1]))
    for key, (_file, name) in _THROTTLES.items():
        for device in block.get(key) or []:
            yield Setting("io", "io.max", f"{_number(device)} {name}={device['rate'] or 'max'}")


def _number(device: dict[str, int]) -> str:
    return f"{device['major']}:{device['minor']}"


def _weight2(weight: int) -> int:
    """From version 1's 10..1000 to version 2's 1..10000."""
    return 1 + (weight - 10) * 9999 // 990


def _huge_pages(resources: Resources, suffix: str) -> Iterator[Setting]:
    """Both what is used and what is reserved, which an older kernel does not count."""
    for entry in resources.get("hugepageLimits", []):
        size, limit = entry["pageSize"], str(entry["limit"])
        yield Setting("hugetlb", f"hugetlb.{size}.{suffix}", limit)
        yield Setting("hugetlb", f"hugetlb.{size}.rsvd.{suffix}", limit, optional=True)


def _rdma(resources: Resources) -> Iterator[Setting]:
    names = {"hcaHandles": "hca_handle", "hcaObjects": "hca_object"}
    for device, wanted in resources.get("rdma", {}).items():
        words = [f"{name}={wanted[key]}" for key, name in names.items() if key in wanted]
        yield Setting("rdma", "rdma.max", " ".join([device, *words]))


def _network1(network: dict[str, Any]) -> Iterator[Setting]:
    """Version 2 has no counterpart: firewalls match the group's path there."""
    if (number := network.get("classID")) is not None:
        yield Setting("net_cls", "net_cls.classid", str(number))
    for entry in network.get("priorities") or []:
        yield Setting("net_prio", "net_prio.ifpriomap", f"{entry['name']} {entry['priority']}")


def _controller_of(file: str) -> str:
    if "/" in file or "." not in file:
        raise ValueError(f"unified: {file!r} is not a file of a controller")
    return file.partition(".")[0]


def _or_max(limit: int) -> str:
    return "max" if limit < 0 else str(limit)
