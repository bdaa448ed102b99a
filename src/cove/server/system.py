"""Routes of the engine itself: ping, version, info, events, disk usage, log-in."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.server.reply import HEADERS, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import LINE_TYPES, json_lines
from cove.wire import versions
from cove.wire.events import Event
from cove.wire.images import AuthConfig
from cove.wire.system import AuthResponse, DiskUsage, Info, Version


class System(Protocol):
    async def version(self) -> Version:
        """Without API versions: the server knows them."""

    async def info(self) -> Info: ...

    async def disk_usage(self, types: frozenset[str], *, verbose: bool) -> DiskUsage:
        """``types``: of container, image, volume, build-cache; empty is all. Raises InvalidArgument for others."""

    async def events(self, *, since: int | None, until: int | None, filters: Filters) -> AsyncIterator[Event]:
        """What happened since, and what happens until (nanoseconds since the epoch; None: from now, and for ever).

        Nothing is missed from this call on.
        """

    async def auth(self, credentials: AuthConfig) -> AuthResponse: ...


PING_HEADERS = {
    **HEADERS,
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Swarm": "inactive",
    "Content-Type": "text/plain; charset=utf-8",
}
"""``Builder-Version`` 1 lets ``docker build`` talk to us without BuildKit."""

CHOOSES_MEDIA_TYPE = (1, 52)
"""The first version of the API whose events come in the media type that a client asks for."""

VERBOSE_USAGE = (1, 52)
"""The first version of the API whose disk usage can be verbose."""


class SystemRoutes:
    def __init__(self, system: System, oldest: versions.ApiVersion = versions.OLDEST) -> None:
        """``oldest``: the API version that clients must have at least."""
        self._system = system
        self._oldest = oldest

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/_ping", self.ping),
            Route("HEAD", "/_ping", self.ping),
            Route("GET", "/version", self.version),
            Route("GET", "/info", self.info),
            Route("GET", "/events", self.events),
            Route("GET", "/system/df", self.disk_usage),
            Route("POST", "/auth", self.auth),
        )

    async def ping(self, request: Request) -> web.Response:
        if request.method == "HEAD":
            return web.Response(headers=PING_HEADERS)
        return web.Response(body=b"OK", headers=PING_HEADERS)

    async def version(self, request: Request) -> web.Response:
        version = await self._system.version()
        version.api_version = versions.text(versions.NEWEST)
        version.min_api_version = versions.text(self._oldest)
        return reply(version, request.version)

    async def info(self, request: Request) -> web.Response:
        return reply(await self._system.info(), request.version)

    async def events(self, request: Request) -> web.StreamResponse:
        since, until = request.optional_moment("since"), request.optional_moment("until")
        if since is not None and until is not None and since > until:
            words = f"`since` time ({request.text('since')}) cannot be after `until` time ({request.text('until')})"
            raise InvalidArgument(words)
        events = await self._system.events(since=since, until=until, filters=request.filters())
        return await json_lines(request, events, at_once=True, media_type=_line_type(request))

    async def disk_usage(self, request: Request) -> web.Response:
        """The lists of before are not shown together with the verbose ones."""
        verbose = request.flag("verbose") and request.version >= VERBOSE_USAGE
        used = await self._system.disk_usage(frozenset(request.texts("type")), verbose=verbose)
        if verbose:
            used.layers_size, used.images, used.containers, used.volumes = 0, [], [], []
        return reply(used, request.version)

    async def auth(self, request: Request) -> web.Response:
        return reply(await self._system.auth(await request.json(AuthConfig)), request.version)


def _line_type(request: Request) -> str:
    """The first of the media types for streams that the client names; newer versions of the API alone have a choice."""
    if request.version < CHOOSES_MEDIA_TYPE:
        return ""
    named = [part.partition(";")[0].strip().lower() for part in request.raw.headers.get("Accept", "").split(",")]
    return next((name for name in named if name in LINE_TYPES), "")
