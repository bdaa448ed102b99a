"""Routes about what is in registries: look, manifests, referrers, copies between them."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.server.reply import HEADERS, raw_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import json_lines
from cove.wire.images import AuthConfig, Progress, SearchResult
from cove.wire.registries import DistributionInspect, Manifest

MAX_MANIFEST = 4 << 20
TARGET_AUTH = "X-Registry-Auth-Target"
"""Credentials for the registry that is copied to, in the form of ``X-Registry-Auth``."""


class Registries(Protocol):
    """``name`` is a reference; raises NotFound, Unauthorized, Upstream in Docker's words."""

    async def search(
        self, term: str, *, limit: int, filters: Filters, auth: AuthConfig | None
    ) -> Sequence[SearchResult]: ...

    async def look(self, name: str, *, auth: AuthConfig | None) -> DistributionInspect: ...

    async def manifest(self, name: str, *, auth: AuthConfig | None) -> Manifest: ...

    async def put_manifest(self, name: str, manifest: Manifest, *, auth: AuthConfig | None) -> None: ...

    async def referrers(self, name: str, *, artifact_type: str, auth: AuthConfig | None) -> Any:
        """An OCI index, ready to be encoded."""

    def copy(
        self, source: str, target: str, *, platform: str, auth: AuthConfig | None, target_auth: AuthConfig | None
    ) -> AsyncIterator[Progress]: ...


class RegistryRoutes:
    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/images/search", self.search),
            Route("GET", "/distribution/{name*}/json", self.look),
            Route("GET", "/cove/registry/manifests/{name*}", self.manifest),
            Route("PUT", "/cove/registry/manifests/{name*}", self.put_manifest),
            Route("GET", "/cove/registry/referrers/{name*}", self.referrers),
            Route("POST", "/cove/registry/copy", self.copy, stream=True),
        )

    async def search(self, request: Request) -> web.Response:
        term = request.text("term")
        if not term:
            raise InvalidArgument("invalid value for term: it is empty")
        limit = request.integer("limit", 25)
        if not 1 <= limit <= 100:
            raise InvalidArgument(f"Limit {limit} is outside the range of [1, 100]")
        found = await self._registries.search(
            term, limit=limit, filters=request.filters(), auth=request.registry_auth()
        )
        return reply(found, request.version)

    async def look(self, request: Request) -> web.Response:
        found = await self._registries.look(request.variable("name"), auth=request.registry_auth())
        return reply(found, request.version)

    async def manifest(self, request: Request) -> web.Response:
        found = await self._registries.manifest(request.variable("name"), auth=request.registry_auth())
        headers = {**HEADERS, "Content-Type": found.media_type, "Docker-Content-Digest": found.digest}
        return web.Response(body=found.body, headers=headers)

    async def put_manifest(self, request: Request) -> web.Response:
        body = bytearray()
        async for chunk in request.chunks():
            body += chunk
            if len(body) > MAX_MANIFEST:
                raise InvalidArgument(f"the manifest is larger than {MAX_MANIFEST} bytes")
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        manifest = Manifest(request.raw.content_type, digest, bytes(body))
        await self._registries.put_manifest(request.variable("name"), manifest, auth=request.registry_auth())
        return raw_reply({"Digest": digest}, 201)

    async def referrers(self, request: Request) -> web.Response:
        found = await self._registries.referrers(
            request.variable("name"), artifact_type=request.text("type"), auth=request.registry_auth()
        )
        return raw_reply(found)

    async def copy(self, request: Request) -> web.StreamResponse:
        source, target = request.text("from"), request.text("to")
        for name, value in (("from", source), ("to", target)):
            if not value:
                raise InvalidArgument(f"invalid value for {name}: it is empty")
        progress = self._registries.copy(
            source,
            target,
            platform=request.text("platform"),
            auth=request.registry_auth(),
            target_auth=request.registry_auth(TARGET_AUTH),
        )
        return await json_lines(request, progress)
