"""Routes of the API that this engine does not serve yet: they say so, with 501, and are no 404."""

from collections.abc import Sequence

from aiohttp import web

from cove.errors import InvalidArgument, Unimplemented
from cove.server.request import Request
from cove.server.routing import Route


class AbsentRoutes:
    def table(self) -> Sequence[Route]:
        return (
            Route("POST", "/session", self.session, stream=True),
            Route("POST", "/grpc", self.session, stream=True),
        )

    async def session(self, request: Request) -> web.Response:
        if "Upgrade" not in request.raw.headers:
            raise InvalidArgument("no upgrade proto in request")
        raise Unimplemented("build sessions are not supported yet")
