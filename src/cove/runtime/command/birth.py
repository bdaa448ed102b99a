"""From a bundle to a created container: the part of init's parent that a shim has elsewhere."""

from __future__ import annotations

import os
import time

from cove.kernel import processes
from cove.kernel.cgroups import Cgroup
from cove.lean import TYPE_CHECKING, Any, NamedTuple, NoReturn, Sequence, signal, socket, suppress
from cove.oci.runtime import Spec
from cove.runtime import cgroup, channel, confinement, init, namespaces, rare
from cove.runtime.command.container import Container, Failed
from cove.runtime.manner import Manner
from cove.runtime.process import Stdio

if TYPE_CHECKING:
    from cove.runtime.messages import OverlayRoot, SeccompFilter


class Bundle(NamedTuple):
    """What init is told besides the configuration (``manner.Beginning``)."""

    container_id: str
    run_dir: str
    root: OverlayRoot | None = None
    init: bool = False
    await_network: bool = False
    staged: Sequence[Sequence[Any]] = ()


class Born(NamedTuple):
    """``pid``: of init. ``console``: the master of its terminal, or -1."""

    pid: int
    console: int


class Birth:
    """The making of one container's first process. What it has begun is undone by whoever catches the error."""

    def __init__(self, container: Container, spec: Spec, manner: Manner) -> None:
        self._container = container
        self._spec = spec
        self._manner = manner
        self._filter: SeccompFilter | None = container.record.get("filter")
        self._confinement = confinement.read(self._filter)
        self.pid = 0
        self.console = -1

    def run(self) -> Born:
        """Fork init and follow it to its gate. Raises Failed with init's words."""
        try:
            rare.load(self._spec)
            group = cgroup.load(self._spec["linux"]["cgroupsPath"])
            _refuse_used(group.pids())
            ours, theirs = channel.pair()
            self._fork(lambda: self._become(group, theirs))
            theirs.close()
        except (OSError, ValueError) as error:
            raise Failed(f"unable to start container process: {error}") from None
        with ours:
            self._follow(ours)
        return Born(self.pid, self.console)

    def _become(self, group: Cgroup, theirs: socket.socket) -> NoReturn:
        stdio = Stdio(None, None, None) if self._spec["process"].get("terminal") else Stdio(0, 1, 2)
        bundle = Bundle(self._container.id, self._container.record["bundle"])
        init.main(self._spec, bundle, group, stdio, theirs, self._confinement, self._manner)

    def _fork(self, body: Any) -> None:
        namespaces.enter_pid(self._spec)
        self.pid = os.fork()
        if self.pid == 0:
            body()

    def _follow(self, ours: socket.socket) -> None:
        while True:
            try:
                received = channel.receive(ours)
            except ConnectionResetError:
                received = None
            if received is None:
                raise Failed("unable to start container process: init ended before it had begun")
            message, descriptor = received
            if isinstance(message, channel.Ready):
                return
            self._hear(message, descriptor, ours)

    def _hear(self, message: channel.ChannelMessage, descriptor: int | None, ours: socket.socket) -> None:
        if isinstance(message, channel.Failure):
            raise Failed(f"unable to start container process: {message.message}")
        if isinstance(message, channel.Moved):
            os.waitpid(self.pid, 0)
            self.pid = message.pid
        elif isinstance(message, channel.HooksDue):
            channel.send(ours, self._run_hooks())
        elif isinstance(message, channel.Listener):
            self._notify(message.descriptor)
            channel.send(ours, channel.Taken())
        elif isinstance(message, channel.Console) and descriptor is not None:
            self.console = descriptor
        elif descriptor is not None:
            os.close(descriptor)

    def _run_hooks(self) -> channel.ChannelMessage:
        from cove.runtime import hooks

        self._container.record["pid"] = 0
        self._container.save()
        life = hooks.Life(self._container.id, self._container.record["bundle"])
        state = life.state(self._spec, "creating", self.pid)
        try:
            hooks.run(self._spec, hooks.IN_RUNTIME, state, self._container.record["bundle"])
        except hooks.HookFailed as error:
            return channel.Failure(125, str(error))
        return channel.HooksDone()

    def _notify(self, descriptor: int) -> None:
        assert self._filter is not None
        subject = confinement.Subject(
            self._container.id, self._container.record["bundle"], self.pid, self.pid, "creating"
        )
        try:
            confinement.notify(self._filter, subject, descriptor)
        except OSError as error:
            raise Failed(f"unable to start container process: {error.strerror or error}") from None

    def undo(self) -> None:
        """End what there is of the container."""
        with suppress(OSError, ValueError):
            self._container.cgroup.kill()
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        with suppress(OSError, ValueError):
            self._container.cgroup.remove()


def _refuse_used(pids: list[int]) -> None:
    if pids:
        raise ValueError("container's cgroup is not empty: " + " ".join(map(str, pids[:5])))


def be_subreaper() -> None:
    """Adopt what a container leaves, init itself among it when it has gone on in a child."""
    processes.set_child_subreaper()


def now() -> str:
    """The time as records have it."""
    moment = time.time_ns()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment // 10**9)) + f".{moment % 10**9:09d}Z"
