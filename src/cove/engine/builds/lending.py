"""What a client lends to a build before it begins: secrets, named contexts, and its ssh agents.

Secrets are in memory only. What is lent for a build that never comes goes after a while.
"""

import asyncio
import contextlib
import re
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from cove.build.builder import Builder
from cove.build.contexts import RemoteContexts
from cove.build.planning.graph import Context
from cove.dockerfile.git import is_git
from cove.engine.builds.bases import NamedImage
from cove.engine.builds.bodies import whole
from cove.engine.builds.passing import Passing
from cove.errors import InvalidArgument, Unavailable
from cove.wire.streams import Stream

MOST_SECRET = 500 << 10
"""Bytes, BuildKit's limit."""
MOST_LENT = 100
"""Builds that something is lent to, and things that are lent to one."""
WAITS = 600.0
"""Seconds that a build has to begin."""
IMAGE, LOADED = "docker-image://", "loaded-image://"
URLS = ("http://", "https://")
AGENT_SECONDS = 5.0
"""How long a program waits for a client's next connection."""
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Lent:
    """Of one build. ``agents``: by name, clients that wait for a program to connect."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.begun = False
        self.secrets: dict[str, bytes] = {}
        self.contexts: dict[str, Context] = {}
        self.images: dict[str, NamedImage] = {}
        self.agents: dict[str, asyncio.Queue[asyncio.Future[socket.socket]]] = {}
        self._servers: list[asyncio.Task[None]] = []

    async def secret(self, name: str) -> bytes | None:
        return self.secrets.get(name)

    async def agent(self, name: str, socket_path: Path) -> bool:
        if name not in self.agents:
            return False
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.setblocking(False)
        listener.bind(str(socket_path))
        listener.listen()
        self._servers.append(asyncio.ensure_future(self._serve(name, listener)))
        return True

    async def _serve(self, name: str, listener: socket.socket) -> None:
        """Give each program that connects to a client that waits."""
        with listener:
            while True:
                connection, _ = await asyncio.get_running_loop().sock_accept(listener)
                await self._give(name, connection)

    async def _give(self, name: str, connection: socket.socket) -> None:
        """The client opens its next connection when the last one is in use: give it a moment for that."""
        try:
            async with asyncio.timeout(AGENT_SECONDS):
                while (client := await self.agents[name].get()).done():
                    pass  # it has gone
        except BaseException as error:
            connection.close()
            if not isinstance(error, TimeoutError):
                raise
        else:
            client.set_result(connection)

    async def wait_for_program(self, name: str) -> socket.socket:
        """The connection of the next program that wants the agent."""
        if name not in self.agents or self.agents[name].qsize() >= MOST_LENT:
            raise InvalidArgument(f"no agent {name} is lent to this build, or too many clients wait")
        client: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        self.agents[name].put_nowait(client)
        return await client

    def close(self) -> None:
        """The build is over."""
        for server in self._servers:
            server.cancel()
        for clients in self.agents.values():
            while not clients.empty():
                if not (client := clients.get_nowait()).done():
                    client.set_exception(Unavailable("the build is over"))
                    client.exception()
        shutil.rmtree(self.directory, ignore_errors=True)


class Lending:
    """What is lent, by the id that the client has given its build. ``scratch``: where contexts may lie."""

    def __init__(self, builder: Builder, remote: RemoteContexts, scratch: Path, passing: Passing) -> None:
        self._passing = passing
        self._expired: set[asyncio.Task[None]] = set()
        self._builder = builder
        self._remote = remote
        self._scratch = scratch
        self._lent: dict[str, Lent] = {}

    async def secret(self, build: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Raises InvalidArgument for one that is too long."""
        value = await whole(chunks, MOST_SECRET, f"secret {name}")
        self._of(build).secrets[_named(name)] = value

    async def context(self, build: str, name: str, remote: str, chunks: AsyncIterator[bytes]) -> None:
        """``remote``, in place of a tar: ``docker-image://NAME``, a URL or a git repository. Raises CoveError.

        ``loaded-image://NAME``: an image that the client has loaded for this, and that no registry is asked for.
        """
        lent = self._of(build)
        for scheme in (IMAGE, LOADED):
            if remote.startswith(scheme):
                lent.images[_named(name)] = NamedImage(remote.removeprefix(scheme), scheme == LOADED)
                return
        if remote and not (is_git(remote) or remote.startswith(URLS)):
            raise InvalidArgument(f"the context {name}={remote} is no image, no URL and no git repository")
        if len(lent.contexts) >= MOST_LENT:
            raise InvalidArgument(f"more than {MOST_LENT} named contexts")
        lent.directory.mkdir(mode=0o700, exist_ok=True)
        try:
            lent.contexts[_named(name)] = (
                await self._remote.named(remote, lent.directory)
                if remote
                else await self._builder.receive(chunks, lent.directory)
            )
        except BaseException:  # the client goes without asking for the build
            if not lent.begun:
                self._drop(build, lent)
            raise

    def announce(self, build: str, name: str) -> None:
        """The client has an agent of this name, and is going to wait for programs with ``agent``."""
        lent = self._of(build)
        if len(lent.agents) >= MOST_LENT:
            raise InvalidArgument(f"more than {MOST_LENT} agents")
        lent.agents.setdefault(_named(name), asyncio.Queue())

    async def agent(self, build: str, name: str) -> Stream:
        """Wait until a program of the build wants the agent. Raises Unavailable when the build ends before."""
        return Stream(await self._of(build).wait_for_program(_named(name)), True)

    @contextlib.contextmanager
    def taken(self, build: str) -> Iterator[Lent | None]:
        """What is lent to a build, while it runs; it is given back at the end."""
        lent = self._lent.get(build)
        if lent is not None:
            lent.begun = True
        try:
            yield lent
        finally:
            self._drop(build, lent)

    def _of(self, build: str) -> Lent:
        if not _ID.fullmatch(build):
            raise InvalidArgument(f"invalid value for id: {build!r}")
        if build not in self._lent:
            if len(self._lent) >= MOST_LENT:
                raise Unavailable("too many builds are being prepared")
            lent = self._lent[build] = Lent(self._scratch / f"lent-{build}")
            asyncio.get_running_loop().call_later(WAITS, self._expire, build, lent)
        return self._lent[build]

    def _expire(self, build: str, lent: Lent) -> None:
        if self._lent.get(build) is lent and not lent.begun:
            self._drop(build, lent)
            ending = asyncio.ensure_future(self._passing.end(build))
            self._expired.add(ending)
            ending.add_done_callback(self._expired.discard)

    def _drop(self, build: str, lent: Lent | None) -> None:
        if lent is not None:
            self._lent.pop(build, None)
            lent.close()


def _named(name: str) -> str:
    if not name or len(name) > 256:
        raise InvalidArgument("invalid value for name: it is empty or too long")
    return name
