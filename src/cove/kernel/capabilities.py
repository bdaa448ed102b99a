"""Capabilities: the privileges of root, one by one (capabilities(7))."""

import struct

from cove.kernel.libc import check, libc
from cove.kernel.processes import prctl
from cove.lean import ctypes

NAMES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""By number (linux/capability.h)."""

_NUMBERS = {name: number for number, name in enumerate(NAMES)}
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_AMBIENT_RAISE = 2
_AMBIENT_CLEAR_ALL = 4
_VERSION_3 = 0x20080522

_capset = libc.capset
_capset.argtypes = [ctypes.c_char_p, ctypes.c_char_p]


def _read_last() -> int:
    try:
        with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
            return min(int(file.read()), 63)
    except (OSError, ValueError):
        return len(NAMES) - 1


LAST = _read_last()
"""The number of the last capability that this kernel knows."""


def mask(names: list[str]) -> int:
    """The bits of capability names; those that this kernel does not know are left out.

    Raises ValueError for a name that is none.
    """
    bits = 0
    for name in names:
        number = _NUMBERS.get(name)
        if number is None:
            raise ValueError(f"unknown capability {name!r}")
        if number <= LAST:
            bits |= 1 << number
    return bits


def bounding() -> int:
    """The bits of this process's bounding set: what it, and what it starts, can ever have."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next((int(line.split()[1], 16) for line in file if line.startswith("CapBnd:")), 0)


def limit_bounding(bits: int) -> None:
    """Drop every capability that is not in ``bits`` from the bounding set: no execve gives it back."""
    for number in range(LAST + 1):
        if not bits >> number & 1:
            prctl(f"PR_CAPBSET_DROP {number}", _PR_CAPBSET_DROP, number)


def keep_over_setuid(enabled: bool) -> None:
    """Whether the permitted set survives the next change from user 0 to another; execve resets it."""
    prctl("PR_SET_KEEPCAPS", _PR_SET_KEEPCAPS, int(enabled))


def set_own(effective: int, permitted: int, inheritable: int) -> None:
    """The three sets of this process (capset), as bits."""
    header = struct.pack("=Ii", _VERSION_3, 0)
    low = [bits & 0xFFFFFFFF for bits in (effective, permitted, inheritable)]
    high = [bits >> 32 for bits in (effective, permitted, inheritable)]
    check(_capset(header, struct.pack("=6I", *low, *high)), "capset")


def set_ambient(bits: int) -> None:
    """Replace the ambient set, which execve by any user keeps. Each must be permitted and inheritable."""
    prctl("PR_CAP_AMBIENT clear", _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    for number in range(LAST + 1):
        if bits >> number & 1:
            prctl(f"PR_CAP_AMBIENT raise {number}", _PR_CAP_AMBIENT, _AMBIENT_RAISE, number)
