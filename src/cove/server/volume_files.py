"""Routes into the files of a volume, which are ours: list a directory, copy out and in. No container is needed."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from cove.server.archives import STAT_HEADER, TAR, encoded_stat, path_of
from cove.server.reply import HEADERS, empty_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import byte_stream
from cove.wire.containers import PathStat
from cove.wire.volume_copies import VolumeFile


class VolumeFiles(Protocol):
    """``tag``: of a snapshot, which can only be read; empty is the volume itself."""

    async def list(self, name: str, path: str, tag: str) -> Sequence[VolumeFile]:
        """What is in a directory, or the one thing at the path. Raises NotFound."""

    async def stat(self, name: str, path: str, tag: str) -> PathStat: ...

    async def get(self, name: str, path: str, tag: str) -> tuple[PathStat, AsyncIterator[bytes]]:
        """The path as a tar."""

    async def put(self, name: str, path: str, chunks: AsyncIterator[bytes]) -> None:
        """Unpack a tar in a directory of the volume."""


class VolumeFileRoutes:
    def __init__(self, files: VolumeFiles) -> None:
        self._files = files

    def table(self) -> Sequence[Route]:
        return (
            Route("GET", "/cove/volumes/{name}/files", self.list),
            Route("HEAD", "/cove/volumes/{name}/archive", self.stat),
            Route("GET", "/cove/volumes/{name}/archive", self.get),
            Route("PUT", "/cove/volumes/{name}/archive", self.put, stream=True),
        )

    async def list(self, request: Request) -> web.Response:
        found = await self._files.list(request.variable("name"), request.text("path", "/"), request.text("tag"))
        return reply(found, request.version)

    async def stat(self, request: Request) -> web.Response:
        found = await self._files.stat(request.variable("name"), path_of(request), request.text("tag"))
        return web.Response(headers={**HEADERS, STAT_HEADER: encoded_stat(found)})

    async def get(self, request: Request) -> web.StreamResponse:
        found, chunks = await self._files.get(request.variable("name"), path_of(request), request.text("tag"))
        headers = {**HEADERS, STAT_HEADER: encoded_stat(found), "Content-Type": TAR}
        return await byte_stream(request, chunks, headers)

    async def put(self, request: Request) -> web.Response:
        await self._files.put(request.variable("name"), path_of(request), request.chunks())
        return empty_reply(200)
