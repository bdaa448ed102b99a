"""Routes of scoped sockets, which are ours: make one, list, look at one, remove."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import Forbidden
from cove.server.reply import empty_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.sockets import ApiSocket, SocketCreate


class Sockets(Protocol):
    async def create(self, wish: SocketCreate) -> ApiSocket:
        """It listens when this returns. Raises InvalidArgument naming the field, Conflict when the name is taken."""

    async def list(self) -> Sequence[ApiSocket]:
        """By name."""

    async def inspect(self, name: str) -> ApiSocket:
        """Raises NotFound."""

    async def remove(self, name: str) -> None: ...


class SocketRoutes:
    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    def table(self) -> Sequence[Route]:
        return (
            Route("POST", "/cove/sockets/create", self.create),
            Route("GET", "/cove/sockets", self.list),
            Route("GET", "/cove/sockets/{name}", self.inspect),
            Route("DELETE", "/cove/sockets/{name}", self.remove),
        )

    async def create(self, request: Request) -> web.Response:
        _refuse_scoped(request)
        return reply(await self._sockets.create(await request.json(SocketCreate)), request.version, status=201)

    async def list(self, request: Request) -> web.Response:
        _refuse_scoped(request)
        return reply(list(await self._sockets.list()), request.version)

    async def inspect(self, request: Request) -> web.Response:
        _refuse_scoped(request)
        return reply(await self._sockets.inspect(request.variable("name")), request.version)

    async def remove(self, request: Request) -> web.Response:
        _refuse_scoped(request)
        await self._sockets.remove(request.variable("name"))
        return empty_reply()


def _refuse_scoped(request: Request) -> None:
    """A scoped socket, whatever it allows, makes no further one: that could do more than itself."""
    if request.guard is not None:
        raise Forbidden(f"sockets are not managed by the socket {request.guard.name}")
