"""Every system call, tried with arguments that do no harm, in a container of each engine: what comes back."""

import errno
import signal
import socket
from collections.abc import Callable

import pytest

from cove.seccomp.abi import ABIS, numbers
from harness import probes
from harness.compare import Observed
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static", "host-python")

CALLS = numbers(ABIS["SCMP_ARCH_X86_64"])

NOT_TRIED = frozenset(
    "exit exit_group fork vfork pause rt_sigreturn rt_sigsuspend restart_syscall sync rt_sigtimedwait "
    "select pselect6 epoll_pwait2 poll ppoll epoll_wait wait4 waitid brk sched_getcpu getcpu gettid getpid getppid "
    "getpgrp getpgid getsid umask time times alarm".split()
)
"""They end or stop the process that tries them, wait for something, or give what differs from run to run."""

NAMESPACES = {
    "NEWTIME": 0x80,
    "NEWNS": 0x20000,
    "NEWCGROUP": 0x2000000,
    "NEWUTS": 0x4000000,
    "NEWIPC": 0x8000000,
    "NEWUSER": 0x10000000,
    "NEWPID": 0x20000000,
    "NEWNET": 0x40000000,
}
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF, 0x40000, 0x400000)
FAMILIES = range(47)


def _said(result: int) -> str:
    if result < 0:
        return signal.Signals(-result).name
    return errno.errorcode.get(result, str(result)) if result else "done"


def _tried(engine: Engine, wanted: dict[str, list[int]], *flags: str) -> Observed:
    found = probes.calls(engine, list(wanted.values()), *flags)
    return {name: _said(result) for name, result in zip(wanted, found, strict=True)}


def _every_call(engine: Engine, *flags: str) -> Observed:
    """All arguments are -1: no descriptor, no address, no process, and flags that there are not."""
    names = sorted(CALLS.keys() - NOT_TRIED, key=CALLS.__getitem__)
    return _tried(engine, {name: [CALLS[name], *[-1] * 6] for name in names}, *flags)


def _with_arguments(engine: Engine, *flags: str) -> Observed:
    """What a profile decides by arguments."""
    wanted = {
        f"clone {name}": [CALLS["clone"], flag | int(signal.SIGCHLD), 0, 0, 0, 0] for name, flag in NAMESPACES.items()
    }
    wanted |= {f"unshare {name}": [CALLS["unshare"], flag] for name, flag in NAMESPACES.items()}
    wanted |= {f"personality {value:#x}": [CALLS["personality"], value] for value in PERSONALITIES}
    kind = int(socket.SOCK_DGRAM)
    wanted |= {f"socket {family}": [CALLS["socket"], family, kind, 0] for family in FAMILIES}
    return _tried(engine, wanted, *flags)


def test_every_call(alike: Callable[..., None]) -> None:
    alike("system calls", _every_call)


def test_calls_that_are_decided_by_their_arguments(alike: Callable[..., None]) -> None:
    alike("system calls with arguments", _with_arguments)


def test_calls_of_a_container_with_more_capabilities(alike: Callable[..., None]) -> None:
    alike("system calls with SYS_ADMIN", lambda engine: _every_call(engine, "--cap-add", "SYS_ADMIN"))
