"""Routes of networks."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.filters import Filters
from cove.server.reply import empty_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.networks import (
    Network,
    NetworkConnect,
    NetworkCreate,
    NetworkCreated,
    NetworkDisconnect,
    NetworksPruned,
)


class Networks(Protocol):
    """``ref`` is a name, an id or a unique prefix of one."""

    async def list(self, filters: Filters) -> "list[Network]": ...

    async def inspect(self, ref: str, *, verbose: bool, scope: str) -> Network: ...

    async def create(self, request: NetworkCreate) -> NetworkCreated: ...

    async def remove(self, ref: str) -> None:
        """Raises Forbidden for a predefined one, and one that has endpoints."""

    async def connect(self, ref: str, request: NetworkConnect) -> None: ...

    async def disconnect(self, ref: str, request: NetworkDisconnect) -> None: ...

    async def prune(self, filters: Filters) -> NetworksPruned: ...


class NetworkRoutes:
    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/networks", self.list),
            Route("POST", "/networks/create", self.create),
            Route("POST", "/networks/prune", self.prune),
            Route("GET", "/networks/{id}", self.inspect),
            Route("DELETE", "/networks/{id}", self.remove),
            Route("POST", "/networks/{id}/connect", self.connect),
            Route("POST", "/networks/{id}/disconnect", self.disconnect),
        )

    async def list(self, request: Request) -> web.Response:
        return reply(await self._networks.list(request.filters()), request.version)

    async def inspect(self, request: Request) -> web.Response:
        network = await self._networks.inspect(
            request.variable("id"), verbose=request.flag("verbose"), scope=request.text("scope")
        )
        return reply(network, request.version)

    async def create(self, request: Request) -> web.Response:
        return reply(await self._networks.create(await request.json(NetworkCreate)), request.version, status=201)

    async def remove(self, request: Request) -> web.Response:
        await self._networks.remove(request.variable("id"))
        return empty_reply()

    async def connect(self, request: Request) -> web.Response:
        await self._networks.connect(request.variable("id"), await request.json(NetworkConnect))
        return empty_reply(200)

    async def disconnect(self, request: Request) -> web.Response:
        await self._networks.disconnect(request.variable("id"), await request.json(NetworkDisconnect))
        return empty_reply(200)

    async def prune(self, request: Request) -> web.Response:
        return reply(await self._networks.prune(request.filters()), request.version)
