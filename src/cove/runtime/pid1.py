"""A minimal init: pid 1 that starts the program, passes signals on to it, and buries orphans.

It stays in the container, so it has given up all that the program may not have, and is not dumpable.
"""

import os

from cove.kernel import processes
from cove.lean import Iterable, signal, socket, suppress

_SYNCHRONOUS = frozenset({signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGTRAP})
_NOT_FORWARDED = _SYNCHRONOUS | {signal.SIGKILL, signal.SIGSTOP}


def stay(terminal: bool, channel: socket.socket) -> None:
    """Returns in a new child, which is to execute the program; this process stays until that child ends.

    It then exits with the child's code, or 128 + the signal that killed it.
    """
    forwarded = signal.valid_signals() - _NOT_FORWARDED
    signal.pthread_sigmask(signal.SIG_BLOCK, forwarded)
    processes.set_name("init")  # before there is anybody to see another one
    child = os.fork()
    if child == 0:
        _become_foreground(terminal)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return
    channel.close()
    processes.close_range(0)  # the program's streams end when the program closes them, not when its init does
    os._exit(_watch(child, forwarded))


def _become_foreground(terminal: bool) -> None:
    """A process group of its own, which a terminal's keys signal without init."""
    processes.set_parent_death_signal(signal.SIGKILL)
    os.setpgid(0, 0)
    if terminal:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        os.tcsetpgrp(0, os.getpid())


def _watch(child: int, forwarded: Iterable[int]) -> int:
    while True:
        number = signal.sigwait(forwarded)
        if number != signal.SIGCHLD:
            _forward(child, number)
            continue
        code = _bury(child)
        if code is not None:
            return code


def _forward(child: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, number)


def _bury(child: int) -> int | None:
    """Reap all that have ended; the exit code once the program is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            ended = os.waitstatus_to_exitcode(status)
            code = ended if ended >= 0 else 128 - ended
