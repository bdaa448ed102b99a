"""Routes of Swarm and plugins, as a node that is in no swarm and has no plugins answers them."""

from collections.abc import Sequence

from aiohttp import web

from cove.errors import Unavailable
from cove.server.reply import raw_reply
from cove.server.request import Request
from cove.server.routing import Route

GROUPS = ("swarm", "nodes", "services", "tasks", "secrets", "configs")
METHODS = ("GET", "POST", "DELETE")


class SwarmRoutes:
    def table(self) -> Sequence[Route]:
        collections = [Route("GET", f"/{group}", self.refuse) for group in GROUPS]
        members = [Route(method, f"/{group}/{{rest*}}", self.refuse) for group in GROUPS for method in METHODS]
        return (*collections, *members, Route("GET", "/plugins", self.plugins))

    async def refuse(self, request: Request) -> web.Response:
        raise Unavailable(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
            "swarm and try again."
        )

    async def plugins(self, request: Request) -> web.Response:
        return raw_reply([])
