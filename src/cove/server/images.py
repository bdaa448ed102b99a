"""Routes of images as records: list, inspect, history, tag, remove, prune."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.server.reply import empty_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.images import (
    AttestationStatement,
    ImageDeleted,
    ImageHistory,
    ImageInspect,
    ImagesPruned,
    ImageSummary,
)

EMPTY_FIELDS: Sequence[tuple[tuple[int, int], dict[str, object]]] = (
    (
        (1, 52),
        dict.fromkeys(("User", "WorkingDir"), "")
        | dict.fromkeys(("Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "Volumes")),
    ),
    (
        (1, 50),
        dict.fromkeys(("Domainname", "Hostname", "Image"), "")
        | dict.fromkeys(("AttachStderr", "AttachStdin", "AttachStdout", "OpenStdin", "StdinOnce", "Tty"), False),
    ),
)
"""What older versions of the API show of an image's configuration even when it is empty: until which, and what."""


class Images(Protocol):
    """``name`` is an id, a prefix of one, ``repo``, ``repo:tag`` or ``repo@digest``. NotFound when there is none."""

    async def list(
        self, *, all: bool, filters: Filters, shared_size: bool, manifests: bool, identity: bool
    ) -> Sequence[ImageSummary]: ...

    async def inspect(self, name: str, *, platform: str, manifests: bool) -> ImageInspect:
        """``platform``, here and below: OCI JSON, or ``os/architecture``; empty is the best for this machine."""

    async def attestations(
        self, name: str, *, platform: str, types: Sequence[str], statement: bool
    ) -> Sequence[AttestationStatement]:
        """``types``: of predicates, all when empty. ``statement``: with the statements themselves."""

    async def history(self, name: str, *, platform: str) -> Sequence[ImageHistory]: ...

    async def tag(self, name: str, *, repo: str, tag: str) -> None: ...

    async def remove(self, name: str, *, force: bool, prune: bool, platforms: Sequence[str]) -> Sequence[ImageDeleted]:
        """``prune``: remove parents without a name too. ``platforms``: these only, all when empty.

        Raises Conflict when containers use it.
        """

    async def prune(self, filters: Filters) -> ImagesPruned: ...


class ImageRoutes:
    def __init__(self, images: Images) -> None:
        self._images = images

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/images/json", self.list),
            Route("POST", "/images/prune", self.prune),
            Route("GET", "/images/{name*}/json", self.inspect),
            Route("GET", "/images/{name*}/history", self.history),
            Route("GET", "/images/{name*}/attestations", self.attestations),
            Route("POST", "/images/{name*}/tag", self.tag),
            Route("DELETE", "/images/{name*}", self.remove),
        )

    async def list(self, request: Request) -> web.Response:
        images = await self._images.list(
            all=request.flag("all"),
            filters=request.filters(),
            shared_size=request.flag("shared-size"),
            manifests=request.flag("manifests"),
            identity=request.flag("identity"),
        )
        return reply(images, request.version)

    async def inspect(self, request: Request) -> web.Response:
        found = await self._images.inspect(
            request.variable("name"), platform=request.text("platform"), manifests=request.flag("manifests")
        )
        for until, fields in EMPTY_FIELDS:
            if request.version < until:
                found.config = {**fields, **(found.config or {})}
        return reply(found, request.version)

    async def history(self, request: Request) -> web.Response:
        found = await self._images.history(request.variable("name"), platform=request.text("platform"))
        return reply(found, request.version)

    async def attestations(self, request: Request) -> web.Response:
        platforms = request.texts("platform")
        if len(platforms) > 1:
            raise InvalidArgument("invalid value for platform: it is given more than once")
        found = await self._images.attestations(
            request.variable("name"),
            platform=platforms[0] if platforms else "",
            types=request.texts("type"),
            statement=request.flag("statement"),
        )
        return reply(found, request.version)

    async def tag(self, request: Request) -> web.Response:
        await self._images.tag(request.variable("name"), repo=request.text("repo"), tag=request.text("tag"))
        return empty_reply(201)

    async def remove(self, request: Request) -> web.Response:
        removed = await self._images.remove(
            request.variable("name"),
            force=request.flag("force"),
            prune=not request.flag("noprune"),
            platforms=request.texts("platforms"),
        )
        return reply(removed, request.version)

    async def prune(self, request: Request) -> web.Response:
        return reply(await self._images.prune(request.filters()), request.version)
