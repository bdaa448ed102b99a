"""``docker import``: the tar of a root file system to an image of one layer."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cove.content import Blob
from cove.images.inventory import Inventory, now
from cove.images.making import Named, Parts, make, write_manifest
from cove.images.records import Image
from cove.layers.worker.jobs import UnpackDone
from cove.oci import image as oci
from cove.platform import Platform
from cove.reference import Reference


@dataclass(frozen=True, slots=True)
class Request:
    """What ``docker import`` was asked for. ``created``: RFC 3339, the present when empty."""

    config: oci.Config
    platform: Platform
    message: str
    reference: Reference | None = None
    created: str = ""


async def import_tar(
    inventory: Inventory, chunks: AsyncIterator[bytes], request: Request, progress: Callable[[int], None]
) -> Image:
    """See ``Images.import_``. ``progress`` is told the bytes read."""
    target, plain = inventory.layers.fresh(), inventory.blobs.temporary()
    try:
        done = await inventory.layers.receive(chunks, target, plain, progress)
        async with inventory.lease() as lease:
            lease.keep(done.diff_id)
            await inventory.layers.adopt(done)
            return await _make(inventory, done, plain, request)
    finally:
        plain.unlink(missing_ok=True)


async def _make(inventory: Inventory, done: UnpackDone, plain: Path, request: Request) -> Image:
    layer = oci.Descriptor(oci.LAYER, done.diff_id, done.plain_size)
    config = _configuration(done.diff_id, request)
    references = [request.reference] if request.reference else []
    parts = Parts(config, write_manifest(config, [layer]), [layer])
    file = (plain, Blob(layer.digest, layer.size))
    return (await make(inventory, [parts], Named(references), [file]))[0]


def _configuration(diff_id: str, request: Request) -> bytes:
    created = request.created or now()
    config = oci.ImageConfig(
        architecture=request.platform.architecture,
        os=request.platform.os,
        variant=request.platform.variant,
        rootfs=oci.RootFS(diff_ids=[diff_id]),
        config=request.config,
        history=[oci.History(created=created, comment=request.message)],
        created=created,
        comment=request.message,
    )
    return msgspec.json.encode(config)
