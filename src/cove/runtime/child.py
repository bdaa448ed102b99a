"""A process that the shim forks: first Python on its way to execve, then the user's program."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, Protocol

from cove.runtime import channel
from cove.runtime.loop import READ, Loop
from cove.runtime.messages import Interface

CANNOT_START = 125
SHIM_NAME = "cove-shim"
"""What /proc/<pid>/comm says of a shim, and of its children until they execute a program."""


class Parent(Protocol):
    """What a child tells of itself, in this order; ``namespaces`` and ``console`` at most once."""

    def namespaces(self, network: int) -> None:
        """The namespaces are made. ``network``: a descriptor, taken over."""

    def hooks_due(self) -> None:
        """Namespaces and mounts are made: run the runtime's hooks. Raises HookFailed."""

    def console(self, master: int) -> None:
        """The terminal is made. ``master``: a descriptor, taken over."""

    def listener(self, descriptor: int) -> None:
        """Its filter has a listener; ``descriptor``: the number in the child. Raises OSError when nobody took it."""

    def executed(self) -> None:
        """The program runs."""

    def failed(self, exit_code: int, message: str) -> None:
        """There will be no program; ``exited`` follows."""

    def exited(self, exit_code: int) -> None:
        """The process has ended; ``exit_code`` is 128 + the signal that killed it, if one did."""


class Child:
    """``pid`` names the process until ``exited`` has been called, and no other one."""

    def __init__(self, loop: Loop, body: Callable[[socket.socket], NoReturn], parent: Parent) -> None:
        """Fork. ``body`` is what the child does with its end of the channel. Raises OSError."""
        self._loop = loop
        self._parent = parent
        self._failure: channel.Failure | None = None
        self._driven = False
        self._begun = False
        self._channel, theirs = channel.pair()
        self._channel.setblocking(False)
        try:
            self.pid = os.fork()
        except OSError:
            self._channel.close()
            raise
        finally:
            if getattr(self, "pid", None) != 0:
                theirs.close()
        if self.pid == 0:
            _become(body, theirs)
        self.running = True
        self.program = self.pid
        loop.watch(self._channel.fileno(), READ, self._on_channel)
        self._await(self.pid)

    def configure(self, interfaces: list[Interface]) -> None:
        """Tell the child that its links are there; one that has ended meanwhile says so itself."""
        with suppress(OSError):
            channel.send(self._channel, channel.Interfaces(interfaces))

    def signal(self, number: int) -> None:
        """Send a signal. Raises ProcessLookupError when the process has ended."""
        if not self.running:
            raise ProcessLookupError("the process has ended")
        os.kill(self.program, number)

    def _on_channel(self, _events: int) -> None:
        self._hear()

    def _hear(self) -> bool:
        """Take one message; False when there is none."""
        try:
            received = channel.receive(self._channel)
        except BlockingIOError:
            return False
        except ConnectionResetError:  # it ended without reading all that it was told
            received = None
        except (OSError, ValueError) as error:
            self._failure = channel.Failure(125, f"a broken start: {error}")
            os.kill(self.pid, signal.SIGKILL)
            received = None
        if received is None:
            self._close_channel()
            return False
        self._dispatch(*received)
        return True

    def _dispatch(self, message: channel.ChannelMessage, descriptor: int | None) -> None:
        if isinstance(message, channel.Failure):
            self._failure = message
        elif isinstance(message, channel.Namespaces) and descriptor is not None:
            self._parent.namespaces(descriptor)
        elif isinstance(message, channel.Console) and descriptor is not None:
            self._parent.console(descriptor)
        elif isinstance(message, channel.Listener):
            self._pass_on(message.descriptor)
        elif isinstance(message, channel.Moved):
            self._follow(message.pid, message.driven)
        elif isinstance(message, channel.Program):
            self.program = message.pid
        elif isinstance(message, channel.Ready):
            self._begun = True
        elif isinstance(message, channel.HooksDue):
            self._run_hooks()

    def _pass_on(self, descriptor: int) -> None:
        try:
            self._parent.listener(descriptor)
            channel.send(self._channel, channel.Taken())
        except OSError as error:
            self._failure = channel.Failure(125, error.strerror or str(error))
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _follow(self, pid: int, driven: bool) -> None:
        """The process goes on in a child of its own, which we adopt when it ends itself."""
        self.pid = self.program = pid
        self._driven = driven
        self._await(pid)

    def _await(self, pid: int) -> None:
        self._loop.child(pid, lambda: self._on_end(pid), lambda status: self._on_reaped(pid, status))

    def _run_hooks(self) -> None:
        try:
            self._parent.hooks_due()
            answer: channel.ChannelMessage = channel.HooksDone()
        except Exception as error:  # HookFailed, whose module is not loaded unless there are hooks
            answer = channel.Failure(CANNOT_START, str(error))
        channel.send(self._channel, answer)

    def _close_channel(self) -> None:
        """The end of the channel: execve, or the end of a child that got no further."""
        self._loop.forget(self._channel.fileno())
        self._channel.close()
        if self._failure is None and not self._executed():
            self._failure = channel.Failure(128, "the container's first process was killed before the program ran")
        if self._failure is None:
            self._parent.executed()
        else:
            self._parent.failed(*self._failure)

    def _executed(self) -> bool:
        """Whether the process, which may be a zombie by now, has left our own name behind; a driver says it."""
        if self._driven or self._begun:
            return self._begun
        with open(f"/proc/{self.pid}/comm", "rb") as file:
            return file.read().strip() != SHIM_NAME.encode()

    def _on_end(self, pid: int) -> None:
        """What it said comes before the word that it has ended: perhaps that it goes on as another process."""
        if self._channel.fileno() >= 0:
            if self._driven and pid == self.pid:  # its driver knows whether it has been the program
                self._channel.setblocking(True)
            while self._hear():
                pass
        if pid == self.pid and self._channel.fileno() >= 0:
            self._close_channel()

    def _on_reaped(self, pid: int, status: int) -> None:
        if pid != self.pid:
            return
        self.running = False
        self._parent.exited(exit_code(status))


def exit_code(status: int) -> int:
    """A wait status as Docker counts: the exit code, or 128 + the signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become(body: Callable[[socket.socket], NoReturn], theirs: socket.socket) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        body(theirs)
    finally:
        os._exit(125)
