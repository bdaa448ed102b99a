"""The daemon's side of the zygote and of every shim: connections, requests and notices.

``Zygote`` starts shims; ``Shim`` is one control connection. Both live on the event loop and never block it: datagrams
are small, and a shim that does not read is one that was killed.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cove.errors import Conflict, CoveError, Internal, NotFound, Unavailable
from cove.oci.runtime import Resources
from cove.runtime import messages
from cove.runtime.launch import ZygoteProcess, spawn_zygote
from cove.runtime.messages import (
    Attach,
    Attachment,
    ConfigureNetwork,
    Created,
    DefaultRoute,
    Detached,
    Done,
    Exec,
    ExecExited,
    Exited,
    Failed,
    Forget,
    Interface,
    KilledForMemory,
    Message,
    NetworkReady,
    Query,
    Resize,
    Signal,
    Started,
    StartFailed,
    StartShim,
    State,
    Update,
)

log = logging.getLogger(__name__)

SOCKET_NAME = "shim.sock"

ABANDON_TIMEOUT = 10.0
"""Seconds that a shim gets to undo a start before it is left to itself."""
FORGOTTEN_AT_ONCE = 200
"""Names of layers in one message."""


class ExecRefused(Conflict):
    """An exec could not start. ``exit_code``: what a client reports, 126 or 127."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NotRunning(Conflict):
    """The container has just ended; its Exited may still be on the way."""

    def __init__(self, container_id: str) -> None:
        super().__init__(f"container {container_id} is not running")


class Shim:
    """One control connection to the shim of one container.

    ``created``, ``started`` and ``exited`` are futures that notices fulfil. ``created`` gives init's pid and a
    descriptor of the network namespace, which its reader closes. ``exited`` gives None when the connection ended
    without a word: the shim was killed. ``on_detached`` is called when a client has typed its detach keys,
    ``on_killed_for_memory`` when the kernel has killed a process of the container.
    """

    def __init__(self, container_id: str, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.container_id = container_id
        self.created: asyncio.Future[tuple[int, int]] = loop.create_future()
        self.started: asyncio.Future[Started] = loop.create_future()
        self.exited: asyncio.Future[Exited | None] = loop.create_future()
        self.failure: StartFailed | None = None
        self.on_detached: Callable[[str], None] = lambda attach_id: None
        self.on_killed_for_memory: Callable[[], None] = lambda: None
        self._exec_exits: dict[str, asyncio.Future[int]] = {}
        self._attached: set[str] = set()
        self._replies: dict[int, asyncio.Future[tuple[Message, list[int]]]] = {}
        self._numbers = itertools.count(1)
        self._loop = loop
        self._connection = connection
        connection.setblocking(False)
        loop.add_reader(connection, self._readable)

    @property
    def alive(self) -> bool:
        return not self.exited.done()

    def configure(self, interfaces: list[Interface]) -> None:
        """Answer Created: the links are in the namespace. A shim that has ended meanwhile says why by itself."""
        if self.alive:
            with contextlib.suppress(Conflict):
                self._send(NetworkReady(interfaces), [])

    async def attach(self, attachment: Attachment, stream: socket.socket) -> int | None:
        """Hand ``stream`` to the shim as a client's end. Raises Conflict when the container has just ended.

        Returns the time that ends what an attachment ``after_log`` is after.
        """
        reply = await self._request(lambda number: Attach(number, attachment), [stream.fileno()])
        return reply.border if isinstance(reply, Done) else None

    async def exec(self, exec_id: str, attachment: Attachment | None, stream: socket.socket | None) -> int:
        """Start the exec whose process lies in the run directory; its pid on the host. Raises ExecRefused."""
        self._exec_exits[exec_id] = self._loop.create_future()
        descriptors = [stream.fileno()] if stream is not None else []
        try:
            reply = await self._request(lambda number: Exec(number, exec_id, attachment), descriptors)
        except BaseException:
            self._exec_exits.pop(exec_id, None)
            raise
        assert isinstance(reply, Done)
        return reply.pid or 0

    async def exec_exit(self, exec_id: str) -> int:
        """Wait for the end of an exec; its exit code. 137 when the container or its shim went first."""
        future = self._exec_exits.setdefault(exec_id, self._loop.create_future())
        if not self.alive and not future.done():
            future.set_result(137)
        return await asyncio.shield(future)

    async def resize(self, exec_id: str | None, rows: int, columns: int) -> None:
        await self._request(lambda number: Resize(number, exec_id, rows, columns), [])

    async def signal(self, number: int, *, exec_id: str | None = None, everyone: bool = False) -> None:
        await self._request(lambda request: Signal(request, exec_id, number, everyone), [])

    async def configure_network(
        self, interfaces: list[Interface], removed: list[str], routes: list[DefaultRoute | None]
    ) -> None:
        """Change the links and default routes (of IPv4, of IPv6) of the running container. Raises Conflict."""
        await self._request(lambda number: ConfigureNetwork(number, interfaces, removed, routes), [])

    async def update(self, resources: Resources) -> None:
        """Apply limits. Raises Conflict, with the kernel's words, when one is refused; NotRunning."""
        await self._request(lambda number: Update(number, resources), [])

    async def query(self) -> tuple[State, int | None]:
        """The state of the container and a descriptor of its network namespace, which the caller closes."""
        state, descriptors = await self._ask(Query, [])
        if not isinstance(state, State):
            raise Internal(f"shim of {self.container_id}: unexpected answer {type(state).__name__}")
        return state, (descriptors[0] if descriptors else None)

    async def abandon(self) -> None:
        """Tell the shim that nobody waits for its start any more, and wait until it is gone."""
        if self.alive:
            with contextlib.suppress(CoveError):
                self._send(Signal(next(self._numbers), None, signal.SIGKILL, True), [])
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.exited), ABANDON_TIMEOUT)
        self.close()

    def close(self) -> None:
        """Let go of the shim; the container runs on. Does nothing the second time."""
        if self._connection.fileno() < 0:
            return
        self._loop.remove_reader(self._connection)
        self._connection.close()
        self._refuse(Unavailable(f"the daemon has let go of container {self.container_id}"))

    def _refuse(self, error: CoveError) -> None:
        """Answer every request that still waits for the shim."""
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(error)

    async def _request(self, build: Callable[[int], Message], descriptors: list[int]) -> Message:
        reply, extra = await self._ask(build, descriptors)
        for descriptor in extra:
            os.close(descriptor)
        return reply

    async def _ask(self, build: Callable[[int], Message], descriptors: list[int]) -> tuple[Message, list[int]]:
        if not self.alive:
            raise NotRunning(self.container_id)
        number = next(self._numbers)
        future: asyncio.Future[tuple[Message, list[int]]] = self._loop.create_future()
        self._replies[number] = future
        try:
            self._send(build(number), descriptors)
            reply, extra = await future
        finally:
            self._replies.pop(number, None)
        if isinstance(reply, Failed):
            if reply.exit_code is not None:
                raise ExecRefused(reply.message, reply.exit_code)
            if reply.message == messages.NOT_RUNNING:
                raise NotRunning(self.container_id)
            raise Conflict(reply.message)
        return reply, extra

    def _send(self, message: Message, descriptors: list[int]) -> None:
        try:
            messages.send(self._connection, message, descriptors)
        except (BrokenPipeError, ConnectionResetError):
            raise NotRunning(self.container_id) from None
        except OSError as error:
            raise Unavailable(f"the shim of container {self.container_id} does not answer: {error}") from error

    def _readable(self) -> None:
        while self.alive:
            try:
                received = messages.receive(self._connection)
            except BlockingIOError:
                return
            except ConnectionResetError:
                # The shim went without reading our last request. The kernel says so once, ahead of what the shim
                # had sent before: its Exited is still in the queue.
                continue
            except messages.UnknownMessage as error:  # of a newer shim: its container is well
                log.warning("shim of %s: %s", self.container_id, error)
                continue
            except (OSError, ValueError) as error:
                log.error("shim of %s: %s", self.container_id, error)
                received = None
            if received is None:
                self._end(None)
                return
            self._dispatch(*received)

    def _dispatch(self, message: Message, descriptors: list[int]) -> None:
        match message:
            case Done() | Failed() | State():
                self._reply(message, descriptors)
            case Created(pid):
                self._settle_created(pid, descriptors)
            case Started():
                _settle(self.started, message)
            case StartFailed():
                self.failure = message
                self._end(None)
            case Exited():
                self._end(message)
            case ExecExited(exec_id, exit_code):
                _settle(self._exec_exits.setdefault(exec_id, self._loop.create_future()), exit_code)
            case KilledForMemory():
                self.on_killed_for_memory()
            case Detached(attach_id):
                self.on_detached(attach_id)  # the stream's end tells the client
            case _:
                log.warning("shim of %s: unexpected %s", self.container_id, type(message).__name__)

    def _settle_created(self, pid: int, descriptors: list[int]) -> None:
        if descriptors and not self.created.done():
            self.created.set_result((pid, descriptors.pop(0)))
        for descriptor in descriptors:  # nobody waits for it any more
            os.close(descriptor)

    def _reply(self, message: Done | Failed | State, descriptors: list[int]) -> None:
        future = self._replies.get(message.request)
        if future is None or future.done():
            for descriptor in descriptors:
                os.close(descriptor)
            return
        future.set_result((message, descriptors))

    def _end(self, exited: Exited | None) -> None:
        _settle(self.exited, exited)
        self._refuse(NotRunning(self.container_id))
        self.close()
        for future in self._exec_exits.values():
            _settle(future, 137)
        for waiting in (self.created, self.started):
            waiting.cancel()

    def exec_exit_code(self, exec_id: str) -> int | None:
        """The exit code of an exec whose ExecExited has come."""
        future = self._exec_exits.get(exec_id)
        return future.result() if future is not None and future.done() else None

    def forget_exec(self, exec_id: str) -> None:
        """Drop what is remembered of an exec that has ended."""
        self._exec_exits.pop(exec_id, None)


class Zygote:
    """The warm process that shims are forked from. It is started on first use, and again should it die."""

    def __init__(self) -> None:
        self._connection: socket.socket | None = None
        self._process: ZygoteProcess | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def warm(self) -> None:
        """Start the process now, so that the first container does not pay for it."""
        if self._connection is None:
            self._connection, self._process = spawn_zygote()
            asyncio.get_running_loop().add_reader(self._connection, self._readable)

    def start(self, start: StartShim, streams: list[socket.socket]) -> Shim:
        """Have a shim forked for a container whose bundle is in its run directory.

        ``streams``: the shim's ends, one per attachment; they are closed here in any case.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, contextlib.ExitStack() as stack:
            for stream in streams:
                stack.enter_context(stream)
            try:
                self._send(start, [theirs.fileno(), *(stream.fileno() for stream in streams)])
            except OSError as error:
                ours.close()
                raise Internal(f"cannot reach the zygote: {error}") from error
        return Shim(start.container_id, ours)

    def forget(self, layers: list[str]) -> None:
        """These layers are going to be removed; what the zygote holds of them would keep their files' space."""
        if self._connection is None:
            return
        for start in range(0, len(layers), FORGOTTEN_AT_ONCE):
            with contextlib.suppress(OSError):  # it has ended, and holds nothing
                messages.send(self._connection, Forget(layers[start : start + FORGOTTEN_AT_ONCE]))

    def close(self) -> None:
        """End the zygote; shims and their containers live on."""
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._connection)
            self._connection.close()
            self._connection = None
            self._reap()

    def _send(self, start: StartShim, descriptors: list[int]) -> None:
        self.warm()
        assert self._connection is not None
        try:
            messages.send(self._connection, start, descriptors)
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            self.warm()
            messages.send(self._connection, start, descriptors)

    def _readable(self) -> None:
        """The zygote never speaks: readable means that it is gone."""
        log.error("the zygote (pid %s) ended; a new one is started", self.pid)
        self.close()
        self.warm()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None


async def adopt(container_id: str, run_dir: Path) -> Shim:
    """Connect to the shim of a container that was started by an earlier daemon. Raises NotFound when there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    directory = -1
    try:
        directory = os.open(run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        connection.connect(f"/proc/self/fd/{directory}/{SOCKET_NAME}")  # the true path may exceed sun_path
    except OSError as error:
        connection.close()
        raise NotFound(f"no shim of container {container_id}: {error}") from error
    finally:
        if directory >= 0:
            os.close(directory)
    return Shim(container_id, connection)


def _settle(future: "asyncio.Future[Any]", value: Any) -> None:
    if not future.done():
        future.set_result(value)


async def first(*awaitables: Awaitable[Any]) -> None:
    """Wait until one of them is done; the others go on."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
