"""The route that says why a container is as it is; it is ours."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.server.reply import reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.why import Why


class Reasons(Protocol):
    async def why(self, ref: str) -> Why:
        """Of a container, one in the trash if there is no other. Raises NotFound."""


class WhyRoutes:
    def __init__(self, reasons: Reasons) -> None:
        self._reasons = reasons

    def table(self) -> Sequence[Route]:
        return (Route("GET", "/containers/{id}/why", self.why),)

    async def why(self, request: Request) -> web.Response:
        return reply(await self._reasons.why(request.variable("id")), request.version)
