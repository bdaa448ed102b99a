"""Routes of contexts that a client lists before a build, to send only the contents that the daemon lacks."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from cove.server.reply import empty_reply, raw_reply
from cove.server.request import Request
from cove.server.routing import Route


class Offer(Protocol):
    """A context that was listed. ``missing``: which files of the list, counted from 0, are to be sent."""

    @property
    def id(self) -> str: ...

    @property
    def missing(self) -> list[int]: ...


class Contexts(Protocol):
    """Keeps contents of contexts from build to build. ``key``: 64 hexadecimal digits, for a directory of a client."""

    async def offer(self, key: str, chunks: AsyncIterator[bytes]) -> Offer:
        """Take a list in. Raises InvalidArgument."""

    async def fill(self, id: str, chunks: AsyncIterator[bytes]) -> None:
        """Take the missing contents in, one after the other. Raises NotFound, InvalidArgument."""

    async def usage(self) -> int:
        """Bytes on the disk."""


class ContextRoutes:
    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/cove/contexts", self.usage),
            Route("POST", "/cove/contexts", self.offer, stream=True),
            Route("POST", "/cove/contexts/{id}/files", self.fill, stream=True),
        )

    async def usage(self, request: Request) -> web.StreamResponse:
        return raw_reply({"Size": await self._contexts.usage()})

    async def offer(self, request: Request) -> web.StreamResponse:
        offer = await self._contexts.offer(request.text("key"), request.chunks())
        return raw_reply({"Id": offer.id, "Missing": offer.missing})

    async def fill(self, request: Request) -> web.StreamResponse:
        await self._contexts.fill(request.variable("id"), request.chunks())
        return empty_reply(204)
