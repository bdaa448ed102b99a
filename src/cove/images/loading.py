"""``docker load``: an archive of images, spooled to files, to images."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from cove.images import archive_in
from cove.images.catalog import short_id
from cove.images.inventory import Inventory
from cove.images.making import make, parse_config
from cove.images.records import Image, Loaded, LoadProgress
from cove.layers import Worker
from cove.layers.jobs import Spool, SpoolDone
from cove.layers.tar import Limits
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
    inventory: Inventory, worker: Worker, data_root: Path, chunks: AsyncIterator[bytes], platform: Platform | None
) -> AsyncIterator[LoadProgress | Loaded]:
    """See ``Images.load``."""
    events: asyncio.Queue[LoadProgress | Loaded | None] = asyncio.Queue()
    work = asyncio.ensure_future(_load(inventory, worker, data_root, chunks, platform, events.put_nowait))
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
    platform: Platform | None,
    report: Report,
) -> None:
    directory = data_root / "tmp" / f"{_PREFIX}{secrets.token_hex(8)}"
    directory.mkdir()
    try:
        job = Spool(str(directory), Limits(entries=MAX_MEMBERS))
        spooled = await worker.run_stream(job, SpoolDone, chunks)
        for found in await asyncio.to_thread(archive_in.read, spooled.members, platform):
            await _add(inventory, found, report)
    finally:
        await asyncio.shield(inventory.layers.discard([directory]))


async def _add(inventory: Inventory, found: archive_in.Found, report: Report) -> None:
    diff_ids = parse_config(found.parts.config).rootfs.diff_ids
    total = {diff_id: layer.size for diff_id, layer in zip(diff_ids, found.parts.layers, strict=True)}

    def progress(diff_id: str, read: int) -> None:
        report(LoadProgress(short_id(diff_id), read, total[diff_id]))

    names = inventory.catalog.names
    before = {reference: names.get(str(reference)) for reference in found.parts.references}
    image = await make(inventory, found.parts, found.files, progress)
    for reference, known in before.items():
        report(_loaded(image, reference, known.image if known else ""))
    if not found.parts.references:
        report(Loaded(image.id, ""))


def _loaded(image: Image, reference: Reference, before: str) -> Loaded:
    return Loaded(image.id, reference.familiar, before if before != image.id else "")
