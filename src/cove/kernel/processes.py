"""What a process can change about itself: prctl, descriptors, signals, the out-of-memory score."""

import os
import select

from cove.kernel.libc import check, libc, system_call
from cove.lean import Iterable, ctypes, signal, suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CLOSE_RANGE = 436  # close_range(2); the same number on every architecture
_CLOSE_RANGE_CLOEXEC = 4
_LAST_DESCRIPTOR = 0xFFFFFFFF
_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219}.get(os.uname().machine)
_JOIN_SESSION_KEYRING = 1
_CHANGED_SIGNALS = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
    signal.SIGPIPE,
    signal.SIGXFSZ,
)

_prctl = libc.prctl
_prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]

_prctl_text = libc["prctl"]  # another object for the same function: ctypes keeps one list of types with each
_prctl_text.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]

_signal = libc.signal
_signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
_signal.restype = ctypes.c_void_p


def prctl(call: str, option: int, second: int = 0, third: int = 0) -> int:
    """prctl(2) with integers; ``call`` names it in the error."""
    return check(_prctl(option, second, third, 0, 0), f"prctl {call}")


def set_parent_death_signal(number: int) -> None:
    """Have the kernel send this process a signal when its parent ends. A change of user id undoes it."""
    prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, number)


def await_end(pidfd: int) -> None:
    """Wait until a process has ended, by its descriptor."""
    select.select([pidfd], [], [])


def set_child_subreaper(enabled: bool = True) -> None:
    """Become the parent of descendants that lose theirs."""
    prctl("PR_SET_CHILD_SUBREAPER", _PR_SET_CHILD_SUBREAPER, int(enabled))


def set_dumpable(enabled: bool) -> None:
    """Whether others of this user may trace this process or open its /proc entries. execve sets it again."""
    prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, int(enabled))


def set_no_new_privileges() -> None:
    """execve gives no more privileges from here on, for this process and its descendants."""
    prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)


def set_name(name: str) -> None:
    """The name in /proc/self/comm; the kernel keeps its first 15 bytes.

    Not by a ctypes buffer, of which each is a new class: making one wrote to 170 KiB of the shim's shared memory.
    """
    check(_prctl_text(_PR_SET_NAME, name.encode()[:15], 0, 0, 0), "prctl PR_SET_NAME")


def new_session_keyring() -> None:
    """Leave the keyring of the session that started us; a kernel without keyrings has none to leave."""
    if _KEYCTL is not None:
        with suppress(OSError):
            system_call("keyctl", _KEYCTL, _JOIN_SESSION_KEYRING, None)


def close_range(first: int, last: int = _LAST_DESCRIPTOR) -> None:
    """Close the descriptors from ``first`` to ``last``, both included, in one call."""
    if first <= last:
        system_call("close_range", _CLOSE_RANGE, first, last, 0)


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor except those in ``kept``."""
    first = 0
    for descriptor in sorted(set(kept)):
        if descriptor > first:
            close_range(first, descriptor - 1)
        first = descriptor + 1
    close_range(first)


def close_on_exec_from(first: int) -> None:
    """Mark every descriptor from ``first`` on close-on-exec."""
    system_call("close_range", _CLOSE_RANGE, first, _LAST_DESCRIPTOR, _CLOSE_RANGE_CLOEXEC)


def reset_signals() -> None:
    """Default dispositions and an empty mask: what a program expects to inherit.

    Only of the signals that the runtime or Python (SIGPIPE, SIGXFSZ) ignores or handles: the zygote starts with the
    defaults of all. By the C function: Python's own converts to enumerations and back.
    """
    for number in _CHANGED_SIGNALS:
        _signal(number, None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def set_oom_score_adjustment(value: int) -> None:
    """From -1000 (never killed for memory) to 1000 (killed first); below the current one needs CAP_SYS_RESOURCE."""
    descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)
