"""Routes of containers as records: create, list, inspect, rename, update, remove, prune, top, diff, commit."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.server.reply import empty_reply, raw_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import json_array
from cove.wire.coding import decode
from cove.wire.config import Config
from cove.wire.containers import (
    Change,
    CommitOptions,
    ContainerCreate,
    ContainerCreated,
    ContainerInspect,
    ContainersPruned,
    ContainerSummary,
    ContainerTop,
    ContainerUpdate,
    ContainerUpdated,
    PublishedEdit,
)


class Containers(Protocol):
    """``ref`` is an id, a unique prefix of one, or a name, everywhere in this package. NotFound when there is none."""

    async def create(self, request: ContainerCreate, *, name: str, platform: str) -> ContainerCreated:
        """``name`` and ``platform`` may be empty. Raises Conflict (name), InvalidArgument, NotFound (image)."""

    async def list(self, *, all: bool, limit: int, size: bool, filters: Filters) -> Sequence[ContainerSummary]:
        """Newest first. ``limit``: the last so many, 0 is all; it implies ``all``. Raises InvalidArgument (filter)."""

    async def inspect(self, ref: str, *, size: bool) -> ContainerInspect: ...

    async def rename(self, ref: str, name: str) -> None:
        """Raises Conflict (taken), InvalidArgument."""

    async def update(self, ref: str, request: ContainerUpdate) -> ContainerUpdated: ...

    async def remove(self, ref: str, *, force: bool, volumes: bool, link: bool, now: bool) -> None:
        """``now``: past the trash. Raises Conflict when it runs and ``force`` is not set."""

    async def prune(self, filters: Filters, *, now: bool) -> ContainersPruned: ...

    async def top(self, ref: str, ps_args: str) -> ContainerTop:
        """Raises Conflict when it does not run."""

    async def changes(self, ref: str) -> AsyncIterator[Sequence[Change]]:
        """Some at a time: there may be a million."""

    async def commit(self, options: CommitOptions) -> str:
        """The id of the new image."""


SEVERAL_NETWORKS = (1, 44)
"""The first version of the API in which a container can be created with several networks."""


def _check_endpoints(asked: ContainerCreate, version: tuple[int, int]) -> None:
    names = asked.networking_config.endpoints_config or {}
    if len(names) > 1 and version < SEVERAL_NETWORKS:
        raise InvalidArgument(f"Container cannot be connected to network endpoints: {', '.join(sorted(names))}")


class ContainerRoutes:
    def __init__(self, containers: Containers) -> None:
        self._containers = containers

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/containers/json", self.list),
            Route("POST", "/containers/create", self.create),
            Route("POST", "/containers/prune", self.prune),
            Route("GET", "/containers/{id}/json", self.inspect),
            Route("GET", "/containers/{id}/top", self.top),
            Route("GET", "/containers/{id}/changes", self.changes),
            Route("POST", "/containers/{id}/rename", self.rename),
            Route("POST", "/containers/{id}/update", self.update),
            Route("POST", "/cove/containers/{id}/ports", self.publish),
            Route("DELETE", "/containers/{id*}", self.remove),
            Route("POST", "/commit", self.commit),
        )

    async def list(self, request: Request) -> web.Response:
        containers = await self._containers.list(
            all=request.flag("all"),
            limit=max(request.integer("limit"), 0),
            size=request.flag("size"),
            filters=request.filters(),
        )
        return reply(containers, request.version)

    async def create(self, request: Request) -> web.Response:
        body = await request.body()
        if not body:
            raise InvalidArgument("invalid JSON: got EOF while reading request body")
        asked = request.decoded(body, ContainerCreate)
        _check_endpoints(asked, request.version)
        created = await self._containers.create(asked, name=request.text("name"), platform=request.text("platform"))
        return reply(created, request.version, status=201)

    async def inspect(self, request: Request) -> web.Response:
        found = await self._containers.inspect(request.variable("id"), size=request.flag("size"))
        return reply(found, request.version)

    async def rename(self, request: Request) -> web.Response:
        await self._containers.rename(request.variable("id"), request.text("name"))
        return empty_reply()

    async def update(self, request: Request) -> web.Response:
        updated = await self._containers.update(request.variable("id"), await request.json(ContainerUpdate))
        return reply(updated, request.version)

    async def publish(self, request: Request) -> web.Response:
        """What an update does to published ports alone, under a path that is ours. An edit of nothing is refused."""
        edit = await request.json(PublishedEdit)
        if not (edit.add or edit.remove):
            raise InvalidArgument("Add or Remove must name a port")
        update = ContainerUpdate(publish_add=edit.add, publish_remove=edit.remove)
        return reply(await self._containers.update(request.variable("id"), update), request.version)

    async def remove(self, request: Request) -> web.Response:
        await self._containers.remove(
            request.variable("id"),
            force=request.flag("force"),
            volumes=request.flag("v"),
            link=request.flag("link"),
            now=request.flag("now"),
        )
        return empty_reply()

    async def prune(self, request: Request) -> web.Response:
        return reply(await self._containers.prune(request.filters(), now=request.flag("now")), request.version)

    async def top(self, request: Request) -> web.Response:
        return reply(await self._containers.top(request.variable("id"), request.text("ps_args")), request.version)

    async def changes(self, request: Request) -> web.StreamResponse:
        return await json_array(request, await self._containers.changes(request.variable("id")))

    async def commit(self, request: Request) -> web.Response:
        body = await request.body()
        options = CommitOptions(
            container=request.text("container"),
            repo=request.text("repo"),
            tag=request.text("tag"),
            comment=request.text("comment"),
            author=request.text("author"),
            pause=request.flag("pause", True),
            changes=request.texts("changes"),
            config=decode(body, Config, request.version) if body.strip() not in (b"", b"null") else None,
        )
        return raw_reply({"Id": await self._containers.commit(options)}, status=201)
