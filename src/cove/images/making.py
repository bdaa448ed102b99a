"""An image from its parts: blobs that are verified but not kept yet, to a visible image."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from cove.content import Blob, Blobs
from cove.digest import Digest, chain_ids
from cove.errors import InvalidArgument
from cove.images.inventory import Inventory
from cove.images.records import Image
from cove.images.targets import Build, decode, manifest_type
from cove.layers import Packed
from cove.oci import image as oci
from cove.reference import Reference

Progress = Callable[[str, int], None]


class Parts(msgspec.Struct, frozen=True):
    """One platform's image. ``config`` and ``manifest``: the blobs' bytes. ``layers``: lowest first.

    ``indexes``: the bytes of those that led to the manifest, outermost first.
    """

    config: bytes
    manifest: bytes
    layers: Sequence[oci.Descriptor]
    indexes: Sequence[bytes] = ()

    @property
    def blobs(self) -> list[str]:
        """The digests of everything."""
        small = [str(Digest.of(data)) for data in (self.config, self.manifest, *self.indexes)]
        return [*small, *(layer.digest for layer in self.layers)]


class Named(msgspec.Struct, frozen=True):
    """What will point at the outermost index or, without one, at the manifest.

    ``repositories``: canonical names of those in registries that it is in. ``build``: what made it here.
    """

    references: Sequence[Reference] = ()
    repositories: Sequence[str] = ()
    build: Build | None = None


NAMELESS = Named()


def parse_config(data: bytes) -> oci.ImageConfig:
    """Raises InvalidArgument naming the bad field."""
    try:
        return msgspec.json.decode(data, type=oci.ImageConfig)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"invalid image configuration: {error}") from error


def write_manifest(
    config: bytes, layers: Sequence[oci.Descriptor], annotations: Mapping[str, str] | None = None
) -> bytes:
    """A manifest for an image that came without one, or with other layers."""
    manifest = oci.Manifest(
        schema_version=2,
        media_type=oci.MANIFEST,
        config=oci.Descriptor(oci.CONFIG, str(Digest.of(config)), len(config)),
        layers=list(layers),
        annotations=dict(annotations or {}),
    )
    return msgspec.json.encode(manifest)


def check_algorithm(what: str, digest: str) -> None:
    """Raises InvalidArgument for a digest that something here could not go by: images and targets have SHA-256 ones."""
    if Digest.parse(digest).algorithm != "sha256":
        raise InvalidArgument(f"{what} must have a sha256 digest: {digest}")


def check_lengths(diff_ids: Sequence[str], layers: Sequence[object]) -> None:
    """Raises InvalidArgument when manifest and configuration speak of different numbers of layers."""
    if len(diff_ids) != len(layers):
        raise InvalidArgument(f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(layers)}")


async def make(
    inventory: Inventory,
    several: Sequence[Parts],
    named: Named = NAMELESS,
    files: Sequence[tuple[Path, Blob]] = (),
    progress: Progress = lambda diff_id, read: None,
) -> list[Image]:
    """Keep the blobs, unpack the layers, show the images, which are platforms of one target, all or none.

    ``files``: those of the layers that are not here yet, and of what else belongs to the target; verified, and moved.
    ``progress`` is told a diff id and bytes read. Raises InvalidArgument, and then nothing stays that was not here.
    """
    configs = [parse_config(parts.config) for parts in several]
    for parts, config in zip(several, configs, strict=True):
        check_lengths(config.rootfs.diff_ids, parts.layers)
        _check_manifest(parts)
    target = _target(several[0], _descriptor(several[0].manifest, configs[0]))
    async with inventory.lease() as lease:
        lease.keep(*(blob.digest for _, blob in files))
        for parts, config in zip(several, configs, strict=True):
            lease.keep(*parts.blobs, *chain_ids(config.rootfs.diff_ids))
        await _keep_blobs(inventory.blobs, several, files)
        images = [
            await _unpack(inventory, parts, config, progress) for parts, config in zip(several, configs, strict=True)
        ]
        return await inventory.admit(images, named.references, target, named.repositories, named.build)


def _check_manifest(parts: Parts) -> None:
    """Raises InvalidArgument when the manifest is of something else."""
    digest = str(Digest.of(parts.manifest))
    manifest_type(parts.manifest)
    manifest = decode(parts.manifest, oci.Manifest, f"manifest {digest}")
    listed = [manifest.config.digest, *(layer.digest for layer in manifest.layers)]
    if listed != [str(Digest.of(parts.config)), *(layer.digest for layer in parts.layers)]:
        raise InvalidArgument(f"manifest {digest} is not of this configuration and these layers")


async def _keep_blobs(blobs: Blobs, several: Sequence[Parts], files: Sequence[tuple[Path, Blob]]) -> None:
    small = {data for parts in several for data in (parts.config, parts.manifest, *parts.indexes)}
    staged = list(files)
    try:
        for data in sorted(small):
            staged.append(await blobs.stage(data))
        await blobs.commit(staged)
    finally:
        for path, _ in staged:
            path.unlink(missing_ok=True)


async def _unpack(inventory: Inventory, parts: Parts, config: oci.ImageConfig, progress: Progress) -> Image:
    packed = [
        Packed(diff_id, inventory.blobs.path(layer.digest), layer.digest)
        for diff_id, layer in zip(config.rootfs.diff_ids, parts.layers, strict=True)
    ]
    sizes = await inventory.layers.add(packed, progress)
    manifest = _descriptor(parts.manifest, config)
    image_id = str(Digest.of(parts.config))
    return Image(image_id, manifest.digest, manifest.media_type, config, list(parts.layers), sizes)


def _descriptor(manifest: bytes, config: oci.ImageConfig) -> oci.Descriptor:
    platform = oci.Platform(config.architecture, config.os, config.variant, config.os_version)
    return oci.Descriptor(manifest_type(manifest), str(Digest.of(manifest)), len(manifest), platform=platform)


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
