"""Serve the Engine API on listening sockets.

``App`` finds the route of each request and turns errors into answers; ``serve`` puts it on sockets.
"""

import asyncio
import itertools
import logging
import re
import socket
import ssl
import time
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from cove.errors import CoveError, InvalidArgument
from cove.server.absent import AbsentRoutes
from cove.server.archives import ArchiveRoutes
from cove.server.audit import Audit, AuditEntry, worth_writing
from cove.server.authorization import Asked, Authorization
from cove.server.bootstraps import BootstrapRoutes
from cove.server.builds import BuildRoutes
from cove.server.caller import caller_of
from cove.server.connection import Connection, answered
from cove.server.containers import ContainerRoutes
from cove.server.contexts import ContextRoutes
from cove.server.doctor import DoctorRoutes
from cove.server.egress import EgressRoutes
from cove.server.execs import ExecRoutes
from cove.server.guard import Guard
from cove.server.image_contents import ImageContentsRoutes
from cove.server.images import ImageRoutes
from cove.server.lifecycle import LifecycleRoutes
from cove.server.lifespan import Lifespan
from cove.server.networks import NetworkRoutes
from cove.server.output import OutputRoutes
from cove.server.plugins import PluginRoutes
from cove.server.pruning import PruningRoutes
from cove.server.registries import RegistryRoutes
from cove.server.reply import error_reply
from cove.server.request import Request
from cove.server.routing import Route, Router
from cove.server.services import Services
from cove.server.sockets import SocketRoutes
from cove.server.status import message_of, status_of
from cove.server.swarm import SwarmRoutes
from cove.server.system import SystemRoutes
from cove.server.tls import serving
from cove.server.topology import TopologyRoutes
from cove.server.transfers import TransferRoutes
from cove.server.trash import TrashRoutes
from cove.server.volume_copies import VolumeCopyRoutes
from cove.server.volume_files import VolumeFileRoutes
from cove.server.volumes import VolumeRoutes
from cove.server.why import WhyRoutes
from cove.wire import versions

log = logging.getLogger(__name__)

_AUTHORITY = re.compile(r"[^/?#]*")
_VERSIONED = re.compile(r"/v(\d{1,4})\.(\d{1,4})(/.*)", re.DOTALL)

MAX_LINE = 64 << 10
"""Bytes of the request line, and of a header: filters and registry credentials can be long."""

LINGER = 1.0
"""Seconds to read on from a client whose request was answered before its body ended."""

AT_ONCE = 0.001
"""Seconds; 0 is no limit to aiohttp."""


class App:
    """Every request: version, route, handler, error."""

    def __init__(
        self,
        services: Services,
        audit: Audit | None = None,
        oldest: versions.ApiVersion = versions.OLDEST,
        *,
        experimental: bool = False,
        authorization: Authorization | None = None,
    ) -> None:
        """``oldest``: the API version that clients must have at least. ``experimental``: what whole answers say."""
        self._authorization = authorization
        self._experimental = experimental
        self.lifespan = Lifespan()
        self._audit = audit
        self._oldest = oldest
        self._router = Router(_routes(services, oldest))
        self._numbers = itertools.count(1)

    async def handle(self, raw: web.BaseRequest, guard: Guard | None = None) -> web.StreamResponse:
        """``guard``: of the scoped socket that the request came by."""
        started, moment = time.monotonic(), time.time_ns()
        number = next(self._numbers)
        message = ""
        asked: Asked | None = None
        target = _relative(raw.raw_path)
        try:
            if self._authorization is not None:
                asked = await self._authorization.ask(raw, target)
            response = await self._answer(raw, target, number, guard, asked)
        except ConnectionError:
            raise
        except Exception as error:
            message, response = _failed(error, raw, number)
        if asked is not None and not answered(raw):
            try:
                await asked.confirm(response)
            except Exception as error:
                message, response = _failed(error, raw, number)
        if self._experimental and not response.prepared:
            response.headers["Docker-Experimental"] = "true"
        if self._audit is not None and worth_writing(raw.method, response.status):
            name = guard.name if guard else ""
            seconds = time.monotonic() - started
            who = caller_of(raw)
            self._audit.write(
                AuditEntry(who, name, raw.method, raw.raw_path, response.status, moment, seconds, message)
            )
        if log.isEnabledFor(logging.DEBUG):
            took = (time.monotonic() - started) * 1000
            log.debug("request %d: %s %s %d in %.1f ms", number, raw.method, raw.raw_path, response.status, took)
        return response

    async def _answer(
        self, raw: web.BaseRequest, target: str, number: int, guard: Guard | None, asked: Asked | None
    ) -> web.StreamResponse:
        path, _, query = target.partition("?")
        version, path = _split_version(path)
        decoded = unquote(path) if "%" in path else path
        found = self._router.match(raw.method, decoded)
        if found is None:
            return error_reply(404, "page not found")
        _check(version, self._oldest)
        route, variables = found
        request = Request(raw, self.lifespan, number, version, path, query)
        request.variables = variables
        request.asked = asked
        if guard is not None:
            request.guard = guard
            request.variables = guard.admit(raw.method, decoded, route.pattern, variables, request)
        if route.carried_out:
            return await self.lifespan.carry_out(_coroutine(route, request))
        return await route.handler(request)


def _failed(error: Exception, raw: web.BaseRequest, number: int) -> tuple[str, web.Response]:
    """What the audit log says, and the answer. Cuts a connection that has an answer already."""
    response = error_reply(status_of(error), message_of(error, f"{raw.method} {raw.raw_path}", number))
    if answered(raw):
        raise ConnectionAbortedError("failed after the answer had begun") from error
    return error.message if isinstance(error, CoveError) else repr(error), response


async def _coroutine(route: Route, request: Request) -> web.StreamResponse:
    return await route.handler(request)


def _routes(services: Services, oldest: versions.ApiVersion = versions.OLDEST) -> list[Route]:
    groups: tuple[Any, ...] = (
        SystemRoutes(services.system, oldest),
        ContainerRoutes(services.containers),
        LifecycleRoutes(services.lifecycle),
        OutputRoutes(services.output),
        ArchiveRoutes(services.archives),
        ExecRoutes(services.execs),
        ImageRoutes(services.images),
        ImageContentsRoutes(services.image_contents),
        TransferRoutes(services.transfers),
        BuildRoutes(services.builds),
        BootstrapRoutes(services.bootstraps, services.slimming),
        RegistryRoutes(services.registries),
        ContextRoutes(services.contexts),
        NetworkRoutes(services.networks),
        VolumeRoutes(services.volumes),
        VolumeCopyRoutes(services.volume_copies),
        VolumeFileRoutes(services.volume_files),
        TrashRoutes(services.trash),
        PruningRoutes(services.pruning),
        WhyRoutes(services.reasons),
        EgressRoutes(services.egress),
        TopologyRoutes(services.topology),
        SocketRoutes(services.sockets),
        DoctorRoutes(services.doctor),
        SwarmRoutes(),
        PluginRoutes(),
        AbsentRoutes(),
    )
    return [route for group in groups for route in group.table()]


def _relative(target: str) -> str:
    """The path and query of a request's target, which may be a whole URL (RFC 9112, absolute-form)."""
    if target.startswith("/"):
        return target
    after = _AUTHORITY.sub("", target.partition("://")[2], count=1)
    return after if after.startswith("/") else f"/{after}"


def _split_version(path: str) -> tuple[versions.ApiVersion, str]:
    """``/v1.41/info`` → (1, 41), ``/info``; without a version, the newest."""
    match = _VERSIONED.fullmatch(path)
    if match is None:
        return versions.NEWEST, path
    return (int(match[1]), int(match[2])), match[3]


def _check(version: versions.ApiVersion, oldest: versions.ApiVersion) -> None:
    if version > versions.NEWEST:
        raise InvalidArgument(
            f"client version {versions.text(version)} is too new. "
            f"Maximum supported API version is {versions.text(versions.NEWEST)}"
        )
    if version < oldest:
        raise InvalidArgument(
            f"client version {versions.text(version)} is too old. Minimum supported API version is "
            f"{versions.text(oldest)}, please upgrade your client to a newer version"
        )


class _Connections(web.Server):
    """aiohttp's low-level server, with our connections."""

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)


class Server:
    """An API that is being served."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._connections: list[_Connections] = []
        self._listeners: list[asyncio.Server] = []

    async def listen(
        self, listener: socket.socket, tls: ssl.SSLContext | None = None, guard: Guard | None = None
    ) -> asyncio.Server:
        """Serve on a socket that already listens (unix or TCP), which is the server's from now on.

        ``tls``: for TCP. ``guard``: what requests that come by it are held to. Close what it returns to end that.
        """
        connections = _connections(self._app, guard)
        self._connections.append(connections)
        loop = asyncio.get_running_loop()
        if listener.family == socket.AF_UNIX:
            opened = await loop.create_unix_server(connections, sock=listener, backlog=socket.SOMAXCONN)
        else:
            factory = connections if tls is None else serving(tls, connections)
            opened = await loop.create_server(factory, sock=listener, backlog=socket.SOMAXCONN)
        self._listeners.append(opened)
        return opened

    async def stop(self, grace: float | None = 5.0) -> None:
        """Stop listening, end streams, give what is under way ``grace`` seconds (None: all), close every connection."""
        for listener in self._listeners:
            listener.close()
        self._app.lifespan.end_streams()
        for connections in self._connections:
            connections.pre_shutdown()
        await self._app.lifespan.wait(grace)
        left = AT_ONCE if grace == 0 else grace
        await asyncio.gather(*(connections.shutdown(left) for connections in self._connections))


def _connections(app: App, guard: Guard | None) -> _Connections:
    return _Connections(
        partial(app.handle, guard=guard),
        handler_cancellation=True,
        access_log=None,
        logger=log,
        lingering_time=LINGER,
        auto_decompress=False,
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
    )


async def serve(
    services: Services,
    sockets: Sequence[socket.socket],
    tls: ssl.SSLContext | None = None,
    audit: Audit | None = None,
    oldest: versions.ApiVersion = versions.OLDEST,
    *,
    experimental: bool = False,
    authorization: Authorization | None = None,
) -> Server:
    """Serve on these sockets; see ``App`` and ``Server.listen``."""
    server = Server(App(services, audit, oldest, experimental=experimental, authorization=authorization))
    for listener in sockets:
        await server.listen(listener, tls)
    return server
