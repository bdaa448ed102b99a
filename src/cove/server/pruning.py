"""The route of pruning that tells beforehand, keeps some, and goes by the last use, which is ours."""

from collections.abc import Sequence
from typing import Protocol

from aiohttp import web

from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.server.reply import reply
from cove.server.request import Request
from cove.server.routing import Route
from cove.units import parse_duration
from cove.wire.pruning import PruneReport


class Pruning(Protocol):
    async def plan(
        self,
        kinds: Sequence[str],
        filters: Filters,
        *,
        everything: bool,
        dry_run: bool,
        keep: int,
        unused: int,
        now: bool,
    ) -> PruneReport:
        """``kinds``: none is all. ``keep``: bytes of each that may stay. ``unused``: for so many nanoseconds."""


class PruningRoutes:
    def __init__(self, pruning: Pruning) -> None:
        self._pruning = pruning

    def table(self) -> Sequence[Route]:
        return (Route("POST", "/cove/prune", self.prune),)

    async def prune(self, request: Request) -> web.Response:
        unused = request.text("unusedFor")
        keep = request.integer("keepBytes")
        if keep < 0:
            raise InvalidArgument("keepBytes: is negative")
        report = await self._pruning.plan(
            request.texts("kind"),
            request.filters(),
            everything=request.flag("all"),
            dry_run=request.flag("dryRun"),
            keep=keep,
            unused=parse_duration(unused) if unused else 0,
            now=request.flag("now"),
        )
        return reply(report, request.version)
