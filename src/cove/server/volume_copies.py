"""Routes of copies of volumes, which are ours: rename, clone, snapshots, differences, backups."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec
from aiohttp import web

from cove.server.reply import HEADERS, empty_reply, reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import byte_stream, json_lines
from cove.wire.containers import Change
from cove.wire.volume_copies import Stillness, VolumeCloned, VolumeRestored, VolumeSnapshot
from cove.wire.volumes import Volume

PAUSED_HEADER = "X-Cove-Paused"
"""JSON of ``Stillness``, of a backup."""


class VolumeCopies(Protocol):
    """A running container that uses a volume is a Conflict for what changes it, and paused while it is copied."""

    async def rename(self, name: str, new: str) -> Volume: ...

    async def clone(self, name: str, new: str) -> VolumeCloned: ...

    async def snapshots(self, name: str) -> Sequence[VolumeSnapshot]:
        """The oldest first."""

    async def snapshot(self, name: str, tag: str) -> VolumeSnapshot:
        """An empty tag is made up."""

    async def remove_snapshot(self, name: str, tag: str) -> None: ...

    async def restore(self, name: str, tag: str) -> VolumeRestored: ...

    async def changes(self, name: str, old: str, new: str) -> AsyncIterator[Change]:
        """Between two snapshots; an empty ``new`` is the volume as it is."""

    async def back_up(self, name: str, tag: str) -> tuple[AsyncIterator[bytes], Stillness]:
        """A tar.zst of the volume or of a snapshot."""

    async def restore_backup(self, name: str, chunks: AsyncIterator[bytes]) -> VolumeRestored:
        """``chunks``: a tar, compressed or not. The volume is made when it is not there."""


class VolumeCopyRoutes:
    def __init__(self, copies: VolumeCopies) -> None:
        self._copies = copies

    def table(self) -> Sequence[Route]:
        return (
            Route("POST", "/cove/volumes/{name}/rename", self.rename),
            Route("POST", "/cove/volumes/{name}/clone", self.clone),
            Route("GET", "/cove/volumes/{name}/snapshots", self.snapshots),
            Route("POST", "/cove/volumes/{name}/snapshots", self.snapshot),
            Route("DELETE", "/cove/volumes/{name}/snapshots/{tag}", self.remove_snapshot),
            Route("POST", "/cove/volumes/{name}/snapshots/{tag}/restore", self.restore),
            Route("GET", "/cove/volumes/{name}/changes", self.changes),
            Route("GET", "/cove/volumes/{name}/backup", self.back_up),
            Route("PUT", "/cove/volumes/{name}/backup", self.restore_backup, stream=True),
        )

    async def rename(self, request: Request) -> web.Response:
        return reply(await self._copies.rename(request.variable("name"), request.text("name")), request.version)

    async def clone(self, request: Request) -> web.Response:
        made = await self._copies.clone(request.variable("name"), request.text("name"))
        return reply(made, request.version, status=201)

    async def snapshots(self, request: Request) -> web.Response:
        return reply(await self._copies.snapshots(request.variable("name")), request.version)

    async def snapshot(self, request: Request) -> web.Response:
        made = await self._copies.snapshot(request.variable("name"), request.text("tag"))
        return reply(made, request.version, status=201)

    async def remove_snapshot(self, request: Request) -> web.Response:
        await self._copies.remove_snapshot(request.variable("name"), request.variable("tag"))
        return empty_reply()

    async def restore(self, request: Request) -> web.Response:
        restored = await self._copies.restore(request.variable("name"), request.variable("tag"))
        return reply(restored, request.version)

    async def changes(self, request: Request) -> web.StreamResponse:
        """JSON, line by line: there may be a million."""
        found = await self._copies.changes(request.variable("name"), request.text("from"), request.text("to"))
        return await json_lines(request, found)

    async def back_up(self, request: Request) -> web.StreamResponse:
        chunks, paused = await self._copies.back_up(request.variable("name"), request.text("tag"))
        headers = {"Content-Type": "application/zstd", PAUSED_HEADER: msgspec.json.encode(paused).decode()}
        return await byte_stream(request, chunks, {**HEADERS, **headers})

    async def restore_backup(self, request: Request) -> web.Response:
        restored = await self._copies.restore_backup(request.variable("name"), request.chunks())
        return reply(restored, request.version)
