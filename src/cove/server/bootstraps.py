"""Routes that make images without a registry: of a distribution's packages, and smaller ones of others."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.server.request import Request
from cove.server.routing import Route
from cove.server.streaming import json_lines
from cove.wire.bootstrap import BootstrapOptions, SlimOptions
from cove.wire.images import Progress


class Bootstraps(Protocol):
    """Progress streams: an error that is raised after the first item becomes the stream's last line."""

    def bootstrap(self, recipe: str, options: BootstrapOptions) -> AsyncIterator[Progress]: ...


class Slimming(Protocol):
    def slim(self, name: str, options: SlimOptions) -> AsyncIterator[Progress]: ...


class BootstrapRoutes:
    def __init__(self, bootstraps: Bootstraps, slimming: Slimming) -> None:
        self._bootstraps = bootstraps
        self._slimming = slimming

    def table(self) -> Sequence[Route]:
        return (
            Route("POST", "/cove/images/bootstrap", self.bootstrap, stream=True),
            Route("POST", "/cove/images/slim", self.slim, stream=True),
        )

    async def bootstrap(self, request: Request) -> web.StreamResponse:
        recipe = request.text("recipe")
        if not recipe:
            raise InvalidArgument("invalid value for recipe: it is empty")
        options = BootstrapOptions(
            tag=request.text("tag"),
            mirror=request.text("mirror"),
            suite=request.text("suite"),
            keyring=request.text("keyring"),
            platform=request.text("platform"),
            variant=request.text("variant"),
            include=request.texts("include"),
            snapshot=request.text("snapshot"),
        )
        return await json_lines(request, self._bootstraps.bootstrap(recipe, options))

    async def slim(self, request: Request) -> web.StreamResponse:
        image = request.text("image")
        if not image:
            raise InvalidArgument("invalid value for image: it is empty")
        options = SlimOptions(
            tag=request.text("tag"),
            probe=request.texts("probe"),
            keep=request.texts("keep"),
            keep_package=request.texts("keepPackage"),
            seconds=float(request.integer("seconds", 0)),
        )
        return await json_lines(request, self._slimming.slim(image, options))
