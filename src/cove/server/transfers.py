"""Routes that bring images in and out: load, save, import, pull, push."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.server.reply import HEADERS
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import byte_stream, json_lines
from cove.wire.images import AuthConfig, Progress


class Transfers(Protocol):
    """Progress streams: an error that is raised after the first item becomes the stream's last line."""

    def load(self, chunks: AsyncIterator[bytes], *, quiet: bool, platforms: Sequence[str]) -> AsyncIterator[Progress]:
        """``platforms``: each as OCI JSON, or ``os/architecture``; all that are there when empty. For ``save`` too."""

    async def save(self, names: list[str], *, platforms: Sequence[str], called: Sequence[str]) -> AsyncIterator[bytes]:
        """A tar. ``called``: ours, names for the archive in place of those here. Raises NotFound at once."""

    def import_(
        self,
        chunks: AsyncIterator[bytes],
        *,
        source: str,
        repo: str,
        tag: str,
        message: str,
        changes: list[str],
        platform: str,
    ) -> AsyncIterator[Progress]:
        """``source``: ``-`` for the body, else a URL (``chunks`` is empty then)."""

    def pull(self, image: str, *, tag: str, platform: str, auth: AuthConfig | None) -> AsyncIterator[Progress]:
        """``tag``: a tag or a digest; empty with a name that has none is every tag."""

    def push(self, name: str, *, tag: str, platform: str, auth: AuthConfig | None) -> AsyncIterator[Progress]: ...


TAR = "application/x-tar"


class TransferRoutes:
    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers

    def table(self) -> Sequence[Route]:
        return (
            Route("POST", "/images/load", self.load, stream=True),
            Route("GET", "/images/get", self.save),
            Route("GET", "/images/{name*}/get", self.save),
            Route("POST", "/images/create", self.create, stream=True),
            Route("POST", "/images/{name*}/push", self.push, stream=True),
        )

    async def load(self, request: Request) -> web.StreamResponse:
        progress = self._transfers.load(
            request.chunks(), quiet=request.flag("quiet"), platforms=request.texts("platform")
        )
        return await json_lines(request, progress)

    async def save(self, request: Request) -> web.StreamResponse:
        one = request.variables.get("name")
        names = [one] if one else request.texts("names")
        if not names:
            raise InvalidArgument("invalid value for names: no image was named")
        platforms, called = request.texts("platform"), request.texts("as")
        chunks = await self._transfers.save(names, platforms=platforms, called=called)
        return await byte_stream(request, chunks, {**HEADERS, "Content-Type": TAR})

    async def create(self, request: Request) -> web.StreamResponse:
        """Pull (``fromImage``) or import (``fromSrc``)."""
        image = request.text("fromImage")
        if image:
            progress = self._transfers.pull(
                image, tag=request.text("tag"), platform=request.text("platform"), auth=request.registry_auth()
            )
            return await json_lines(request, progress)
        return await json_lines(request, self._import(request))

    def _import(self, request: Request) -> AsyncIterator[Progress]:
        source = request.text("fromSrc")
        if not source:
            raise InvalidArgument("invalid value for fromImage: neither fromImage nor fromSrc is given")
        return self._transfers.import_(
            request.chunks(),
            source=source,
            repo=request.text("repo"),
            tag=request.text("tag"),
            message=request.text("message"),
            changes=request.texts("changes"),
            platform=request.text("platform"),
        )

    async def push(self, request: Request) -> web.StreamResponse:
        progress = self._transfers.push(
            request.variable("name"),
            tag=request.text("tag"),
            platform=request.text("platform"),
            auth=request.registry_auth(),
        )
        return await json_lines(request, progress)
