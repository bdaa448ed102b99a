"""Routes that look into images, which are ours: verify, files, differences, waste."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.server.reply import reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.wire.image_contents import ImageDifference, ImageFile, ImagesVerified, ImageWaste


class ImageContents(Protocol):
    """Images are named as for ``inspect``. Raises NotFound."""

    async def verify(self, names: Sequence[str], *, repair: bool) -> ImagesVerified:
        """Read blobs and layers of these images, of all when none is named. ``repair``: make of them what can be."""

    async def files(self, name: str, path: str) -> Sequence[ImageFile]:
        """What is at a path and below it, sorted; all when the path is empty."""

    async def diff(self, before: str, after: str) -> ImageDifference: ...

    async def waste(self, name: str) -> ImageWaste: ...


class ImageContentsRoutes:
    def __init__(self, contents: ImageContents) -> None:
        self._contents = contents

    def table(self) -> Sequence[Route]:
        return (
            Route("POST", "/cove/images/verify", self.verify),
            Route("GET", "/cove/images/files", self.files),
            Route("GET", "/cove/images/diff", self.diff),
            Route("GET", "/cove/images/waste", self.waste),
        )

    async def verify(self, request: Request) -> web.Response:
        found = await self._contents.verify(request.texts("name"), repair=request.flag("repair"))
        return reply(found, request.version)

    async def files(self, request: Request) -> web.Response:
        return reply(await self._contents.files(_named(request, "name"), request.text("path")), request.version)

    async def diff(self, request: Request) -> web.Response:
        found = await self._contents.diff(_named(request, "before"), _named(request, "after"))
        return reply(found, request.version)

    async def waste(self, request: Request) -> web.Response:
        return reply(await self._contents.waste(_named(request, "name")), request.version)


def _named(request: Request, parameter: str) -> str:
    name = request.text(parameter)
    if not name:
        raise InvalidArgument(f"invalid value for {parameter}: no image was named")
    return name
