"""``docker save``: images to a tar that is an OCI layout and has Docker's ``manifest.json`` too.

The same images give the same bytes: entries are in a fixed order, owned by root, of time 0.
"""

import tarfile
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import msgspec

from cove.content import Blobs
from cove.errors import InvalidArgument, NotFound
from cove.images.catalog import Catalog
from cove.images.records import Image
from cove.layers.header import BLOCK
from cove.oci import image as oci
from cove.reference import DEFAULT_TAG, Reference

CONTAINERD_NAME = "io.containerd.image.name"
OCI_NAME = "org.opencontainers.image.ref.name"
END = bytes(2 * BLOCK)


@dataclass
class Selected:
    """An image to save, under these names."""

    image: Image
    references: list[Reference] = field(default_factory=list)


def choose(catalog: Catalog, names: Iterable[str]) -> list[Selected]:
    """The images that were asked for: by an id without names, by a tag with it, by a repository with all its tags.

    Raises NotFound, InvalidArgument.
    """
    chosen: dict[str, Selected] = {}
    for name in names:
        for image, reference in _meant(catalog, name):
            selected = chosen.setdefault(image.id, Selected(image))
            if reference is not None and reference not in selected.references:
                selected.references.append(reference)
    return list(chosen.values())


async def write(blobs: Blobs, selected: list[Selected]) -> AsyncIterator[bytes]:
    """The tar, in large pieces. Raises NotFound when an image went away meanwhile."""
    digests = sorted({digest for item in selected for digest in item.image.blobs})
    yield _directory("blobs/") + _directory("blobs/sha256/")
    for digest in digests:
        blob = blobs.get(digest)
        if blob is None:
            raise NotFound(f"blob {digest} not found")
        yield _header(_name(digest), blob.size)
        async for piece in blobs.stream(digest):
            yield piece
        yield bytes(-blob.size % BLOCK)
    yield _file("index.json", _index(blobs, selected))
    yield _file("manifest.json", _docker_manifest(selected))
    yield _file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    yield END


def _meant(catalog: Catalog, name: str) -> list[tuple[Image, Reference | None]]:
    wanted = _reference(name)
    if wanted is not None and not wanted.tag and not wanted.digest:
        tags = _tags(catalog, wanted.repository)
        if tags:
            return tags
    image = catalog.resolve(name)
    if wanted is not None and wanted.tag and wanted in catalog.references(image.id):
        return [(image, wanted)]
    return [(image, None)]


def _reference(name: str) -> Reference | None:
    try:
        return Reference.parse(name)
    except InvalidArgument:  # an id, or what ``resolve`` will complain of
        return None


def _tags(catalog: Catalog, repository: str) -> list[tuple[Image, Reference | None]]:
    start = f"{repository}:"
    names = sorted(name for name in catalog.names if name.startswith(start))
    return [(catalog.images[catalog.names[name].image], Reference.parse(name)) for name in names]


def _index(blobs: Blobs, selected: list[Selected]) -> bytes:
    manifests = []
    for item in selected:
        names: list[Reference | None] = [*item.references]
        manifests += [_descriptor(blobs, item.image, name) for name in names or [None]]
    index = oci.Index(schema_version=2, media_type=oci.INDEX, manifests=manifests)
    return msgspec.json.encode(index)


def _descriptor(blobs: Blobs, image: Image, reference: Reference | None) -> oci.Descriptor:
    blob = blobs.get(image.manifest)
    config = image.config
    names = {CONTAINERD_NAME: str(reference), OCI_NAME: reference.tag or DEFAULT_TAG} if reference else {}
    return oci.Descriptor(
        media_type=image.manifest_type,
        digest=image.manifest,
        size=blob.size if blob else 0,
        annotations=names,
        platform=oci.Platform(config.architecture, config.os, config.variant, config.os_version),
    )


def _docker_manifest(selected: list[Selected]) -> bytes:
    entries = [
        {
            "Config": _name(item.image.id),
            "RepoTags": [reference.familiar for reference in item.references] or None,
            "Layers": [_name(layer.digest) for layer in item.image.layers],
        }
        for item in selected
    ]
    return msgspec.json.encode(entries)


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
