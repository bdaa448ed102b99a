"""The shim's side of a log that another process writes or sends: that process, and what waits for it.

A remote driver may block, resolve names, negotiate TLS and retry, and a disk may take nothing for a while; a shim may
not wait, it serves execs and signals meanwhile. So the shim forks a process before anything of the container exists,
and gives it blocks (``blocks``) through a socket. What the socket does not take is kept here: in blocking mode the
program waits once that is ``BLOCKED_AT`` bytes, in non-blocking mode output beyond the buffer is dropped. Once the
container or the shim has ended, that process gets ``GRACE`` seconds for the rest.
"""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from cove.kernel import processes
from cove.runtime.logs.blocks import Blocks
from cove.runtime.loop import READ, WRITE, Loop

BLOCKED_AT = 1 << 16
GRACE = 5
"""Seconds that the rest of an ended container's output gets (Docker: 10, which its stop waits for)."""

_KILLED_BY = GRACE + 1.0
"""Seconds after which nobody waits for a process that a signal does not end: the kernel has it wait for a disk."""

_PATIENCE = 60.0
"""Seconds that a driver gets to connect; it has shorter limits of its own."""


class DriverFailed(OSError):
    """The driver cannot begin; the message is Docker's."""


class Sender:
    """``on_room``: called when ``full`` is no longer so. ``on_idle``: when ``idle`` becomes so."""

    def __init__(
        self,
        loop: Loop,
        work: Callable[[socket.socket], None],
        limit: int,
        on_room: Callable[[], None],
        on_idle: Callable[[], None],
        *,
        to_its_end: bool = False,
    ) -> None:
        """Fork, and wait until the other process is ready. Raises DriverFailed, OSError.

        ``work``: what it does with the blocks from its socket, on which it says first why it cannot begin, or an empty
        line. ``limit``: bytes that are kept here before output is dropped; 0: the program waits. ``to_its_end``: it is
        idle only when that process has ended, and not once all is handed over.
        """
        self._loop = loop
        self._on_room = on_room
        self._on_idle = on_idle
        self._limit = limit
        self._to_its_end = to_its_end
        self._blocks = Blocks()
        self._pending = bytearray(self._blocks.header)
        self._finishing = False
        self._watched = 0
        self._socket, theirs = socket.socketpair()
        try:
            self._child = os.fork()
        except OSError:
            self._socket.close()
            theirs.close()
            raise
        if self._child == 0:
            _become(theirs, work)
        theirs.close()
        self._await_ready()
        self._socket.setblocking(False)
        self._flush()

    @property
    def full(self) -> bool:
        return not self._limit and len(self._pending) >= BLOCKED_AT

    @property
    def idle(self) -> bool:
        """Whether nothing is waited for any more: all was taken after ``finish``, or nobody is left to take it."""
        return self._socket.fileno() < 0

    def send(self, stream: str, data: bytes, when: int) -> None:
        """Hand over, or keep, or drop, what ``Lines`` gave to keep together. An empty buffer takes what is larger."""
        if self.idle or (0 < self._limit < len(self._pending) + len(data) and self._pending):
            return
        self._pending += self._blocks.records(stream, data, when)
        self._flush()

    def finish(self) -> None:
        """End the socket once the sender has taken the rest. Its time runs from now on, and ends it."""
        if self.idle:
            return
        self._finishing = True
        with suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGUSR1)
        self._loop.later(_KILLED_BY, self._close)
        self._flush()

    def _await_ready(self) -> None:
        """The sender says one thing in its life: why it cannot begin, or nothing."""
        self._socket.settimeout(_PATIENCE)
        try:
            said = b""
            while not said.endswith(b"\n") and (more := self._socket.recv(1 << 16)):
                said += more
        except TimeoutError:
            said = b"the log driver does not answer\n"
        if said != b"\n":
            self._socket.close()
            raise DriverFailed(said.decode(errors="replace").strip() or "the log driver ended")

    def _watch(self, events: int) -> None:
        if not self._watched:
            self._loop.watch(self._socket.fileno(), events, self._on_event)
        elif events != self._watched:
            self._loop.change(self._socket.fileno(), events)
        self._watched = events

    def _on_event(self, events: int) -> None:
        if events & ~WRITE:  # it never speaks again: it has ended
            self._close()
        else:
            self._flush()

    def _flush(self) -> None:
        if self.idle:
            return
        was_full = self.full
        try:
            while self._pending:
                del self._pending[: self._socket.send(self._pending, socket.MSG_NOSIGNAL)]
        except BlockingIOError:
            pass
        except OSError:
            self._close()
            return
        if self._finishing and not self._pending:
            if not self._to_its_end:
                self._close()
                return
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
        self._watch(READ | WRITE if self._pending else READ)
        if was_full and not self.full:
            self._on_room()

    def _close(self) -> None:
        if self.idle:
            return
        self._loop.forget(self._socket.fileno())
        self._socket.close()
        self._pending = bytearray()
        self._on_room()
        self._on_idle()


def _end_soon(_signal: int, _frame: object) -> None:
    """At the end of the container, and again at that of the shim: the first one counts."""
    left = signal.alarm(GRACE)
    if left:
        signal.alarm(left)


def _become(theirs: socket.socket, work: Callable[[socket.socket], None]) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, _end_soon)
        processes.set_parent_death_signal(signal.SIGUSR1)
        processes.set_name("cove-log")
        processes.close_all_but([0, 1, 2, theirs.fileno()])
        work(theirs)
    finally:
        os._exit(0)
