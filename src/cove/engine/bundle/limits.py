"""The limits of a create request, checked in Docker's words. Pure but for the machine's CPUs and memory nodes."""

import os
from collections.abc import Sequence
from pathlib import Path

from cove.engine.bundle import devices
from cove.errors import InvalidArgument
from cove.wire.host_config import HostConfig

SMALLEST_MEMORY = 6 << 20
"""Docker refuses limits below 6 MiB: the program could not even be executed."""

LARGEST_TERMINAL = 0xFFFF
"""Rows or columns: the kernel has 16 bits for each (ioctl_tty(2))."""

_NODES = Path("/sys/devices/system/node/online")

ULIMITS = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()


def check(host: HostConfig) -> None:
    """Raises InvalidArgument, in Docker's words where it has them."""
    _check_memory(host)
    _check_cpus(host)
    _check_block(host)
    _check_devices(host)
    _check_parent(host.cgroup_parent)
    if host.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    if host.umask is not None and not 0 <= host.umask <= 0o777:
        raise InvalidArgument(f"invalid value for HostConfig.Umask: {host.umask} is no mode of permissions")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    for limit in host.ulimits or []:
        if limit.name not in ULIMITS:
            raise InvalidArgument(f"invalid ulimit type: {limit.name}")
        if limit.hard >= 0 and limit.soft > limit.hard:
            raise InvalidArgument(
                f"invalid ulimit {limit.name}: soft limit {limit.soft} exceeds hard limit {limit.hard}"
            )


def _check_parent(parent: str) -> None:
    """Every part of the path is the name of a control group."""
    if "\0" in parent or any(part in (".", "..") for part in parent.split("/")):
        raise InvalidArgument(f"invalid CgroupParent: {parent!r}")


def _check_memory(host: HostConfig) -> None:
    if host.memory and host.memory < SMALLEST_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if host.memory_reservation and host.memory_reservation < SMALLEST_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if host.memory_swap > 0 and not host.memory:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if host.memory and 0 < host.memory_swap < host.memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if host.memory and host.memory_reservation > host.memory:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    if host.memory_swappiness is not None and not -1 <= host.memory_swappiness <= 100:
        raise InvalidArgument(f"Invalid value: {host.memory_swappiness}, valid memory swappiness range is 0-100")


def _check_cpus(host: HostConfig) -> None:
    count = os.cpu_count() or 1
    for name, value in (("Period", host.cpu_period), ("Quota", host.cpu_quota)):
        if host.nano_cpus and value:
            raise InvalidArgument(f"Conflicting options: Nano CPUs and CPU {name} cannot both be set")
    if not 0 <= host.nano_cpus <= count * 1_000_000_000:
        raise InvalidArgument(f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available")
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if host.cpu_shares < 0:
        raise InvalidArgument("shares: invalid argument")
    if 0 < host.cpu_quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    _check_set("CPUs", "cpuset cpus", host.cpuset_cpus, f"0-{count - 1}" if count > 1 else "0")
    _check_set("memory nodes", "cpuset mems", host.cpuset_mems, _nodes())


def _check_block(host: HostConfig) -> None:
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    for device in host.blkio_weight_device or []:
        if device.weight and not 10 <= device.weight <= 1000:
            raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    if host.io_maximum_bandwidth:
        raise InvalidArgument("Invalid QoS settings: linux does not support configuration of maximum bandwidth")
    if host.io_maximum_iops:
        raise InvalidArgument("Invalid QoS settings: linux does not support configuration of maximum IOPs")


def _check_devices(host: HostConfig) -> None:
    for mapping in host.devices or []:
        if not set(mapping.cgroup_permissions) <= set("rwm"):
            raise InvalidArgument(f"invalid device mode: {mapping.cgroup_permissions}")
    for text in host.device_cgroup_rules or []:
        devices.rule(text)


def _check_set(what: str, field: str, asked: str, available: str) -> None:
    if asked and not _numbers(asked, field) <= _numbers(available, field):
        raise InvalidArgument(f"Requested {what} are not available - requested {asked}, available: {available}")


def _numbers(text: str, field: str) -> set[int]:
    """``0-2,7`` as the kernel's lists have it. Raises InvalidArgument."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and len(first) < 6 and (not dash or (last.isdecimal() and len(last) < 6))):
            raise InvalidArgument(f"Invalid value {text} for {field}: invalid format: {text}")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _nodes() -> str:
    try:
        return _NODES.read_text().strip()
    except OSError:
        return "0"


def terminal_size(field: str, given: Sequence[int] | None) -> tuple[int, int] | None:
    """Rows and columns, as Go reads a pair: what is missing is 0. None for no size. Raises InvalidArgument."""
    rows, columns = [*(given or ()), 0, 0][:2]
    if not (0 <= rows <= LARGEST_TERMINAL and 0 <= columns <= LARGEST_TERMINAL):
        raise InvalidArgument(f"invalid value for {field}: [{rows}, {columns}] is no number of rows and of columns")
    return (rows, columns) if rows and columns else None
