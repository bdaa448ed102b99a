"""Routes of execs."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import CoveError
from cove.server import hijack
from cove.server.output import terminal_size
from cove.server.reply import empty_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.execs import ExecCreate, ExecCreated, ExecInspect, ExecStart
from cove.wire.streams import Stream


class Execs(Protocol):
    async def create(self, ref: str, request: ExecCreate) -> ExecCreated:
        """Raises Conflict when the container does not run, InvalidArgument ("No exec command specified")."""

    async def start(self, exec_id: str, request: ExecStart) -> Stream | None:
        """Start it; its streams, or None when ``request.detach``. Raises NotFound, Conflict."""

    async def resize(self, exec_id: str, *, rows: int, columns: int) -> None: ...

    async def inspect(self, exec_id: str) -> ExecInspect: ...


class ExecRoutes:
    def __init__(self, execs: Execs) -> None:
        self._execs = execs

    def table(self) -> Sequence[Route]:
        return (
            Route("POST", "/containers/{id}/exec", self.create),
            Route("POST", "/exec/{id}/start", self.start, stream=True),
            Route("POST", "/exec/{id}/resize", self.resize),
            Route("GET", "/exec/{id}/json", self.inspect),
        )

    async def create(self, request: Request) -> web.Response:
        created = await self._execs.create(request.variable("id"), await request.json(ExecCreate))
        return reply(created, request.version, status=201)

    async def start(self, request: Request) -> web.StreamResponse:
        """The head goes out before the program runs, as with Docker: some clients lose output that comes along with it.

        After it, why the program did not start can only be said as output.
        """
        exec_id, options = request.variable("id"), await request.json(ExecStart)
        if options.detach:
            await request.lifespan.carry_out(self._execs.start(exec_id, options), _close)
            return empty_reply(200)
        await self._execs.inspect(exec_id)
        hijack.begin(request, options.tty)
        try:
            stream = await request.lifespan.carry_out(self._execs.start(exec_id, options), _close)
        except CoveError as error:
            return await hijack.refuse(request, error.message, options.tty)
        assert stream is not None
        return await hijack.connect(request, stream)

    async def resize(self, request: Request) -> web.Response:
        rows, columns = terminal_size(request)
        await self._execs.resize(request.variable("id"), rows=rows, columns=columns)
        return empty_reply(200)

    async def inspect(self, request: Request) -> web.Response:
        return reply(await self._execs.inspect(request.variable("id")), request.version)


def _close(stream: Stream | None) -> None:
    if stream is not None:
        stream.socket.close()
