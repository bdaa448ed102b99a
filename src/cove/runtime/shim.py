"""The process beside one running container: forked from the zygote, single-threaded, an epoll loop.

It forks init, relays its progress, carries output to the log and to clients, answers the
daemon, and at the end writes the exit record, leaves nothing behind and goes. It outlives the daemon; if it is
killed, the kernel kills the container's processes with it.
"""

import gc
import json
import os
import signal
import socket
import time
from contextlib import suppress
from functools import partial
from typing import NoReturn

from cove.kernel import layer_images, processes
from cove.kernel.cgroups import Cgroup
from cove.oci.runtime import Resources, Spec
from cove.runtime import confinement, exit_record, messages, namespaces, rare, report
from cove.runtime.child import SHIM_NAME, Child
from cove.runtime.confinement import Subject
from cove.runtime.control import Control
from cove.runtime.execs import Execs, Surroundings
from cove.runtime.isolation import Isolation
from cove.runtime.logs.container_log import ContainerLog
from cove.runtime.logs.sender import DriverFailed
from cove.runtime.loop import Loop
from cove.runtime.namespaces import Target
from cove.runtime.oom import OutOfMemory
from cove.runtime.process import Stdio
from cove.runtime.requests import Requests
from cove.runtime.streams import Streams

_LEFTOVERS = 5.0
"""Seconds for killed processes to go; one in an uninterruptible sleep must not keep the record from being written."""

_MEANT_FOR_THE_DAEMON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_ERRORS_OF_CALLS = (signal.SIGPIPE, signal.SIGXFSZ)
"""What else ends a process that writes where nobody reads, or more than it may; the call itself fails as well."""


def main(start: messages.StartShim, control: socket.socket, streams: list[int], isolation: Isolation) -> NoReturn:
    """Be the shim of one container, in a process that was just forked. ``streams``: one per attachment."""
    try:
        leave_the_daemon()
        Shim(start, control, streams, _isolation(start) or isolation).run()
    except BaseException as error:
        report.failure(start.run_dir, error)
    finally:
        os._exit(0)


def _isolation(start: messages.StartShim) -> Isolation | None:
    """Of a container that another runtime runs."""
    if start.runtime is None:
        return None
    from cove.runtime.foreign import Foreign

    return Foreign(start, start.runtime)


def ignore_signals() -> None:
    """For the process that shims are forked from, as each start would pay for it. Programs start with the defaults."""
    for number in (*_MEANT_FOR_THE_DAEMON, *_ERRORS_OF_CALLS):
        signal.signal(number, signal.SIG_IGN)


def leave_the_daemon() -> None:
    """A session of its own, and adopted children."""
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    gc.enable()  # only what is made from here on is ever looked at: the zygote froze the rest
    processes.set_child_subreaper()
    processes.set_name(SHIM_NAME)


class Shim:
    """The container's life, from StartShim to its exit record. It is the init child's parent."""

    def __init__(
        self, start: messages.StartShim, control: socket.socket, streams: list[int], isolation: Isolation
    ) -> None:
        self._start = start
        self._isolation = isolation
        self._loop = Loop(partial(report.failure, start.run_dir))
        self._control = Control(self._loop, Requests(self).handle, self._on_alone)
        self._control.adopt(control)
        self._given = streams
        self._log: ContainerLog | None = None
        self._cgroup: Cgroup | None = None
        self._memory: OutOfMemory | None = None
        self._init: Child | None = None
        self._network: int | None = None
        self._target: Target | None = None
        self._network_ready = not start.await_network
        self._failure: messages.StartFailed | None = None
        self._exit_code = 0
        self._ended = False
        self._finishing = False
        self._recorded = False
        self._memory_peak = 0
        self.streams: Streams | None = None
        self.execs: Execs | None = None
        self.started_at: int | None = None

    def run(self) -> None:
        self._loop.reap_children()
        try:
            self._begin()
        except DriverFailed as error:
            self._failure = messages.StartFailed(128, f"failed to initialize logging driver: {error}")
            self._end()
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._failure = messages.StartFailed(125, _text(error))
            self._end()
        self._loop.run()
        self._control.close()

    # The container's beginning

    def _begin(self) -> None:
        start = self._start
        self._control.listen(start.run_dir)
        exit_record.write_new(f"{start.run_dir}/start.json", messages.encode(start))
        with open(f"{start.run_dir}/config.json", "rb") as file:
            self._spec: Spec = json.loads(file.read())
        rare.load(self._spec)
        rare.load_for_start(start)
        self._log = ContainerLog(start.log, self._loop) if start.log["driver"] != "none" else None
        self._cgroup = self._isolation.cgroup(self._spec.get("linux", {})["cgroupsPath"])
        self.streams = self._make_streams(self._spec["process"].get("terminal", False))
        self._isolation.confine(start.seccomp)
        self._isolation.enter_pid(self._spec)
        self._fork(self.streams, self._cgroup)

    def _make_streams(self, terminal: bool) -> Streams:
        start = self._start
        streams = Streams(
            self._loop,
            self._log,
            terminal=terminal,
            stdin=start.stdin,
            stdin_once=start.stdin_once,
            on_detached=lambda attach_id: self._control.notify(messages.Detached(attach_id)),
        )
        if self._log is not None:
            self._log.on_room, self._log.on_idle = streams.has_room, self._leave_when_done
        for wish in start.attachments:
            streams.attach(self._given.pop(0), wish)
        return streams

    def _fork(self, streams: Streams, cgroup: Cgroup) -> None:
        ends = [] if streams.terminal else streams.pipes()
        stdio = Stdio(*ends) if ends else Stdio(None, None, None)
        try:
            self._init = Child(
                self._loop,
                lambda channel: self._isolation.init(self._spec, self._start, cgroup, stdio, channel),
                self,
            )
        finally:
            layer_images.forget_all()
            if self._start.root is not None and self._start.root.get("mappings"):
                from cove.runtime import mappings

                mappings.forget()
            for end in ends:
                os.close(end)

    # What init tells

    def namespaces(self, network: int) -> None:
        assert self._init is not None and self._cgroup is not None
        self._network = network
        with suppress(OSError):  # init has ended already, a short program's work done: there is nothing to join
            self._target = self._isolation.open_target(self._init.pid, self._spec)
        if self._target is not None:
            self._make_execs(self._target, self._cgroup)
        self._control.notify(messages.Created(self._init.pid), (network,))

    def _make_execs(self, target: Target, cgroup: Cgroup) -> None:
        around = Surroundings(
            self._loop,
            self._start.run_dir,
            self._isolation,
            target,
            cgroup,
            self._control.notify,
            lambda pid, descriptor: self.notify_listener(pid, descriptor, "running"),
        )
        self.execs = Execs(around, self._leave_when_done)

    def hooks_due(self) -> None:
        from cove.runtime import hooks  # loaded, as there are some

        life = hooks.Life(self._start.container_id, self._start.run_dir)
        hooks.run(self._spec, hooks.IN_RUNTIME, life.state(self._spec, "creating", self.pid), self._start.run_dir)

    def console(self, master: int) -> None:
        assert self.streams is not None
        self.streams.console(master)

    def listener(self, descriptor: int) -> None:
        self.notify_listener(self.pid, descriptor, "creating")

    def notify_listener(self, pid: int, descriptor: int, status: str) -> None:
        """Tell the listener of the filter about a process. Raises OSError."""
        start = self._start
        assert start.seccomp is not None
        subject = Subject(start.container_id, start.run_dir, pid, self.pid, status)
        confinement.notify(start.seccomp, subject, descriptor)

    def executed(self) -> None:
        self.started_at = time.time_ns()
        self._control.notify(messages.Started(self.pid, self.started_at))
        if self._cgroup is not None:
            with suppress(OSError):  # it has no memory controller, or has ended
                self._memory = OutOfMemory(
                    self._loop, self._cgroup, lambda: self._control.notify(messages.KilledForMemory())
                )
        self._run_late_hooks("poststart", "running")

    def _run_late_hooks(self, name: str, status: str) -> None:
        """Those whose failure is only worth a line. Another runtime runs them itself."""
        if not self._spec.get("hooks") or self._start.runtime is not None:
            return
        from cove.runtime import hooks

        life = hooks.Life(self._start.container_id, self._start.run_dir)
        state = life.state(self._spec, status, self.pid if status == "running" else 0)
        for failure in hooks.run_all(self._spec, name, state, self._start.run_dir):
            report.failure(self._start.run_dir, RuntimeError(failure))

    def failed(self, exit_code: int, message: str) -> None:
        self._failure = self._failure or messages.StartFailed(exit_code, message)

    def exited(self, exit_code: int) -> None:
        """Init has ended, and with it a pid namespace of its own; in another one, processes may be left."""
        self._ended = True
        self._exit_code = exit_code
        if not self._leftovers():
            self._end()
        else:
            self._loop.on_reaped(self._end_without_leftovers)
            self._loop.later(_LEFTOVERS, self._end)

    # What the daemon asks

    @property
    def pid(self) -> int:
        """Init's, as the host sees it; 0 before there is one."""
        return self._init.pid if self._init is not None else 0

    @property
    def network(self) -> tuple[int, ...]:
        """The descriptor of the network namespace, once there is one."""
        return () if self._network is None else (self._network,)

    @property
    def running(self) -> bool:
        return self.started_at is not None and not self._ended

    @property
    def finishing(self) -> bool:
        return self._finishing

    def network_ready(self, interfaces: list[messages.Interface]) -> None:
        if self._init is not None and not self._network_ready:
            self._network_ready = True
            self._init.configure(interfaces)

    def configure_network(self, change: messages.ConfigureNetwork) -> None:
        """Remove and set up links of the running container, and move its default routes. Raises OSError."""
        assert self._network is not None
        self._isolation.configure_network(self._network, change)

    def update(self, resources: Resources) -> None:
        """Change the limits. Raises OSError with the file that refused, ValueError for a limit that cannot be."""
        assert self._cgroup is not None
        self._isolation.update(self._cgroup, resources)

    def signal(self, number: int) -> None:
        """Signal init. Raises ProcessLookupError when it has ended."""
        if self._init is None:
            raise ProcessLookupError("the container has no process yet")
        self._isolation.signal(self._init, number)

    def signal_everyone(self, number: int) -> None:
        """Signal every process of the container."""
        if self._cgroup is None:
            return
        if number == signal.SIGKILL:
            self._cgroup.kill()
            return
        for pid in self._cgroup.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _on_alone(self) -> None:
        """The daemon is gone. A start that waits for its network cannot go on: end it, rather than leave it there."""
        if not self._network_ready and not self._ended:
            self._failure = messages.StartFailed(128, "the daemon ended before the container's network was ready")
            if self._init is not None and self._init.running:
                self._init.signal(signal.SIGKILL)

    # The container's end

    def _leftovers(self) -> bool:
        """Kill what is left of the container; whether something still is. Its own pid namespace leaves nothing."""
        if self._cgroup is None or namespaces.paths(self._spec).get("pid") == "" or not self._cgroup.pids():
            return self.execs is not None and self.execs.alive
        self._cgroup.kill()
        return True

    def _end_without_leftovers(self) -> None:
        if not self._leftovers():
            self._end()

    def _end(self) -> None:
        """Everything that ended the container is over: record it, leave nothing behind, go."""
        if self._finishing:
            return
        self._finishing = True
        self._loop.on_reaped(None)
        self._finish_streams()
        self._leave_when_done()

    def _record_end(self) -> None:
        """Whoever hears of the end finds the log whole."""
        self._recorded = True
        oom_killed = self._release()
        if self._init is not None:
            self._run_late_hooks("poststop", "stopped")
        code = self._failure.exit_code if self._failure is not None else self._exit_code
        exited = messages.Exited(code, oom_killed, time.time_ns(), self._memory_peak)
        try:
            exit_record.write(self._start.run_dir, exited)
        except OSError as error:  # a daemon that gave up the start has removed the directory; a full disk
            report.failure(self._start.run_dir, error)
        self._control.stop_listening()
        self._control.notify(self._failure or exited)

    def _finish_streams(self) -> None:
        for stream in self._given:  # never attached
            os.close(stream)
        if self.execs is not None:
            self.execs.finish()
        if self.streams is not None:
            if self._failure is None:
                self.streams.finish(self._leave_when_done)
            else:
                self.streams.abandon()
        if self._log is not None:
            self._log.finish()

    def _release(self) -> bool:
        """Give back the namespaces and the control group. Returns whether a process was killed for memory."""
        held = {*self.network, *(fd for fd in self._target or () if fd is not None)}
        for descriptor in held:
            os.close(descriptor)  # the last one takes the container's mounts with it, before anyone is told
        self._network = self._target = None
        self._isolation.ended()
        seen = self._memory is not None and self._memory.seen
        if self._memory is not None:
            self._memory.close()
        if self._cgroup is None:
            return False
        try:
            oom_killed = seen or self._cgroup.oom_kills() > 0
            self._memory_peak = self._cgroup.memory_peak()
            self._cgroup.remove()
        except OSError as error:
            report.failure(self._start.run_dir, error)
            oom_killed = seen
        return oom_killed

    def _leave_when_done(self) -> None:
        """Record the end once the log is written, and go, unless a client still has output to take."""
        if self._finishing and not self._recorded and (self._log is None or self._log.written):
            self._record_end()
        idle = self.streams is None or not self.streams.attached
        idle = idle and (self._log is None or self._log.idle)
        if self._recorded and idle and (self.execs is None or self.execs.idle):
            self._loop.stop()


def _text(error: Exception) -> str:
    return f"missing in the configuration: {error}" if isinstance(error, KeyError) else str(error)
