"""The route that says what a container's egress policy is, and what was learned for one; it is ours."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.server.reply import reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.egress import EgressReport


class EgressPolicies(Protocol):
    async def report(self, ref: str) -> EgressReport:
        """Raises NotFound."""


class EgressRoutes:
    def __init__(self, policies: EgressPolicies) -> None:
        self._policies = policies

    def table(self) -> Sequence[Route]:
        return (Route("GET", "/containers/{id}/egress", self.report),)

    async def report(self, request: Request) -> web.Response:
        return reply(await self._policies.report(request.variable("id")), request.version)
