"""An image from its parts: blobs that are verified but not kept yet, to a visible image."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from cove.content import Blob, Blobs
from cove.digest import Digest, chain_ids
from cove.errors import InvalidArgument
from cove.images.inventory import Inventory
from cove.images.records import Image
from cove.images.targets import decode, manifest_type
from cove.layers import Packed
from cove.oci import image as oci
from cove.reference import Reference

Progress = Callable[[str, int], None]


class Parts(msgspec.Struct, frozen=True):
    """``config`` and ``manifest``: the blobs' bytes. ``layers``: lowest first.

    ``indexes``: the bytes of those that led to the manifest, outermost first. ``repositories``: canonical names of
    those in registries that the outermost is in.
    """

    config: bytes
    manifest: bytes
    layers: Sequence[oci.Descriptor]
    references: Sequence[Reference] = ()
    indexes: Sequence[bytes] = ()
    repositories: Sequence[str] = ()


def parse_config(data: bytes) -> oci.ImageConfig:
    """Raises InvalidArgument naming the bad field."""
    try:
        return msgspec.json.decode(data, type=oci.ImageConfig)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"invalid image configuration: {error}") from error


def write_manifest(config: bytes, layers: Sequence[oci.Descriptor]) -> bytes:
    """A manifest for an image that came without one."""
    manifest = oci.Manifest(
        schema_version=2,
        media_type=oci.MANIFEST,
        config=oci.Descriptor(oci.CONFIG, str(Digest.of(config)), len(config)),
        layers=list(layers),
    )
    return msgspec.json.encode(manifest)


def check_lengths(diff_ids: Sequence[str], layers: Sequence[object]) -> None:
    """Raises InvalidArgument when manifest and configuration speak of different numbers of layers."""
    if len(diff_ids) != len(layers):
        raise InvalidArgument(f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(layers)}")


async def make(
    inventory: Inventory, parts: Parts, files: dict[str, Path], progress: Progress = lambda diff_id, read: None
) -> Image:
    """Keep the blobs, unpack the layers, show the image. ``files``: a file for each layer blob that is not here yet,
    by digest; they are moved. ``progress`` is told a diff id and bytes read.

    Raises InvalidArgument, and then nothing stays that was not here before.
    """
    config = parse_config(parts.config)
    diff_ids = config.rootfs.diff_ids
    check_lengths(diff_ids, parts.layers)
    image_id, manifest_id = str(Digest.of(parts.config)), str(Digest.of(parts.manifest))
    kind = manifest_type(parts.manifest)
    target = _target(parts, oci.Descriptor(kind, manifest_id, len(parts.manifest), platform=_platform(config)))
    async with inventory.lease() as lease:
        lease.keep(*chain_ids(diff_ids), image_id, manifest_id, *(layer.digest for layer in parts.layers))
        lease.keep(*(str(Digest.of(index)) for index in parts.indexes))
        await _keep_blobs(inventory.blobs, parts, files)
        packed = [
            Packed(diff_id, inventory.blobs.path(layer.digest), layer.digest)
            for diff_id, layer in zip(diff_ids, parts.layers, strict=True)
        ]
        sizes = await inventory.layers.add(packed, progress)
        image = Image(image_id, manifest_id, kind, config, list(parts.layers), sizes)
        return await inventory.admit(image, parts.references, target, parts.repositories)


async def _keep_blobs(blobs: Blobs, parts: Parts, files: dict[str, Path]) -> None:
    small = [await blobs.stage(data) for data in (parts.config, parts.manifest, *parts.indexes)]
    large = [(files[layer.digest], Blob(layer.digest, layer.size)) for layer in parts.layers if layer.digest in files]
    await blobs.commit([*small, *large])


def _target(parts: Parts, manifest: oci.Descriptor) -> oci.Descriptor:
    """The outermost index or, without one, the manifest. Raises InvalidArgument when one does not list the next."""
    below = manifest
    for data in reversed(parts.indexes):
        digest = str(Digest.of(data))
        listed = decode(data, oci.Index, f"index {digest}").manifests
        if below.digest not in (entry.digest for entry in listed):
            raise InvalidArgument(f"index {digest} does not list {below.digest}")
        below = oci.Descriptor(manifest_type(data), digest, len(data))
    return below


def _platform(config: oci.ImageConfig) -> oci.Platform:
    return oci.Platform(config.architecture, config.os, config.variant, config.os_version)
