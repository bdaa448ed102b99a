"""Routes of plugins, as an engine that has none and takes none answers them."""

from collections.abc import Sequence

from aiohttp import web

from cove.errors import NotFound, Unimplemented
from cove.server.reply import raw_reply
from cove.server.request import Request
from cove.server.routing import Route

CHANGES = ("enable", "disable", "upgrade", "push", "set")


class PluginRoutes:
    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/plugins", self.list),
            Route("GET", "/plugins/privileges", self.refuse),
            Route("POST", "/plugins/pull", self.refuse),
            Route("POST", "/plugins/create", self.refuse),
            Route("GET", "/plugins/{name*}/json", self.miss),
            *(Route("POST", f"/plugins/{{name*}}/{change}", self.miss) for change in CHANGES),
            Route("DELETE", "/plugins/{name*}", self.miss),
        )

    async def list(self, request: Request) -> web.Response:
        request.filters().check(("capability", "enabled"))
        return raw_reply([])

    async def refuse(self, request: Request) -> web.Response:
        raise Unimplemented("plugins are not supported")

    async def miss(self, request: Request) -> web.Response:
        raise NotFound(f'plugin "{request.variable("name")}" not found')
