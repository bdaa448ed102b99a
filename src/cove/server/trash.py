"""Routes of the trash, which are ours: list, bring back, delete, empty."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.server.reply import empty_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.trash import Restored, Trashed, TrashEmptied


class Trash(Protocol):
    async def list(self) -> Sequence[Trashed]:
        """The newest first."""

    async def restore(self, reference: str, name: str) -> Restored:
        """Bring one back, the last one for an empty reference. Raises NotFound, Conflict when the name is taken."""

    async def delete(self, reference: str) -> None: ...

    async def empty(self) -> TrashEmptied: ...


class TrashRoutes:
    def __init__(self, trash: Trash) -> None:
        self._trash = trash

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/trash", self.list),
            Route("POST", "/trash/restore", self.restore_last),
            Route("POST", "/trash/prune", self.empty),
            Route("POST", "/trash/{id}/restore", self.restore),
            Route("DELETE", "/trash/{id}", self.delete),
        )

    async def list(self, request: Request) -> web.Response:
        return reply(await self._trash.list(), request.version)

    async def restore_last(self, request: Request) -> web.Response:
        return reply(await self._trash.restore("", request.text("name")), request.version)

    async def restore(self, request: Request) -> web.Response:
        return reply(await self._trash.restore(request.variable("id"), request.text("name")), request.version)

    async def delete(self, request: Request) -> web.Response:
        await self._trash.delete(request.variable("id"))
        return empty_reply()

    async def empty(self, request: Request) -> web.Response:
        return reply(await self._trash.empty(), request.version)
