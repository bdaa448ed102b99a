"""The API's requests that bring images in and out: load, save, import, bootstrap; pull and push are to come."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from cove.engine.events import Events
from cove.engine.images import attributes, reference_of
from cove.errors import InvalidArgument, Unimplemented
from cove.images import Image, Loaded, LoadProgress
from cove.images import Images as ImageStore
from cove.images.bootstrap import Options, Root
from cove.images.bootstrap import Progress as Step
from cove.images.bootstrap import run as make_root
from cove.platform import Platform
from cove.reference import Reference
from cove.wire.images import AuthConfig, Progress, ProgressDetail

STEP = 1 << 20
"""Bytes between two lines of progress of one thing."""


class Transfers:
    """Moves images over the API. ``work_dir``: where files that are not whole yet may lie."""

    def __init__(self, store: ImageStore, events: Events, work_dir: Path) -> None:
        self._store = store
        self._events = events
        self._work_dir = work_dir

    async def load(self, chunks: AsyncIterator[bytes], *, quiet: bool, platform: str) -> AsyncIterator[Progress]:
        wanted = Platform.parse(platform) if platform else None
        async for item in self._store.load(chunks, wanted):
            if isinstance(item, Loaded):
                image = self._store.get(item.image)
                self._events.publish("image", "load", image.id, attributes(image, image.id))
                for line in _loaded(item):
                    yield line
            elif not quiet:
                yield _layer(item)

    async def save(self, names: list[str], *, platform: str) -> AsyncIterator[bytes]:
        if not names:
            raise InvalidArgument("no image to save is named")
        stream = self._store.save(names)
        for name in names:
            image = self._store.resolve(name)
            self._events.publish("image", "save", image.id, attributes(image, image.id))
        return stream

    async def import_(
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
        if source != "-":
            raise Unimplemented("import from a URL is not supported yet: pipe the archive in instead")
        image = await self._store.import_(
            chunks,
            reference=reference_of(repo, tag),
            message=message,
            changes=changes,
            platform=Platform.parse(platform) if platform else None,
            source=source,
        )
        reference = reference_of(repo, tag)
        if reference is not None:
            self._events.publish("image", "tag", image.id, attributes(image, reference.with_default_tag().familiar))
        self._events.publish("image", "import", image.id, attributes(image, image.id))
        yield Progress(status=image.id)

    async def pull(self, image: str, *, tag: str, platform: str, auth: AuthConfig | None) -> AsyncIterator[Progress]:
        name = f"{image}:{tag}" if tag else image
        raise Unimplemented(f"pull of {name}: registries are not supported yet; use load, import or image bootstrap")
        yield Progress()

    async def push(self, name: str, *, tag: str, platform: str, auth: AuthConfig | None) -> AsyncIterator[Progress]:
        raise Unimplemented(f"push of {name}: registries are not supported yet; use save")
        yield Progress()

    async def bootstrap(
        self, recipe: str, *, tag: str, mirror: str, suite: str, keyring: str, platform: str
    ) -> AsyncIterator[Progress]:
        if platform:
            raise Unimplemented("bootstrap for another platform is not supported yet")
        reference = Reference.parse(tag or recipe)
        options = Options(mirror=mirror, suite=suite, keyring=keyring, work_dir=self._work_dir)
        lines: asyncio.Queue[Progress] = asyncio.Queue()

        def report(item: Step) -> None:
            detail = ProgressDetail(current=item.current, total=item.total) if item.total else None
            lines.put_nowait(Progress(status=item.status, id=item.id, progress_detail=detail))

        async for line in _with_progress(self._bootstrap(recipe, options, reference, report), lines):
            yield line

    async def _bootstrap(
        self, recipe: str, options: Options, reference: Reference, report: Callable[[Step], None]
    ) -> Progress:
        root = await make_root(recipe, options, report)
        try:
            image = await self._made(root, reference)
        finally:
            await asyncio.to_thread(root.close)
        self._events.publish("image", "import", image.id, {"name": reference.with_default_tag().familiar})
        return Progress(status=f"Made {reference.with_default_tag().familiar}", aux={"ID": image.id})

    async def _made(self, root: Root, reference: Reference) -> Image:
        return await self._store.import_(
            root.chunks(),
            reference=reference,
            message=f"cove image bootstrap {root.recipe}",
            changes=root.changes(),
            platform=Platform("linux", root.architecture, root.variant),
            created=root.created,
        )


async def _with_progress(
    work: Coroutine[Any, Any, Progress], lines: "asyncio.Queue[Progress]"
) -> AsyncIterator[Progress]:
    """The lines that the work queues while it goes on, and then the one that it returns."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(lines.get())
    try:
        while True:
            await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
            while waiting.done():
                yield waiting.result()
                waiting = asyncio.ensure_future(lines.get())
                await asyncio.sleep(0)
            if task.done() and lines.empty():
                yield task.result()
                return
    finally:
        waiting.cancel()
        task.cancel()


def _layer(item: LoadProgress) -> Progress:
    return Progress(
        status="Loading layer",
        id=item.layer,
        progress_detail=ProgressDetail(current=item.current, total=item.total),
    )


def _loaded(item: Loaded) -> list[Progress]:
    lines = []
    if item.replaced:
        renamed = f"renaming the old one with ID {item.replaced} to empty string"
        lines.append(Progress(stream=f"The image {item.reference} already exists, {renamed}\n"))
    what = f"Loaded image: {item.reference}" if item.reference else f"Loaded image ID: {item.image}"
    return [*lines, Progress(stream=f"{what}\n")]
