"""The API's requests about builds: build, prune and cancel."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

import msgspec

from cove.build.builder import Builder, Request
from cove.build.cache.cache_mounts import CacheMounts
from cove.build.cache.pruning import Pruning, Usage, prunable
from cove.build.outputs.assembling import moment
from cove.build.outputs.outputs import Built
from cove.build.planning.graph import Context
from cove.build.progress.progress import Event
from cove.build.solving.executors import StepFailed
from cove.engine.builds.bases import BuildBases
from cove.engine.builds.contexts import BuildContexts
from cove.engine.builds.lending import Lending, Lent
from cove.engine.builds.passing import Passing
from cove.engine.builds.requests import build_request, request_names
from cove.engine.builds.telling import telling
from cove.engine.events.events import Events
from cove.engine.images.images import attributes
from cove.errors import Cancelled, CoveError
from cove.filters import Filters
from cove.images import Image, Images
from cove.reference import Reference
from cove.wire.builds import BuildCachePruned, BuildCacheRecord, BuildOptions, CacheMountsImported
from cove.wire.images import ErrorDetail, Progress
from cove.wire.streams import Stream

RESULT, DEBUG = "cove.result", "cove.debug"
"""Ids of lines of the stream that our client asks for; what they say is in ``aux``. The result is the last one."""


class Builds:
    """Builds images, and shows how it goes."""

    def __init__(
        self,
        builder: Builder,
        images: Images,
        events: Events,
        bases: BuildBases,
        lending: Lending,
        contexts: BuildContexts,
        mounts: CacheMounts,
        passing: Passing,
    ) -> None:
        self._builder = builder
        self._events = events
        self._bases = bases
        self._lending = lending
        self._bounding: asyncio.Future[None] | None = None
        self._contexts = contexts
        self._mounts = mounts
        self._passing = passing
        self._pruning = Pruning(builder.cache, images, contexts.kept)
        self._running: dict[str, asyncio.Task[Built]] = {}

    async def build(self, chunks: AsyncIterator[bytes], options: BuildOptions) -> AsyncIterator[Progress]:
        request = build_request(options)
        try:
            async with contextlib.aclosing(self._lines(request, chunks, options)) as lines:
                async for line in lines:
                    yield line
            if self._passing.leaves(options):
                await asyncio.Event().wait()  # for the client to fetch what was made, and to go
        finally:
            await asyncio.shield(self._passing.end(options.build, options.cache_from))

    async def _lines(
        self, request: Request, chunks: AsyncIterator[bytes], options: BuildOptions
    ) -> AsyncGenerator[Progress, None]:
        async with self._builder.directory() as scratch:
            with self._lending.taken(options.build) as lent:
                async with self._contexts.of(request, options, chunks, scratch) as (whole, contexts):
                    named = lent.contexts if lent is not None else {}
                    built = self._built(whole, {**contexts, **named}, options, scratch, lent)
                    async with contextlib.aclosing(built) as lines:
                        async for line in lines:
                            yield line

    async def _built(
        self,
        request: Request,
        contexts: dict[str, Context],
        options: BuildOptions,
        scratch: Path,
        lent: Lent | None,
    ) -> AsyncGenerator[Progress, None]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        images = lent.images if lent else {}
        bases, request = self._bases.of(options, images), replace(request, named=frozenset(images))
        work = asyncio.ensure_future(self._builder.build(request, contexts, bases, scratch, queue.put_nowait, lent))
        work.add_done_callback(lambda done: queue.put_nowait(None))
        if options.build:
            self._running[options.build] = work
        try:
            async for line in self._shown(queue, work, options):
                yield line
        finally:
            self._running.pop(options.build, None)
            work.cancel()
            await asyncio.wait([work])
            self._bound_cache()

    def _bound_cache(self) -> None:
        """Beside what comes next, forget what has not been used for longest when the cache takes too much."""
        if self._bounding is None or self._bounding.done():
            self._bounding = asyncio.ensure_future(self._pruning.bound())

    async def _shown(
        self, queue: "asyncio.Queue[Event | None]", work: "asyncio.Task[Built]", options: BuildOptions
    ) -> AsyncIterator[Progress]:
        """The events as they come, with what went wrong at the end."""
        told = telling(options)
        begun = False
        while (event := await queue.get()) is not None:
            for line in told.take(event):
                begun = True
                yield line
        for line in told.end():
            begun = True
            yield line
        try:
            built = await work
        except asyncio.CancelledError:
            if not work.cancelled() or options.build not in self._running:
                raise
            raise Cancelled("the build was cancelled") from None
        except CoveError as error:
            if not begun and not isinstance(error, StepFailed):
                raise
            for line in _failure(error):
                yield line
            return
        for line in self._done(built, request_names(options), options):
            yield line

    def _tell(self, image: Image, names: list[Reference]) -> None:
        for name in names:
            self._events.publish("image", "tag", image.id, attributes(image, name.familiar))

    def _done(self, built: Built, names: list[Reference], options: BuildOptions) -> list[Progress]:
        image = built.image
        if image is not None:
            self._tell(image, names if not options.stored_as else [])
        if options.events:
            result = Progress(id=RESULT, aux=built.metadata)
            return [*([Progress(aux={"ID": image.id})] if image is not None else []), result]
        if image is None:
            return []
        short = image.id.removeprefix("sha256:")[:12]
        if options.quiet:
            return [Progress(stream=f"{image.id}\n")]
        told = [Progress(aux={"ID": image.id}), Progress(stream=f"Successfully built {short}\n")]
        return told + [Progress(stream=f"Successfully tagged {name.familiar}\n") for name in names]

    async def prune(self, *, all: bool, reserved: int, filters: Filters) -> BuildCachePruned:
        pruned = await self._pruning.prune(everything=all, reserved=reserved, filters=filters)
        self._events.publish("builder", "prune", "", {"reclaimed": str(pruned.reclaimed)})
        return BuildCachePruned(caches_deleted=pruned.keys or None, space_reclaimed=pruned.reclaimed)

    async def prunable(self, filters: Filters, *, every: bool) -> list[Usage]:
        """What of the cache nobody uses now; ``every``: also what images share."""
        return prunable(await self._pruning.usage(), filters, everything=every)

    async def forget(self, usage: Usage) -> None:
        """Remove a record from the cache."""
        await self._pruning.forget([usage])

    async def usage(self) -> list[BuildCacheRecord]:
        """What is in the cache, the newest first."""
        return [_cache_record(usage) for usage in await self._pruning.usage()]

    def export_mounts(self) -> AsyncIterator[bytes]:
        return self._mounts.archive()

    async def import_mounts(self, chunks: AsyncIterator[bytes]) -> CacheMountsImported:
        return CacheMountsImported(mounts=await self._mounts.take(chunks))

    async def lend_secret(self, build: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        await self._lending.secret(build, name, chunks)

    async def lend_context(self, build: str, name: str, remote: str, chunks: AsyncIterator[bytes]) -> None:
        await self._lending.context(build, name, remote, chunks)

    async def announce_agent(self, build: str, name: str) -> None:
        self._lending.announce(build, name)

    async def agent(self, build: str, name: str) -> Stream:
        return await self._lending.agent(build, name)

    async def cancel(self, build: str) -> None:
        work = self._running.get(build)
        if work is not None:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, CoveError):
                await asyncio.wait([work])


def _failure(error: CoveError) -> Iterable[Progress]:
    """What a build that failed ends with."""
    code = error.exit_code if isinstance(error, StepFailed) else 0
    if isinstance(error, StepFailed) and error.kept is not None:
        told = {"error": error.message, **msgspec.to_builtins(error.kept)}
        yield Progress(id=DEBUG, aux=told)
    yield Progress(error=error.message, error_detail=ErrorDetail(code=code, message=error.message))


def _cache_record(usage: Usage) -> BuildCacheRecord:
    record = usage.record
    parent = record.parts.get("parent")
    return BuildCacheRecord(
        id=record.key[:25],
        parents=[parent] if parent else None,
        type=record.kind,
        description=record.description,
        in_use=usage.in_use,
        shared=usage.shared,
        size=usage.size,
        created_at=moment(record.created),
        last_used_at=moment(record.used),
        usage_count=record.uses,
    )
