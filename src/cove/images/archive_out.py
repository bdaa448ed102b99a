"""``docker save``: images to a tar that is an OCI layout and has Docker's ``manifest.json`` too.

The same images give the same bytes: entries are in a fixed order, owned by root, of time 0.
"""

import tarfile
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from cove.errors import InvalidArgument, NotFound
from cove.images.catalog import Catalog
from cove.images.inventory import Inventory
from cove.images.records import Image
from cove.images.targets import Target
from cove.layers.tar.header import BLOCK
from cove.oci import image as oci
from cove.platform import Platform
from cove.reference import DEFAULT_TAG, Reference

CONTAINERD_NAME = "io.containerd.image.name"
OCI_NAME = "org.opencontainers.image.ref.name"
END = bytes(2 * BLOCK)


@dataclass
class Selected:
    """A target to save, these images of it, under these names. ``descriptor``: of what the archive says it is."""

    target: Target
    descriptor: oci.Descriptor
    images: list[Image]
    references: list[Reference] = field(default_factory=list)

    def include(self, images: Iterable[Image]) -> None:
        """Save these too."""
        here = {image.id for image in self.images}
        self.images += [image for image in images if image.id not in here]

    @property
    def digests(self) -> set[str]:
        """What belongs to it; of the whole target also what is not here."""
        if self.descriptor.digest == self.target.digest and len(self.images) == len(self.target.images):
            return set(self.target.blobs)
        chosen = {image.id for image in self.images}
        manifests = {part.descriptor.digest for part in self.target.parts if part.image in chosen}
        parts = [part for part in self.target.parts if part.image in chosen or part.subject in manifests]
        found = {blob.digest for part in parts for blob in (part.descriptor, *part.blobs)}
        if self.descriptor.digest == self.target.digest:
            found.update(self.target.indexes)
        return found


def choose(catalog: Catalog, names: Iterable[str], platforms: Sequence[Platform] = ()) -> list[Selected]:
    """The images that were asked for: by an id without names, by a tag with it, by a repository with all its tags.

    Raises NotFound, InvalidArgument.
    """
    chosen: dict[str, Selected] = {}
    for name in names:
        for target, images, reference in _meant(catalog, name, platforms):
            descriptor = _top(target, images)
            selected = chosen.setdefault(descriptor.digest, Selected(target, descriptor, images))
            selected.include(images)
            if reference is not None and reference not in selected.references:
                selected.references.append(reference)
    return list(chosen.values())


async def write(inventory: Inventory, selected: list[Selected]) -> AsyncIterator[bytes]:
    """The tar, in large pieces. Raises NotFound when an image went away meanwhile."""
    blobs = inventory.blobs
    needed = {item.descriptor.digest for item in selected}
    needed |= {blob for item in selected for image in item.images for blob in _needed(item, image)}
    async with inventory.lease() as lease:
        wanted = sorted({digest for item in selected for digest in item.digests})
        digests = [digest for digest in wanted if digest in needed or blobs.get(digest)]
        lease.keep(*digests)
        yield _directory("blobs/")
        for algorithm in sorted({"sha256", *(digest.partition(":")[0] for digest in digests)}):
            yield _directory(f"blobs/{algorithm}/")
        for digest in digests:
            blob = blobs.get(digest)
            if blob is None:
                raise NotFound(f"blob {digest} not found")
            yield _header(_name(digest), blob.size)
            async for piece in blobs.stream(digest):
                yield piece
            yield bytes(-blob.size % BLOCK)
        yield _file("index.json", _index(selected))
        yield _file("manifest.json", _docker_manifest(selected))
        yield _file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        yield END


def _needed(item: Selected, image: Image) -> list[str]:
    part = item.target.part_of(image.id)
    return [part.descriptor.digest, *(blob.digest for blob in part.blobs)] if part else image.blobs


def _top(target: Target, images: Sequence[Image]) -> oci.Descriptor:
    """The manifest, when one image of several is chosen; else the whole."""
    part = target.part_of(images[0].id) if len(images) == 1 and len(target.images) > 1 else None
    return part.descriptor if part else target.descriptor


Meant = tuple[Target, list[Image], Reference | None]


def _meant(catalog: Catalog, name: str, platforms: Sequence[Platform]) -> list[Meant]:
    wanted = _reference(name)
    if wanted is not None and not wanted.tag and not wanted.digest:
        tags = _tags(catalog, wanted.repository)
        if tags:
            return [(*_found(catalog, str(tag), platforms), tag) for tag in tags]
    target, images = _found(catalog, name, platforms)
    named = wanted is not None and wanted.tag and str(wanted) in catalog.names
    return [(target, images, wanted if named else None)]


def _found(catalog: Catalog, name: str, platforms: Sequence[Platform]) -> tuple[Target, list[Image]]:
    target, image = catalog.target(name), catalog.resolve(name)
    if platforms:
        chosen = dict.fromkeys(catalog.resolve(name, platform).id for platform in platforms)
        return target, [catalog.images[found] for found in chosen]
    if image.id != target.image:  # one of several, by its own id
        return target, [image]
    return target, [catalog.images[found] for found in target.images]


def _reference(name: str) -> Reference | None:
    try:
        return Reference.parse(name)
    except InvalidArgument:  # an id, or what ``resolve`` will complain of
        return None


def _tags(catalog: Catalog, repository: str) -> list[Reference]:
    start = f"{repository}:"
    return [Reference.parse(name) for name in sorted(catalog.names) if name.startswith(start)]


def _index(selected: list[Selected]) -> bytes:
    manifests = []
    for item in selected:
        names: list[Reference | None] = [*item.references]
        manifests += [_descriptor(item, name) for name in names or [None]]
    index = oci.Index(schema_version=2, media_type=oci.INDEX, manifests=manifests)
    return msgspec.json.encode(index)


def _descriptor(item: Selected, reference: Reference | None) -> oci.Descriptor:
    names = {CONTAINERD_NAME: str(reference), OCI_NAME: reference.tag or DEFAULT_TAG} if reference else {}
    platform = item.descriptor.platform
    if item.descriptor.media_type not in oci.INDEXES:
        config = item.images[0].config
        platform = oci.Platform(config.architecture, config.os, config.variant, config.os_version)
    return msgspec.structs.replace(item.descriptor, annotations=names, platform=platform)


def _docker_manifest(selected: list[Selected]) -> bytes:
    """What readers of the old format see: of each the image that is the best for this machine."""
    return msgspec.json.encode([_docker_entry(item) for item in selected])


def _docker_entry(item: Selected) -> dict[str, object]:
    image = next((image for image in item.images if image.id == item.target.image), item.images[0])
    part = item.target.part_of(image.id)
    layers = part.blobs[1:] if part else image.layers
    return {
        "Config": _name(image.id),
        "RepoTags": [reference.familiar for reference in item.references] or None,
        "Layers": [_name(layer.digest) for layer in layers],
    }


def _name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _directory(name: str) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry.tobuf(tarfile.GNU_FORMAT)


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(tarfile.GNU_FORMAT)


def _file(name: str, data: bytes) -> bytes:
    return _header(name, len(data)) + data + bytes(-len(data) % BLOCK)
