"""What a container may do by default, and what flags add or take: capabilities, devices, masked paths.

The defaults are Docker's, so that an image which runs there runs here.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cove.errors import InvalidArgument
from cove.kernel import features
from cove.kernel.capabilities import bounding, mask
from cove.oci.runtime import Capabilities, DeviceRule

ALL_CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
        "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
        "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE "
        "AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF "
        "CHECKPOINT_RESTORE"
    ).split()
)

DEFAULT_CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
        "AUDIT_WRITE"
    ).split()
)

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)


@cache
def masked_paths() -> tuple[str, ...]:
    """``MASKED_PATHS`` and, as in Docker, each processor's record of its heat, which tells tenants of each other."""
    throttled = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle")
    return (*MASKED_PATHS, *sorted(str(path) for path in throttled))


READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

DEFAULT_DEVICE_RULES: tuple[DeviceRule, ...] = (
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},  # null
    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"},  # zero
    {"allow": True, "type": "c", "major": 1, "minor": 7, "access": "rwm"},  # full
    {"allow": True, "type": "c", "major": 1, "minor": 8, "access": "rwm"},  # random
    {"allow": True, "type": "c", "major": 1, "minor": 9, "access": "rwm"},  # urandom
    {"allow": True, "type": "c", "major": 5, "minor": 0, "access": "rwm"},  # tty
    {"allow": True, "type": "c", "major": 5, "minor": 1, "access": "rwm"},  # console
    {"allow": True, "type": "c", "major": 5, "minor": 2, "access": "rwm"},  # ptmx
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},  # pts/*
)

PRIVILEGED_DEVICE_RULES: tuple[DeviceRule, ...] = ({"allow": True, "access": "rwm"},)


@cache
def security_modules() -> frozenset[str]:
    """What the kernel confines programs with, by its own names; it does not change while the kernel runs."""
    return frozenset(features.security_modules())


@cache
def available() -> tuple[str, ...]:
    """The capabilities that this daemon can hand out: the kernel's, less what its own bounding set lacks."""
    own = bounding()
    return tuple(name for name in ALL_CAPABILITIES if mask([name]) & own)


def capability(name: str) -> str:
    """The kernel's name of a capability as a user writes it. Raises InvalidArgument in Docker's words."""
    full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
    if full not in ALL_CAPABILITIES:
        raise InvalidArgument(f'unknown capability: "{full}"')
    return full


def capabilities(add: Sequence[str], drop: Sequence[str], *, privileged: bool) -> tuple[str, ...]:
    """The capabilities of a container, in the kernel's order. ``ALL`` in either list means all that there are."""
    if privileged:
        return available()
    added = [item.upper() for item in add]
    dropped = [item.upper() for item in drop]
    chosen = set(DEFAULT_CAPABILITIES)
    if "ALL" in added or "CAP_ALL" in added:
        chosen = set(available())
    elif "ALL" in dropped or "CAP_ALL" in dropped:
        chosen = set()
    chosen |= _named("CapAdd", add)
    chosen -= _named("CapDrop", drop)
    return tuple(item for item in ALL_CAPABILITIES if item in chosen)


def _named(field: str, given: Sequence[str]) -> set[str]:
    try:
        return {capability(item) for item in given if item.upper() not in ("ALL", "CAP_ALL")}
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid {field}: {error.message}") from error


def capability_sets(chosen: Sequence[str]) -> Capabilities:
    """All sets of a process. Inheritable and ambient stay empty, as Docker has it since 20.10.14."""
    return {"bounding": list(chosen), "effective": list(chosen), "permitted": list(chosen)}
