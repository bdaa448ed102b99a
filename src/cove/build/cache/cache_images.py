"""The build cache in images: records in a field of their configuration, whose layers are the image's.

So what stores, moves and verifies images does the same for a cache: an image that was built can carry the records of
its own steps (``inline``), and an image can be made that is only there for the records and layers of a whole build.
"""

import time
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from cove.build.cache.cache import Cache, Record
from cove.build.planning.graph import LayerRef
from cove.digest import Digest
from cove.images import Image, Images
from cove.oci.image import CONFIG, MANIFEST, Descriptor, History, ImageConfig, Manifest, RootFS
from cove.platform import host
from cove.reference import Reference

FIELD = "cove.build.cache.cache.v1"
MOST_CONFIG = 64 << 20
"""Bytes of a configuration with records."""


class Portable(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record as it travels. ``layers``: diff ids, lowest first."""

    key: str
    kind: str
    description: str
    created: int
    parts: dict[str, str] = msgspec.field(default_factory=dict)
    layers: list[str] = msgspec.field(default_factory=list)
    own: bool = False


def with_records(config: bytes, records: Iterable[Record]) -> bytes:
    """A configuration that carries these records."""
    fields = msgspec.json.decode(config)
    fields[FIELD] = [_portable(record) for record in records]
    return msgspec.json.encode(fields)


def _portable(record: Record) -> Portable:
    diff_ids = [layer.diff_id for layer in record.layers]
    return Portable(record.key, record.kind, record.description, record.created, record.parts, diff_ids, record.own)


async def make(images: Images, records: Sequence[Record], name: Reference) -> Image:
    """An image that is only there for these records. Raises CoveError."""
    layers: dict[str, LayerRef] = {layer.diff_id: layer for record in records for layer in record.layers}
    here = host()
    history = [History(created_by="build cache", comment=FIELD)]
    whole = ImageConfig(
        here.architecture, here.os, RootFS(diff_ids=list(layers)), history=history, variant=here.variant
    )
    config = with_records(msgspec.json.encode(whole), records)
    blobs = [layer.blob for layer in layers.values()]
    manifest = Manifest(
        schema_version=2,
        media_type=MANIFEST,
        config=Descriptor(CONFIG, str(Digest.of(config)), len(config)),
        layers=blobs,
    )
    return await images.add(config, msgspec.json.encode(manifest), blobs, [name])


async def take(images: Images, cache: Cache, image: Image) -> int:
    """Know the records that an image carries; how many they are. Raises InvalidArgument."""
    data = await images.blobs.read(image.id, MOST_CONFIG)
    fields: Mapping[str, msgspec.Raw] = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    if FIELD not in fields:
        return 0
    parts = zip(image.layers, image.config.rootfs.diff_ids, image.layer_sizes, strict=True)
    layers = {diff_id: LayerRef(blob, diff_id, size) for blob, diff_id, size in parts}
    taken = 0
    for portable in msgspec.json.decode(fields[FIELD], type=list[Portable]):
        if portable.key in cache.records or not all(diff_id in layers for diff_id in portable.layers):
            continue
        cache.note(_record(portable, layers))
        taken += 1
    return taken


def _record(portable: Portable, layers: Mapping[str, LayerRef]) -> Record:
    return Record(
        portable.key,
        portable.kind,
        portable.description,
        portable.created,
        time.time_ns(),
        parts=portable.parts,
        layers=[layers[diff_id] for diff_id in portable.layers],
        own=portable.own,
    )
