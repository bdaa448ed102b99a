"""Loading a system call filter that was compiled beforehand (seccomp(2)), and taking its listener."""

import os
import struct

from cove.kernel.libc import address_of, system_call

_SET_MODE_FILTER = 1
NEW_LISTENER = 8
_INSTRUCTION = 8  # bytes of struct sock_filter
_SECCOMP = {
    "x86_64": 317,
    "aarch64": 277,
    "riscv64": 277,
    "loongarch64": 277,
    "s390x": 348,
    "ppc64le": 358,
    "armv7l": 383,
    "i686": 354,
}.get(os.uname().machine)
_PIDFD_GETFD = 438


def load(program: bytes, flags: int) -> int | None:
    """Put a filter on this process, for good: an array of struct sock_filter, and SECCOMP_FILTER_FLAG_* bits.

    Needs CAP_SYS_ADMIN or no_new_privs. With a listener among the flags, its (close-on-exec) descriptor. Raises
    OSError.
    """
    if _SECCOMP is None:
        raise OSError(95, "seccomp is not supported on this machine")
    header = struct.pack("@HP", len(program) // _INSTRUCTION, address_of(program))
    result = system_call("seccomp", _SECCOMP, _SET_MODE_FILTER, flags, header)
    return result if flags & NEW_LISTENER else None


def take_descriptor(pidfd: int, number: int) -> int:
    """A copy of another process's descriptor (pidfd_getfd(2)), close-on-exec."""
    return system_call("pidfd_getfd", _PIDFD_GETFD, pidfd, number, 0)


def supported() -> bool:
    """Whether this kernel takes filters."""
    return os.path.exists("/proc/sys/kernel/seccomp/actions_avail")
