"""Limits that the kernel cannot enforce: taken out of a request, with a warning in Docker's words for each."""

from collections.abc import Iterator

from cove.engine.bundle.capacities import Capacities
from cove.errors import InvalidArgument
from cove.wire.host_config import HostConfig, Resources

_LACKING = "Your kernel does not support {} or the cgroup is not mounted. {}"
_THROTTLES = {
    "blkio_device_read_bps": ("BPS Block I/O read limit", "Block I/O BPS read limit discarded."),
    "blkio_device_write_bps": ("BPS Block I/O write limit", "Block I/O BPS write limit discarded."),
    "blkio_device_read_iops": ("IOPS Block read limit", "Block I/O IOPS read limit discarded."),
    "blkio_device_write_iops": ("IOPS Block write limit", "Block I/O IOPS write limit discarded."),
}


def discard(host: Resources, can: Capacities) -> list[str]:
    """Take what cannot be out of ``host``; the warnings. Raises InvalidArgument for what Docker refuses instead."""
    return [*_memory(host, can), *_kernel_memory(host), *_oom(host, can), *_cpu(host, can), *_block(host, can)]


def _memory(host: Resources, can: Capacities) -> Iterator[str]:
    if host.memory > 0 and not can.memory:
        host.memory, host.memory_swap = 0, -1
        yield _LACKING.format("memory limit capabilities", "Limitation discarded.")
    if host.memory > 0 and host.memory_swap != -1 and not can.swap:
        host.memory_swap = -1
        yield _LACKING.format("swap limit capabilities", "Memory limited without swap.")
    if host.memory_swappiness not in (None, -1) and not can.swappiness:
        host.memory_swappiness = None
        yield _LACKING.format("memory swappiness capabilities", "Memory swappiness discarded.")
    if host.memory_reservation > 0 and not can.reservation:
        host.memory_reservation = 0
        yield _LACKING.format("memory soft limit capabilities", "Limitation discarded.")
    if (host.pids_limit or 0) > 0 and not can.pids:
        host.pids_limit = None
        yield _LACKING.format("PIDs limit capabilities", "PIDs limit discarded.")


def _kernel_memory(host: Resources) -> Iterator[str]:
    """It has no effect: the kernel counts its own memory within the limit, and has given up limiting it alone."""
    if 0 < host.kernel_memory < 6 << 20:
        raise InvalidArgument("Minimum kernel memory limit allowed is 6MB")
    if host.kernel_memory > 0:
        yield "Specifying a kernel memory limit is deprecated and will be removed in a future release."


def _oom(host: Resources, can: Capacities) -> Iterator[str]:
    if host.oom_kill_disable and not can.oom_kill_disable:
        host.oom_kill_disable = None
        yield "Your kernel does not support OomKillDisable. OomKillDisable discarded."
    if host.oom_kill_disable and host.memory == 0:
        yield (
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
            "running out of resources."
        )


def _cpu(host: Resources, can: Capacities) -> Iterator[str]:
    if host.nano_cpus and not can.cpu_quota:
        raise InvalidArgument(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        )
    if host.cpu_shares > 0 and not can.cpu_shares:
        host.cpu_shares = 0
        yield _LACKING.format("CPU shares", "Shares discarded.")
    if (host.cpu_period or host.cpu_quota) and not can.cpu_quota:
        host.cpu_period = host.cpu_quota = 0
        yield _LACKING.format("CPU CFS scheduler", "CPU period and quota discarded.")
    if (host.cpu_realtime_period or host.cpu_realtime_runtime) and not can.cpu_realtime:
        host.cpu_realtime_period = host.cpu_realtime_runtime = 0
        yield _LACKING.format("CPU real-time scheduler", "CPU real-time period and runtime discarded.")
    if host.cpu_percent > 0:
        host.cpu_percent = 0
        yield "linux does not support CPU percent. Percent discarded."
    if (host.cpuset_cpus or host.cpuset_mems) and not can.cpuset:
        host.cpuset_cpus = host.cpuset_mems = ""
        yield _LACKING.format("cpuset", "Cpuset discarded.")


def _block(host: Resources, can: Capacities) -> Iterator[str]:
    if host.blkio_weight > 0 and not can.block_weight:
        host.blkio_weight = 0
        yield _LACKING.format("Block I/O weight", "Weight discarded.")
    if host.blkio_weight_device and not can.block_weight_device:
        host.blkio_weight_device = []
        yield _LACKING.format("Block I/O weight_device", "Weight-device discarded.")
    for name, (what, end) in _THROTTLES.items():
        if getattr(host, name) and not can.block_throttle:
            setattr(host, name, [])
            yield _LACKING.format(what, end)


def about_network(host: HostConfig, can: Capacities) -> list[str]:
    """Warnings about what is accepted and will not do what it says."""
    made = []
    if not can.forwarding and host.network_mode not in ("host", "none"):
        made.append("IPv4 forwarding is disabled. Networking will not work.")
    if host.network_mode == "host" and host.port_bindings:
        made.append("Published ports are discarded when using host network mode")
    return made
