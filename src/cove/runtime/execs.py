"""The execs of one container: further processes, each with streams of its own, which are not logged."""

import json
import os
from collections.abc import Callable
from typing import NamedTuple

from cove.kernel.cgroups import Cgroup
from cove.oci.runtime import Process
from cove.runtime import messages, rare
from cove.runtime.child import Child
from cove.runtime.control import Connection
from cove.runtime.isolation import Isolation
from cove.runtime.loop import Loop
from cove.runtime.namespaces import Target
from cove.runtime.process import Stdio
from cove.runtime.streams import Streams

_GRACE = 0.25
"""Seconds for what an exec left running in the background to close the exec's output (Docker: 2)."""


class Surroundings(NamedTuple):
    """What every exec of a container needs. ``listener``: told of a process and of its descriptor of notifications."""

    loop: Loop
    run_dir: str
    isolation: Isolation
    target: Target
    cgroup: Cgroup
    notify: Callable[[messages.Message], None]
    listener: Callable[[int, int], None]


class Exec:
    """One exec, from its request to ExecExited. It is a Child's parent."""

    def __init__(
        self,
        around: Surroundings,
        request: messages.Exec,
        asked_by: Connection,
        streams: Streams,
        on_end: Callable[["Exec"], None],
    ) -> None:
        self.id = request.exec_id
        self.streams = streams
        self._around = around
        self._request = request.request
        self._asked_by = asked_by
        self._on_end = on_end
        self.started = False
        self._exit_code: int | None = None

    def start(self, process: Process, stdio: Stdio) -> None:
        """Fork. Raises OSError."""
        around = self._around
        self.child = Child(
            around.loop,
            lambda channel: around.isolation.join(around.target, process, around.cgroup, stdio, channel),
            self,
        )

    def namespaces(self, network: int) -> None:
        os.close(network)  # an exec makes none

    def hooks_due(self) -> None:
        """An exec has none."""

    def console(self, master: int) -> None:
        self.streams.console(master)

    def listener(self, descriptor: int) -> None:
        self._around.listener(self.child.pid, descriptor)

    def executed(self) -> None:
        self.started = True
        self._asked_by.send(messages.Done(self._request, self.child.program))

    def failed(self, exit_code: int, message: str) -> None:
        self.streams.abandon()
        self._asked_by.send(messages.Failed(self._request, message, exit_code))

    def exited(self, exit_code: int) -> None:
        self._exit_code = exit_code
        if not self.started:
            self._on_end(self)
            return
        self.streams.drain()
        if self.streams.drained:
            self.finish()
        else:
            self._around.loop.later(_GRACE, self.finish)

    def finish(self) -> None:
        """Tell that the exec has ended, and send the clients the rest.

        In this order: a client that has seen the end of the stream asks the daemon for the exit code at once.
        """
        if not self.streams.finishing:
            assert self._exit_code is not None
            self._around.notify(messages.ExecExited(self.id, self._exit_code))
            self.streams.finish(lambda: self._on_end(self))


class Execs:
    def __init__(self, around: Surroundings, on_idle: Callable[[], None]) -> None:
        """``on_idle``: called when the last one has ended."""
        self._around = around
        self._on_idle = on_idle
        self._by_id: dict[str, Exec] = {}

    def start(self, request: messages.Exec, asked_by: Connection, stream: int | None) -> None:
        """Start an exec; ``stream``, its client's socket, is taken over. Raises OSError, ValueError."""
        try:
            process = self._take_process(request.exec_id)
        except BaseException:
            if stream is not None:
                os.close(stream)
            raise
        wish = request.attachment or _NOTHING
        streams = self._streams(process, wish["stdin"])
        exec_ = Exec(self._around, request, asked_by, streams, self._ended)
        try:
            if stream is not None:
                streams.attach(stream, wish)
            self._fork(exec_, process, wish)
        except BaseException:
            streams.abandon()
            raise
        self._by_id[exec_.id] = exec_

    def get(self, exec_id: str) -> Exec | None:
        """A running exec."""
        return self._by_id.get(exec_id)

    @property
    def idle(self) -> bool:
        return not self._by_id

    def running(self) -> dict[str, int]:
        """Those whose program runs: their ids, and their process ids as the host sees them."""
        return {
            exec_.id: exec_.child.program for exec_ in self._by_id.values() if exec_.started and exec_.child.running
        }

    @property
    def alive(self) -> bool:
        """Whether a process is left of any, be it one that never came to its program."""
        return any(exec_.child.running for exec_ in self._by_id.values())

    def finish(self) -> None:
        """The container has ended: wait for nothing but slow clients."""
        for exec_ in list(self._by_id.values()):
            if not exec_.child.running:
                exec_.finish()

    def _take_process(self, exec_id: str) -> Process:
        if not exec_id.isalnum() or exec_id in self._by_id:
            raise ValueError(f"not the id of a new exec: {exec_id}")
        path = f"{self._around.run_dir}/exec/{exec_id}.json"
        with open(path, "rb") as file:
            process: Process = json.loads(file.read())
        os.unlink(path)
        rare.load_for_process(process)
        return process

    def _streams(self, process: Process, stdin: bool) -> Streams:
        return Streams(
            self._around.loop,
            None,
            terminal=process.get("terminal", False),
            stdin=stdin,
            stdin_once=True,
            on_detached=lambda attach_id: self._around.notify(messages.Detached(attach_id)),
        )

    def _fork(self, exec_: Exec, process: Process, wish: messages.Attachment) -> None:
        if exec_.streams.terminal:
            exec_.start(process, Stdio(None, None, None))
            return
        ends = exec_.streams.pipes(wish["stdout"], wish["stderr"])
        try:
            exec_.start(process, Stdio(*ends))
        finally:
            for end in ends:
                os.close(end)

    def _ended(self, exec_: Exec) -> None:
        del self._by_id[exec_.id]
        if self.idle:
            self._on_idle()


_NOTHING: messages.Attachment = {"attach_id": "", "stdin": False, "stdout": False, "stderr": False, "detach_keys": ""}
