"""Routes that move a container's files: archive (``docker cp``) and export."""

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec
from aiohttp import web

from cove.errors import InvalidArgument
from cove.server.reply import HEADERS, empty_reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import byte_stream
from cove.wire.containers import PathStat


class Archives(Protocol):
    async def stat(self, ref: str, path: str) -> PathStat:
        """Raises NotFound for the path as well."""

    async def get(self, ref: str, path: str, name: str = "") -> tuple[PathStat, AsyncIterator[bytes]]:
        """The path as a tar, whose root has this name, or its own."""

    async def put(
        self, ref: str, path: str, chunks: AsyncIterator[bytes], *, no_overwrite_dir_non_dir: bool, copy_uid_gid: bool
    ) -> None:
        """Unpack a tar, compressed or not, in the directory ``path``."""

    async def export(self, ref: str) -> AsyncIterator[bytes]:
        """The container's whole file system as a tar."""


STAT_HEADER = "X-Docker-Container-Path-Stat"
TAR = "application/x-tar"


class ArchiveRoutes:
    def __init__(self, archives: Archives) -> None:
        self._archives = archives

    def table(self) -> Sequence[Route]:
        return (
            Route("HEAD", "/containers/{id}/archive", self.stat),
            Route("GET", "/containers/{id}/archive", self.get),
            Route("PUT", "/containers/{id}/archive", self.put, stream=True),
            Route("GET", "/containers/{id}/export", self.export),
        )

    async def stat(self, request: Request) -> web.Response:
        found = await self._archives.stat(request.variable("id"), path_of(request))
        return web.Response(headers={**HEADERS, STAT_HEADER: encoded_stat(found)})

    async def get(self, request: Request) -> web.StreamResponse:
        found, chunks = await self._archives.get(request.variable("id"), path_of(request), request.text("rootName"))
        return await byte_stream(request, chunks, {**HEADERS, STAT_HEADER: encoded_stat(found), "Content-Type": TAR})

    async def put(self, request: Request) -> web.Response:
        await self._archives.put(
            request.variable("id"),
            path_of(request),
            request.chunks(),
            no_overwrite_dir_non_dir=request.flag("noOverwriteDirNonDir"),
            copy_uid_gid=request.flag("copyUIDGID"),
        )
        return empty_reply(200)

    async def export(self, request: Request) -> web.StreamResponse:
        chunks = await self._archives.export(request.variable("id"))
        return await byte_stream(request, chunks, {**HEADERS, "Content-Type": "application/octet-stream"})


def path_of(request: Request) -> str:
    """Raises InvalidArgument when it is empty."""
    path = request.text("path")
    if not path:
        raise InvalidArgument("path cannot be empty")
    return path


def encoded_stat(found: PathStat) -> str:
    """For the header: base64 of JSON."""
    return base64.b64encode(msgspec.json.encode(found)).decode()
