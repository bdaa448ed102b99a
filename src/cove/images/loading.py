"""``docker load``: an archive of images, spooled to files, to images."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from cove.images import archive_in
from cove.images.catalog import short_id
from cove.images.inventory import Inventory
from cove.images.making import Named, Parts, make, parse_config
from cove.images.records import Loaded, LoadProgress
from cove.layers import Worker
from cove.layers.tar.reader import Limits
from cove.layers.worker.jobs import Spool, SpoolDone
from cove.platform import Platform
from cove.reference import Reference

MAX_MEMBERS = 20_000
_PREFIX = "load-"
_ATTEMPTS = 100
"""At removing a directory that somebody still writes to; what is left then is the next start's."""

Report = Callable[[LoadProgress | Loaded], None]


def collect(data_root: Path) -> None:
    """Remove what a stopped daemon was loading. Its worker may still be writing, and ends at once."""
    for directory in (data_root / "tmp").glob(f"{_PREFIX}*"):
        for _ in range(_ATTEMPTS):
            shutil.rmtree(directory, ignore_errors=True)
            if not directory.exists():
                break


async def load(
    inventory: Inventory, worker: Worker, data_root: Path, chunks: AsyncIterator[bytes], platforms: Sequence[Platform]
) -> AsyncIterator[LoadProgress | Loaded]:
    """See ``Images.load``."""
    events: asyncio.Queue[LoadProgress | Loaded | None] = asyncio.Queue()
    work = asyncio.ensure_future(_load(inventory, worker, data_root, chunks, platforms, events.put_nowait))
    work.add_done_callback(lambda _: events.put_nowait(None))
    try:
        while (event := await events.get()) is not None:
            yield event
        await work
    finally:
        work.cancel()
        await asyncio.wait([work])


async def _load(
    inventory: Inventory,
    worker: Worker,
    data_root: Path,
    chunks: AsyncIterator[bytes],
    platforms: Sequence[Platform],
    report: Report,
) -> None:
    directory = data_root / "tmp" / f"{_PREFIX}{secrets.token_hex(8)}"
    directory.mkdir()
    try:
        job = Spool(str(directory), Limits(entries=MAX_MEMBERS))
        spooled = await worker.run_stream(job, SpoolDone, chunks)
        for found in await asyncio.to_thread(archive_in.read, spooled.members, platforms):
            await _add(inventory, found, report)
    finally:
        await asyncio.shield(inventory.layers.discard([directory]))


async def _add(inventory: Inventory, found: archive_in.Found, report: Report) -> None:
    total = {diff_id: size for parts in found.parts for diff_id, size in _sizes(parts)}

    def progress(diff_id: str, read: int) -> None:
        report(LoadProgress(short_id(diff_id), read, total[diff_id]))

    names = inventory.catalog.names
    before = {reference: names.get(str(reference)) for reference in found.references}
    images = await make(inventory, found.parts, Named(found.references), found.files, progress)
    shown = inventory.catalog.targets_of(images[0].id)[0].image
    for reference, known in before.items():
        report(_loaded(shown, reference, known.image if known else ""))
    if not before:
        report(Loaded(shown, ""))


def _sizes(parts: Parts) -> Iterator[tuple[str, int]]:
    diff_ids = parse_config(parts.config).rootfs.diff_ids
    yield from zip(diff_ids, (layer.size for layer in parts.layers), strict=True)


def _loaded(image_id: str, reference: Reference, before: str) -> Loaded:
    return Loaded(image_id, reference.familiar, before if before != image_id else "")
