"""One thread's event loop: file descriptors, deadlines, and children that end.

A callback may be called once more for events that were collected before another callback of the same round
changed things; so every file descriptor here is non-blocking and every callback tolerates finding nothing to do.
"""

import heapq
import os
import select
import time
from itertools import count

from cove.lean import Callable, signal

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
ERROR = select.EPOLLERR | select.EPOLLHUP

Callback = Callable[[int], None]
"""Is given the epoll events (``select.EPOLLIN`` …) of its file descriptor."""


class Deadline:
    """Something that happens later unless it is cancelled."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Loop:
    """Waits for all of a shim's events. ``close`` returns what it holds to the kernel."""

    def __init__(self, on_error: Callable[[Exception], None] | None = None) -> None:
        """``on_error`` is given what a callback raises, and its file descriptor is forgotten; else it is raised."""
        self._on_error = on_error
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._deadlines: list[tuple[float, int, Deadline]] = []
        self._order = count()
        self._children: dict[int, tuple[Callable[[], None], Callable[[int], None]]] = {}
        self._any_reaped: Callable[[], None] | None = None
        self._wakeup, self._signalled = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stopped = False

    def watch(self, fd: int, events: int, callback: Callback) -> None:
        """Call ``callback`` when ``fd`` has one of ``events`` (EPOLLERR and EPOLLHUP are always among them)."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def change(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching; before the file descriptor is closed. Harmless when it is not watched."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def later(self, seconds: float, action: Callable[[], None]) -> Deadline:
        """Call ``action`` once, after ``seconds``."""
        deadline = Deadline(action)
        heapq.heappush(self._deadlines, (time.monotonic() + seconds, next(self._order), deadline))
        return deadline

    def reap_children(self) -> None:
        """Collect children, own and adopted, as they end. They are found by SIGCHLD rather than by a pidfd each:

        the processes that a subreaper inherits are not known before they end.
        """
        signal.signal(signal.SIGCHLD, _wake)
        signal.set_wakeup_fd(self._signalled, warn_on_full_buffer=False)
        self.watch(self._wakeup, READ, self._collect)

    def child(self, pid: int, ended: Callable[[], None], reaped: Callable[[int], None]) -> None:
        """Call ``ended`` when a child has ended and its process id still names it, then ``reaped`` with its status."""
        self._children[pid] = (ended, reaped)

    def on_reaped(self, reaped: Callable[[], None] | None) -> None:
        """Call ``reaped`` whenever a child, own or adopted, has been collected."""
        self._any_reaped = reaped

    def run(self) -> None:
        """Serve until ``stop``."""
        while not self._stopped:
            for fd, events in self._epoll.poll(self._timeout()):
                callback = self._callbacks.get(fd)
                if callback is not None:
                    self._call(fd, callback, events)
            self._run_deadlines()

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        """End the loop for good, here or in a forked child: its signal handler goes too."""
        if self._wakeup in self._callbacks:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._callbacks.clear()
        self._epoll.close()
        os.close(self._wakeup)
        os.close(self._signalled)

    def _call(self, fd: int, callback: Callback, events: int) -> None:
        try:
            callback(events)
        except Exception as error:
            if self._on_error is None:
                raise
            if fd != self._wakeup:
                self.forget(fd)
            self._on_error(error)

    def _timeout(self) -> float | None:
        while self._deadlines and self._deadlines[0][2].action is None:
            heapq.heappop(self._deadlines)
        return max(0.0, self._deadlines[0][0] - time.monotonic()) if self._deadlines else None

    def _run_deadlines(self) -> None:
        while self._deadlines and self._deadlines[0][0] <= time.monotonic():
            deadline = heapq.heappop(self._deadlines)[2]
            if deadline.action is not None:
                deadline.action()

    def _collect(self, _events: int) -> None:
        drain(self._wakeup)
        while True:
            try:
                child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if child is None:
                return
            self._reap(child.si_pid)

    def _reap(self, pid: int) -> None:
        ended, reaped = self._children.pop(pid, (None, None))
        if ended is not None:
            ended()
        _pid, status = os.waitpid(pid, 0)
        if reaped is not None:
            reaped(status)
        if self._any_reaped is not None:
            self._any_reaped()


def drain(fd: int) -> None:
    """Discard what a non-blocking pipe holds."""
    try:
        while len(os.read(fd, 512)) == 512:
            pass
    except BlockingIOError:
        pass


def _wake(_signal: int, _frame: object) -> None:
    """SIGCHLD needs a handler that is not SIG_DFL for the wake-up descriptor to be written."""
