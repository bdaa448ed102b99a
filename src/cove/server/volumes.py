"""Routes of volumes."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.filters import Filters
from cove.server.reply import empty_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.volumes import Volume, VolumeCreate, VolumeList, VolumeResize, VolumesPruned

PRUNES_ANONYMOUS = (1, 42)
"""From this version of the API on ``prune`` leaves volumes alone that a user has named."""


class Volumes(Protocol):
    async def list(self, filters: Filters) -> VolumeList: ...

    async def inspect(self, name: str) -> Volume: ...

    async def create(self, request: VolumeCreate) -> Volume:
        """The volume of that name, which may be there already. Raises Conflict when it has another driver."""

    async def remove(self, name: str, *, force: bool, now: bool = False) -> None:
        """``now``: past the trash. Raises Conflict while a container uses it."""

    async def prune(self, filters: Filters, *, now: bool = False) -> VolumesPruned: ...

    async def resize(self, name: str, request: VolumeResize) -> Volume:
        """Raises Conflict when it cannot be smaller now, or has no size."""


class VolumeRoutes:
    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/volumes", self.list),
            Route("POST", "/volumes/create", self.create),
            Route("POST", "/volumes/prune", self.prune),
            Route("GET", "/volumes/{name}", self.inspect),
            Route("DELETE", "/volumes/{name}", self.remove),
            Route("POST", "/cove/volumes/{name}/resize", self.resize),
        )

    async def list(self, request: Request) -> web.Response:
        return reply(await self._volumes.list(request.filters()), request.version)

    async def inspect(self, request: Request) -> web.Response:
        return reply(await self._volumes.inspect(request.variable("name")), request.version)

    async def create(self, request: Request) -> web.Response:
        return reply(await self._volumes.create(await request.json(VolumeCreate)), request.version, status=201)

    async def remove(self, request: Request) -> web.Response:
        await self._volumes.remove(request.variable("name"), force=request.flag("force"), now=request.flag("now"))
        return empty_reply()

    async def resize(self, request: Request) -> web.Response:
        body = await request.json(VolumeResize)
        return reply(await self._volumes.resize(request.variable("name"), body), request.version)

    async def prune(self, request: Request) -> web.Response:
        filters = request.filters()
        if request.version < PRUNES_ANONYMOUS:
            filters = Filters({**filters, "all": ["true"]})
        return reply(await self._volumes.prune(filters, now=request.flag("now")), request.version)
