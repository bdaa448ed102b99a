"""How a process is scheduled on processors and disks, and its execution domain."""

import os
import struct

from cove.kernel.libc import check, libc, system_call

POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
"""By the runtime specification's names (linux/sched.h)."""

FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}

IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
"""linux/ioprio.h."""

DOMAINS = {"LINUX": 0x0000, "LINUX32": 0x0008}
"""personality(2): PER_LINUX and PER_LINUX32."""

_MACHINE = os.uname().machine
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}.get(_MACHINE, -1)
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30}.get(_MACHINE, -1)
_IO_CLASS_SHIFT = 13
_WHO_PROCESS = 1


def set_policy(policy: int, flags: int, nice: int, priority: int, times: tuple[int, int, int]) -> None:
    """Of this process (sched_setattr(2)). ``times``: runtime, deadline and period in nanoseconds. Raises OSError."""
    attributes = struct.pack("=IIQiIQQQ", 48, policy, flags, nice, priority, *times)
    system_call("sched_setattr", _SCHED_SETATTR, 0, attributes, 0)


def set_io_priority(kind: int, level: int) -> None:
    """Of this process (ioprio_set(2)); ``kind`` of IO_CLASSES, ``level`` from 0 (first) to 7. Raises OSError."""
    system_call("ioprio_set", _IOPRIO_SET, _WHO_PROCESS, 0, kind << _IO_CLASS_SHIFT | level)


def set_personality(domain: int) -> None:
    """The execution domain of this process and what it executes. Raises OSError."""
    check(libc.personality(domain), "personality")
