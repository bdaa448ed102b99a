"""Layers that are kept as plain tars, compressed for a registry: once, so that a later push has the same to say.

What is made is kept beside the plain tar, which is one file with the unpacked layer where layers are images. The
image's name then points at the manifest of the compressed layers.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from cove.content import Blob
from cove.digest import Digest
from cove.images.leases import Lease
from cove.images.making import write_manifest
from cove.images.records import Image
from cove.images.reindexing import Reindexed, can_change
from cove.images.targets import Part, Target, decode, manifest_type
from cove.oci import image as oci
from cove.reference import Reference

if TYPE_CHECKING:
    from cove.images.images import Images

MAX_CONFIG = 8 << 20
"""Bytes of a configuration or a manifest."""
PLAIN = frozenset((oci.LAYER, oci.DOCKER_LAYER))
_OCI_TYPES = {oci.DOCKER_LAYER_GZIP: oci.LAYER_GZIP}

Progress = Callable[[str, int], None]
"""Told a diff id and how many bytes of its tar are compressed."""


async def compressed(
    images: "Images",
    lease: Lease,
    reference: Reference,
    target: Target,
    progress: Callable[[Image], Progress],
) -> Target:
    """What a name points at, without plain layers: itself, or a new target that the name points at from now on, unless
    it was moved or removed meanwhile.

    Of an index every image that is here is compressed, and what attests to them speaks of the new manifests; an index
    with attestations that are signed, or not here, stays as it is. ``lease``: keeps what is made, and what ``target``
    stands on; its images are held. ``progress``: for each image.
    """
    parts = [part for part in target.parts if part.image and any(each.media_type in PLAIN for each in part.blobs[1:])]
    if not parts or not can_change(target, [part.descriptor.digest for part in parts], images.blobs.get):
        return target
    known = _known(images)
    manifests: dict[str, bytes] = {}
    for part in parts:
        image = images.get(part.image)
        manifests[part.descriptor.digest] = await _compressed(images, lease, part, image, known, progress(image))
    new = await asyncio.to_thread(Reindexed, target, manifests, lambda digest: images.blobs.path(digest).read_bytes())
    lease.keep(*(str(Digest.of(body)) for body in new.new.values()))
    await images.blobs.commit([await images.blobs.stage(body) for body in new.new.values()])
    top = new.new[target.digest]
    digest = str(Digest.of(top))
    now = msgspec.structs.replace(target.descriptor, media_type=manifest_type(top), digest=digest, size=len(top))
    return await images.succeed(reference, target, now)


async def _compressed(
    images: "Images",
    lease: Lease,
    part: Part,
    image: Image,
    known: dict[str, oci.Descriptor],
    progress: Progress,
) -> bytes:
    """The manifest of one image with other layers."""
    layers = [
        await _made(images, lease, diff_id, layer, known, progress)
        for diff_id, layer in zip(image.config.rootfs.diff_ids, part.blobs[1:], strict=True)
    ]
    config = await images.blobs.read(image.id, MAX_CONFIG)
    before = decode(await images.blobs.read(part.descriptor.digest, MAX_CONFIG), oci.Manifest, "manifest")
    return write_manifest(config, layers, before.annotations)


async def _made(
    images: "Images",
    lease: Lease,
    diff_id: str,
    layer: oci.Descriptor,
    known: dict[str, oci.Descriptor],
    progress: Progress,
) -> oci.Descriptor:
    if layer.media_type not in PLAIN:
        return msgspec.structs.replace(layer, media_type=_OCI_TYPES.get(layer.media_type, layer.media_type))
    if diff_id in known:
        lease.keep(known[diff_id].digest)
        return msgspec.structs.replace(known[diff_id], annotations=layer.annotations)
    blobs = images.blobs
    temporary = blobs.temporary()
    try:
        path = blobs.path(layer.digest)
        done = await images.layers.compress(path, temporary, lambda read: progress(diff_id, read))
        lease.keep(done.digest)
        await blobs.commit([(temporary, Blob(done.digest, done.size))])
    finally:
        await asyncio.to_thread(temporary.unlink, missing_ok=True)
    known[diff_id] = oci.Descriptor(oci.LAYER_GZIP, done.digest, done.size)
    return msgspec.structs.replace(known[diff_id], annotations=layer.annotations)


def _known(images: "Images") -> dict[str, oci.Descriptor]:
    """Compressed layers that are here, by their diff ids."""
    found: dict[str, oci.Descriptor] = {}
    for listed in images.select():
        for target in images.targets(listed.image.id):
            for part in target.parts:
                if part.image:
                    found |= _gzipped(images.get(part.image).config.rootfs.diff_ids, part.blobs[1:])
    return found


def _gzipped(diff_ids: Sequence[str], layers: Sequence[oci.Descriptor]) -> dict[str, oci.Descriptor]:
    return {
        diff_id: oci.Descriptor(oci.LAYER_GZIP, layer.digest, layer.size)
        for diff_id, layer in zip(diff_ids, layers, strict=False)
        if layer.media_type in (oci.LAYER_GZIP, oci.DOCKER_LAYER_GZIP)
    }
