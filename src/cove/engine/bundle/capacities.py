"""Which limits the kernel can enforce here, as ``info`` shows them, and warnings about those it cannot."""

import os
from pathlib import Path
from typing import NamedTuple

from cove.kernel.cgroups import Layout

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class Capacities(NamedTuple):
    """What may be asked for in a HostConfig, and IPv4 forwarding of the host."""

    memory: bool
    swap: bool
    oom_kill_disable: bool
    cpu_shares: bool
    cpu_quota: bool
    cpu_period: bool
    cpuset: bool
    pids: bool
    forwarding: bool
    reservation: bool = True
    swappiness: bool = True
    cpu_realtime: bool = True
    block_weight: bool = True
    block_weight_device: bool = True
    block_throttle: bool = True


def look(layout: Layout, group: str = "") -> Capacities:
    """Ask the mounted control groups. ``group``: the path of one below the root, which lacks some files."""
    forwarding = _first_line(_FORWARDING) == "1"
    return _unified(layout, group, forwarding) if layout.unified else _split(layout, group, forwarding)


def _split(layout: Layout, group: str, forwarding: bool) -> Capacities:
    def has(controller: str, *files: str) -> bool:
        place = layout.mount_point(controller)
        return place is not None and any(os.path.exists(f"{place}{group}/{file}") for file in files)

    return Capacities(
        memory=has("memory", "memory.limit_in_bytes"),
        swap=has("memory", "memory.memsw.limit_in_bytes"),
        oom_kill_disable=has("memory", "memory.oom_control"),
        cpu_shares=has("cpu", "cpu.shares"),
        cpu_quota=has("cpu", "cpu.cfs_quota_us"),
        cpu_period=has("cpu", "cpu.cfs_period_us"),
        cpuset=has("cpuset", "cpuset.cpus"),
        pids=layout.mount_point("pids") is not None,
        forwarding=forwarding,
        reservation=has("memory", "memory.soft_limit_in_bytes"),
        swappiness=has("memory", "memory.swappiness"),
        cpu_realtime=has("cpu", "cpu.rt_runtime_us"),
        block_weight=has("blkio", "blkio.weight", "blkio.bfq.weight"),
        block_weight_device=has("blkio", "blkio.weight_device", "blkio.bfq.weight_device"),
        block_throttle=has("blkio", "blkio.throttle.read_bps_device"),
    )


def _unified(layout: Layout, group: str, forwarding: bool) -> Capacities:
    """The root has no limits of its own: its list of controllers says what its children have."""
    place = layout.hierarchies[0].mount_point if layout.hierarchies else ""
    controllers = _first_line(Path(place) / "cgroup.controllers").split() if place else []
    cpu, memory, block = "cpu" in controllers, "memory" in controllers, "io" in controllers
    own = f"{place}{group}"
    return Capacities(
        memory=memory,
        swap=memory and os.path.exists(f"{own}/memory.swap.max" if group else "/proc/swaps"),
        oom_kill_disable=False,
        cpu_shares=cpu,
        cpu_quota=cpu,
        cpu_period=cpu,
        cpuset="cpuset" in controllers,
        pids="pids" in controllers,
        forwarding=forwarding,
        reservation=memory,
        swappiness=False,
        cpu_realtime=False,
        block_weight=block and any(os.path.exists(f"{own}/{file}") for file in ("io.bfq.weight", "io.weight")),
        block_weight_device=block and any(os.path.exists(f"{own}/{file}") for file in ("io.bfq.weight", "io.weight")),
        block_throttle=block,
    )


def warnings(found: Capacities, *, unified: bool) -> list[str]:
    """In Docker's words; it takes the absence of ``oom_kill_disable`` for granted in version 2."""
    lacks = {
        "No memory limit support": not found.memory,
        "No swap limit support": not found.swap,
        "No oom kill disable support": not found.oom_kill_disable and not unified,
        "No cpu cfs quota support": not found.cpu_quota,
        "No cpu cfs period support": not found.cpu_period,
        "No cpu shares support": not found.cpu_shares,
        "No cpuset support": not found.cpuset,
        "IPv4 forwarding is disabled": not found.forwarding,
    }
    return [f"WARNING: {words}" for words, lacking in lacks.items() if lacking]


def _first_line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0].strip()
    except OSError:
        return ""
