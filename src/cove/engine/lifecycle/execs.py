"""Further processes in running containers. An exec's record lives in memory, and goes with its container."""

import asyncio
import contextlib
import json
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cove.engine import nul
from cove.engine.bundle import limits, privileges, specification
from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.events import Events
from cove.engine.lifecycle import streams
from cove.engine.lifecycle.shims import ExecRefused, Shim
from cove.errors import Conflict, CoveError, Internal, InvalidArgument, NotFound
from cove.oci.runtime import Process
from cove.wire.execs import ExecCreate, ExecCreated, ExecInspect, ExecProcess, ExecStart
from cove.wire.streams import Stream

CANNOT_INVOKE = 126
"""Docker's exit code of an exec that did not come to be, unless its program was not found."""

CANNOT_EXECUTE = 126
"""The exit code of an exec that the engine could not start."""

KEPT = 1000
"""Execs that are remembered after their end, over all containers, for clients that ask for the exit code late."""


@dataclass
class Exec:
    """``exit_code`` is None until it has ended, and for one that never started. ``pid``: on the host, 0 before."""

    id: str
    container: Container
    config: ExecCreate
    running: bool = False
    started: bool = False
    exit_code: int | None = None
    pid: int = 0
    size: tuple[int, int] | None = None
    watcher: "asyncio.Task[None] | None" = field(default=None, repr=False)

    @property
    def lapsed(self) -> bool:
        """It was not started while the container ran, and never will be."""
        return not self.started and self.id not in self.container.execs


class Execs:
    """Creates, starts and inspects execs."""

    def __init__(
        self, registry: Registry, events: Events, linked: Callable[[Container], list[str]] = lambda container: []
    ) -> None:
        self._registry = registry
        self._linked = linked
        self._events = events
        self._execs: dict[str, Exec] = {}

    async def create(self, ref: str, request: ExecCreate) -> ExecCreated:
        """A new exec. Raises Conflict when the container does not run or is paused, InvalidArgument."""
        if not request.cmd:
            raise InvalidArgument("No exec command specified")
        if not streams.are_keys(request.detach_keys):
            raise InvalidArgument(f"Invalid escape keys ({request.detach_keys}) provided")
        nul.refuse(request)
        container = self._registry.get(ref)
        if container.status == "paused":
            raise Conflict(f"Container {ref} is paused, unpause the container before exec")
        container.require_shim()
        size = limits.terminal_size("ConsoleSize", request.console_size) if request.tty else None
        made = Exec(secrets.token_hex(32), container, request, size=size)
        self._forget_ended()
        self._execs[made.id] = made
        container.execs.add(made.id)
        self._publish(made, f"exec_create: {_line(request.cmd)}")
        return ExecCreated(id=made.id)

    async def start(self, exec_id: str, request: ExecStart) -> Stream | None:
        """Start it. The stream of an attached one; None when ``request.detach``.

        Raises Conflict when it has run already, ExecRefused when it cannot be executed.
        """
        made = self._get(exec_id)
        if made.started:
            state = "is already running" if made.running else "has already run"
            raise Conflict(f"Error: Exec command {made.id} {state}")
        shim = self._ready(made)
        size = limits.terminal_size("ConsoleSize", request.console_size)
        made.started = True
        if size is not None and made.config.tty:
            made.size = size
        attached = not request.detach
        ours, theirs = streams.socket_pair() if attached else (None, None)
        try:
            await self._launch(made, shim, theirs)
        except ExecRefused as error:
            made.exit_code = max(error.exit_code, CANNOT_INVOKE)
            made.container.execs.discard(made.id)
            if ours is not None:
                ours.close()
            raise InvalidArgument(
                f"OCI runtime exec failed: exec failed: unable to start container process: {error.message}: unknown"
            ) from error
        except BaseException:
            made.exit_code = CANNOT_EXECUTE
            made.container.execs.discard(made.id)
            if ours is not None:
                ours.close()
            raise
        finally:
            if theirs is not None:
                theirs.close()
        return Stream(ours, made.config.tty) if ours is not None else None

    async def _launch(self, made: Exec, shim: Shim, theirs: "socket.socket | None") -> None:
        container, config = made.container, made.config
        if not (config.working_dir or "/").startswith("/"):
            raise InvalidArgument("OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown")
        path = container.paths.run / "exec" / f"{made.id}.json"
        try:
            path.write_text(json.dumps(self._process(made)))
        except OSError as error:  # the run root is full, or the container has just ended
            path.unlink(missing_ok=True)
            raise Internal(f"cannot start exec {made.id}: {error}") from error
        attachment = None
        if theirs is not None:
            attachment = streams.attachment(
                stdin=bool(config.attach_stdin),
                stdout=bool(config.attach_stdout),
                stderr=bool(config.attach_stderr),
                detach_keys=config.detach_keys,
                exec_id=made.id,
            )
        try:
            made.pid = await shim.exec(made.id, attachment, theirs)
        finally:
            path.unlink(missing_ok=True)
        made.running = True
        self._publish(made, f"exec_start: {_line(config.cmd or [])}")
        made.watcher = asyncio.create_task(self._watch(made, shim))

    async def _watch(self, made: Exec, shim: Shim) -> None:
        made.exit_code = await shim.exec_exit(made.id)
        made.running = False
        made.container.execs.discard(made.id)
        shim.forget_exec(made.id)
        self._publish(made, "exec_die", {"exitCode": str(made.exit_code)})

    def _process(self, made: Exec) -> Process:
        """The OCI process: the container's own, but for what the exec says."""
        record, config = made.container.record, made.config
        process = specification.process(record, self._linked(made.container))
        process.pop("consoleSize", None)
        process["args"] = list(config.cmd or [])
        process["terminal"] = bool(config.tty)
        process["cwd"] = config.working_dir or record.config.working_dir or "/"
        process["env"] = specification.merged(process.get("env", []), config.env or [])
        process["user"] = specification.user(config.user or record.config.user or "", record.host_config)
        if config.privileged:
            process.pop("apparmorProfile", None)
            process["capabilities"] = privileges.capability_sets(privileges.available())
        if made.size:
            process["consoleSize"] = {"height": made.size[0], "width": made.size[1]}
        return process

    async def resize(self, exec_id: str, *, rows: int, columns: int) -> None:
        """Raises Conflict when the exec does not run."""
        made = self._get(exec_id)
        if not made.started:
            made.size = (rows, columns)
            return
        await made.container.require_shim().resize(made.id, rows, columns)

    async def inspect(self, exec_id: str) -> ExecInspect:
        made = self._get(exec_id)
        self._settle(made)
        config = made.config
        command = config.cmd or [""]
        return ExecInspect(
            id=made.id,
            running=made.running,
            exit_code=made.exit_code,
            process_config=ExecProcess(
                tty=bool(config.tty),
                entrypoint=command[0],
                arguments=command[1:],
                privileged=bool(config.privileged),
                user=config.user or "",
            ),
            open_stdin=bool(config.attach_stdin),
            open_stderr=bool(config.attach_stderr),
            open_stdout=bool(config.attach_stdout),
            can_remove=False,
            container_id=made.container.id,
            detach_keys="",
            pid=made.pid,
        )

    async def exit_code(self, exec_id: str) -> int:
        """Wait for the end of one that was started."""
        made = self._get(exec_id)
        if made.watcher is not None:
            await asyncio.shield(made.watcher)
        return CANNOT_INVOKE if made.exit_code is None else made.exit_code

    async def kill(self, exec_id: str) -> None:
        """End its program, if it runs."""
        made = self._execs.get(exec_id)
        if made is not None and made.running:
            with contextlib.suppress(CoveError):  # it has just ended
                await made.container.require_shim().signal(signal.SIGKILL, exec_id=made.id)

    def container_of(self, exec_id: str) -> Container:
        """The container that an exec runs in. Raises NotFound."""
        return self._get(exec_id).container

    def forget(self, exec_id: str) -> None:
        """Drop one that no client knows of, so that it takes nobody's place among those that are remembered."""
        made = self._execs.pop(exec_id, None)
        if made is not None:
            made.container.execs.discard(made.id)

    def _settle(self, made: Exec) -> None:
        """Note the end at once: a client asks for the exit code when the stream has ended, before the watcher runs."""
        if made.running and made.exit_code is None and made.container.shim is not None:
            made.exit_code = made.container.shim.exec_exit_code(made.id)
            made.running = made.exit_code is None

    def _get(self, exec_id: str) -> Exec:
        made = self._execs.get(exec_id)
        if made is None:
            matches = [item for key, item in self._execs.items() if exec_id and key.startswith(exec_id)]
            if len(matches) != 1:
                raise NotFound(f"No such exec instance: {exec_id}")
            made = matches[0]
        if made.container.id not in self._registry or made.lapsed:
            raise NotFound(f"No such exec instance: {exec_id}")
        return made

    def _ready(self, made: Exec) -> Shim:
        if made.container.status == "paused":
            raise Conflict(f"Container {made.container.id} is paused, unpause the container before exec")
        return made.container.require_shim()

    def _forget_ended(self) -> None:
        surplus = len(self._execs) - KEPT
        if surplus > 0:
            ended = [item for item in self._execs.values() if item.lapsed or (item.started and not item.running)]
            for item in ended[:surplus]:
                del self._execs[item.id]
                item.container.execs.discard(item.id)

    def _publish(self, made: Exec, action: str, extra: dict[str, str] | None = None) -> None:
        attributes = {**made.container.attributes, "execID": made.id}
        self._events.publish("container", action, made.container.id, attributes | (extra or {}))


def _line(command: Sequence[str]) -> str:
    """The program and its arguments; Docker leaves the space between them when there are none."""
    return f"{command[0] if command else ''} {' '.join(command[1:])}"
