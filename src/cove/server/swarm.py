"""Routes of Swarm, as a node that is in no swarm answers them."""

from collections.abc import Sequence

from aiohttp import web

from cove.errors import Unavailable, Unimplemented
from cove.server.request import Request
from cove.server.routing import Route

GROUPS = ("swarm", "nodes", "services", "tasks", "secrets", "configs")
METHODS = ("GET", "POST", "DELETE")


class SwarmRoutes:
    def table(self) -> Sequence[Route]:
        collections = [Route("GET", f"/{group}", self.refuse) for group in GROUPS]
        members = [Route(method, f"/{group}/{{rest*}}", self.refuse) for group in GROUPS for method in METHODS]
        return (
            Route("POST", "/swarm/init", self.begin),
            Route("POST", "/swarm/join", self.begin),
            Route("POST", "/swarm/leave", self.leave),
            *collections,
            *members,
        )

    async def refuse(self, request: Request) -> web.Response:
        raise Unavailable(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
            "swarm and try again."
        )

    async def begin(self, request: Request) -> web.Response:
        raise Unimplemented("swarm mode is not supported yet")

    async def leave(self, request: Request) -> web.Response:
        raise Unavailable("This node is not part of a swarm")
