"""Routes that show how networks and containers are joined, and what is between two of them; they are ours."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.server.reply import reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.topology import NetworkGraph, NetworkTrace


class Topology(Protocol):
    async def graph(self) -> NetworkGraph: ...

    async def trace(self, origin: str, target: str) -> NetworkTrace:
        """``target``: a container, address or name, with ``:PORT[/PROTOCOL]``. Raises NotFound, InvalidArgument."""


class TopologyRoutes:
    def __init__(self, topology: Topology) -> None:
        self._topology = topology

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/cove/network/graph", self.graph),
            Route("GET", "/cove/network/trace", self.trace),
        )

    async def graph(self, request: Request) -> web.Response:
        return reply(await self._topology.graph(), request.version)

    async def trace(self, request: Request) -> web.Response:
        return reply(await self._topology.trace(request.text("from"), request.text("to")), request.version)
