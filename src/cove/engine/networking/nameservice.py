"""The daemon's side of the resolver: which containers it serves, and what they may be told.

The process is started by the first container on a user network. What it knows can be said again at any time from the
registry; so a resolver that died is replaced, and one that an earlier daemon started goes on without a gap.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import cove
from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.networking import etcfiles
from cove.engine.networking.sandboxes import Sandboxes
from cove.errors import CoveError, Internal, Unavailable
from cove.kernel import namespaces, pidfd
from cove.resolver import messages
from cove.resolver.launch import find_resolver, spawn_resolver
from cove.resolver.messages import Begin, Done, End, Failed, Hello, Message, Place, Remove, Seen, Welcome
from cove.runtime.launch import ZygoteProcess

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that the resolver gets for a request, on a machine however busy; its end is noticed at once."""


class Gone(Unavailable):
    """The resolver's process has ended."""


class Line:
    """One connection to a resolver. ``on_end`` is called when it has ended, ``on_seen`` with what it tells unasked."""

    def __init__(
        self, connection: socket.socket, on_end: "Callable[[Line], None]", on_seen: Callable[[Seen], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = connection
        self._on_end = on_end
        self._on_seen = on_seen
        self._numbers = itertools.count(1)
        self._replies: dict[int, asyncio.Future[Message]] = {}
        self._unsent: deque[tuple[bytes, list[int]]] = deque()
        connection.setblocking(False)
        self._loop.add_reader(connection, self._readable)

    @property
    def pid(self) -> int:
        """Of the process at the other end."""
        credentials = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("iII", credentials)[0])

    async def request(self, build: Callable[[int], Message], descriptors: list[int]) -> Message:
        """What is answered. ``descriptors`` are closed here. Raises Gone, Internal with the resolver's words."""
        number = next(self._numbers)
        future: asyncio.Future[Message] = self._loop.create_future()
        self._replies[number] = future
        try:
            self.send(build(number), descriptors)
            reply = await asyncio.wait_for(future, PATIENCE)
        except TimeoutError:
            raise Internal("the resolver does not answer") from None
        finally:
            self._replies.pop(number, None)
        if isinstance(reply, Failed):
            raise Internal(f"names cannot be resolved in the container: {reply.message}")
        return reply

    def send(self, message: Message, descriptors: list[int]) -> None:
        """Send when there is room. ``descriptors`` are closed once they are sent. Raises Gone."""
        if self._connection.fileno() < 0:
            _close_all(descriptors)
            raise Gone("the resolver has ended")
        self._unsent.append((messages.encode(message), descriptors))
        if len(self._unsent) == 1:
            self._flush()

    def close(self) -> None:
        if self._connection.fileno() < 0:
            return
        self._loop.remove_reader(self._connection)
        self._loop.remove_writer(self._connection)
        self._connection.close()
        while self._unsent:
            _close_all(self._unsent.popleft()[1])
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(Gone("the resolver has ended"))

    def _flush(self) -> None:
        while self._unsent:
            datagram, descriptors = self._unsent[0]
            try:
                messages.send(self._connection, datagram, descriptors)
            except BlockingIOError:
                self._loop.add_writer(self._connection, self._flush)
                return
            except OSError:
                self._end()
                return
            self._unsent.popleft()
            _close_all(descriptors)
        self._loop.remove_writer(self._connection)

    def _readable(self) -> None:
        while self._connection.fileno() >= 0:
            try:
                received = messages.receive(self._connection)
            except BlockingIOError:
                return
            except ConnectionResetError:
                continue
            except (OSError, ValueError) as error:
                log.error("resolver: %s", error)
                received = None
            if received is None:
                self._end()
                return
            self._dispatch(received[0])

    def _dispatch(self, message: Message) -> None:
        match message:
            case Seen():
                self._on_seen(message)
            case Failed(0, text):
                log.warning("resolver: %s", text)
            case Done(number) | Failed(number) | Welcome(number):
                future = self._replies.get(number)
                if future is not None and not future.done():
                    future.set_result(message)
            case _:
                log.warning("resolver: unexpected %s", type(message).__name__)

    def _end(self) -> None:
        self.close()
        self._on_end(self)


class NameService:
    """Tells the resolver of starts, changes and ends."""

    def __init__(self, registry: Registry, sandboxes: Sandboxes, run_root: Path) -> None:
        self._registry = registry
        self._sandboxes = sandboxes
        self._run_root = run_root
        self._line: Line | None = None
        self._process: ZygoteProcess | None = None
        self._turn = asyncio.Lock()
        self._placed: set[str] = set()
        self._repair: asyncio.Task[None] | None = None
        self._closed = False
        self.on_seen: Callable[[Seen], None] = lambda seen: None

    async def place(self, container: Container, namespace: int) -> None:
        """Serve a container that starts, if it needs that; ``namespace`` stays the caller's. Raises CoveError."""
        sandbox = self._sandboxes.describe(container)
        if sandbox is None:
            return
        self._placed.add(container.id)
        try:
            await self._ask(lambda: _descriptors(namespace, container.pid), lambda number: Place(number, sandbox))
        except OSError as error:  # init has ended already; the start says why
            raise Internal(f"container {container.id}: {error}") from error

    def warm(self) -> None:
        """Start the resolver beside whatever comes before its first container; it ends again when none comes."""
        if self._line is None and not self._turn.locked() and not self._closed:
            self._repair = asyncio.get_running_loop().create_task(self._replace())

    async def change(self, container: Container) -> None:
        """Tell of a running container's new names or networks."""
        sandbox = self._sandboxes.describe(container)
        if not container.running or (sandbox is None and container.id not in self._placed):
            return
        if sandbox is None:
            self.remove(container.id)
            return
        self._placed.add(container.id)
        opened = lambda: _opened(container.pid)  # noqa: E731
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended, and its end is on its way here
            await self._ask(opened, lambda number: Place(number, sandbox))

    def remove(self, container_id: str) -> None:
        """A container has ended."""
        if container_id in self._placed:
            self._placed.discard(container_id)
            if self._line is not None:
                with contextlib.suppress(Gone):
                    self._line.send(Remove(container_id), [])

    async def restore(self, running: Mapping[str, int]) -> None:
        """Go on with the resolver of an earlier daemon, or start one if containers need it. ``running``: as adopted."""
        self._placed = {known for known in running if self._sandboxes.describe(self._registry.get(known)) is not None}
        try:
            async with self._turn:
                if self._line is None:
                    self._line = await self._found()
                    if self._line is not None or self._placed:
                        self._line = self._line or await self._spawned()
                        await self._say_everything(self._line)
        except (CoveError, OSError) as error:
            log.error("resolver: %s", error)

    def close(self) -> None:
        """Let go of the resolver, which goes on for the containers that run."""
        self._closed = True
        if self._repair is not None:
            self._repair.cancel()
        if self._line is not None:
            self._line.close()
            self._line = None

    async def _ask(self, descriptors: Callable[[], list[int]], build: Callable[[int], Message]) -> None:
        """A request to the resolver, which may have just ended: then to the next one."""
        for last in (False, True):
            line = await self._connected()
            try:
                await line.request(build, descriptors())
                return
            except Gone:
                if last:
                    raise

    async def _connected(self) -> Line:
        async with self._turn:
            if self._line is None:
                self._line = await self._spawned()
                await self._say_everything(self._line)
            return self._line

    async def _found(self) -> Line | None:
        """The resolver of an earlier daemon, if it is of this version; another one is ended."""
        connection = find_resolver(self._run_root)
        if connection is None:
            return None
        line = Line(connection, self._ended, self._seen)
        with contextlib.suppress(CoveError):
            welcome = await line.request(self._hello, [])
            if isinstance(welcome, Welcome) and welcome.version == cove.__version__:
                return line
        with contextlib.suppress(OSError):
            os.kill(line.pid, signal.SIGKILL)
        line.close()
        return None

    async def _spawned(self) -> Line:
        try:
            connection, self._process = spawn_resolver(self._run_root, str(etcfiles.HOST_RESOLV_CONF))
        except OSError as error:
            raise Internal(f"cannot start the resolver: {error}") from error
        return Line(connection, self._ended, self._seen)

    def _hello(self, number: int) -> Message:
        return Hello(number, cove.__version__, str(etcfiles.HOST_RESOLV_CONF))

    async def _say_everything(self, line: Line) -> None:
        line.send(Begin(), [])
        for container in [self._registry.get(known) for known in self._placed if known in self._registry]:
            sandbox = self._sandboxes.describe(container)
            if sandbox is None or not container.running:
                continue
            with contextlib.suppress(OSError):  # it has just ended
                descriptors = _opened(container.pid)
                number = 0  # nobody waits for the answer; an error is logged
                line.send(Place(number, sandbox), descriptors)
        await line.request(End, [])

    def _seen(self, seen: Seen) -> None:
        self.on_seen(seen)

    def _ended(self, line: Line) -> None:
        """A resolver that ends without containers has nothing to do; else it died, and is replaced at once."""
        if self._line is not line:
            return
        self._line = None
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._placed and not self._closed:
            log.error("the resolver ended; a new one is started")
            self._repair = asyncio.get_running_loop().create_task(self._replace())

    async def _replace(self) -> None:
        try:
            await self._connected()
        except CoveError as error:
            log.error("resolver: %s", error)


def _descriptors(namespace: int, pid: int) -> list[int]:
    """The namespace and a process, in descriptors of their own."""
    copied = os.dup(namespace)
    try:
        return [copied, pidfd.open_pid(pid)]
    except BaseException:
        os.close(copied)
        raise


def _opened(pid: int) -> list[int]:
    """As ``_descriptors``, of a running container."""
    namespace = namespaces.open_namespace(pid, "network")
    try:
        return [namespace, pidfd.open_pid(pid)]
    except BaseException:
        os.close(namespace)
        raise


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
