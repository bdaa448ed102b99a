"""What is stored and told about images."""

from datetime import datetime
from functools import lru_cache

import msgspec

from cove.digest import chain_ids
from cove.images.targets import Target
from cove.oci.image import Descriptor, ImageConfig
from cove.platform import Platform
from cove.reference import Reference
from cove.store import Table


class Image(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image, the row's record as well.

    ``id``: digest of the configuration blob (``sha256:…``). ``manifest``: digest of the manifest blob as it came, or of
    one made for it, of media type ``manifest_type``. ``layers``: blobs, lowest first, of media types as they came.
    ``layer_sizes``: unpacked bytes of each, as Docker counts them; ``size`` is their sum. ``tagged``: RFC 3339 time of
    the last tagging, or empty. ``hidden``: deleted by name and kept on disk only for containers that still use it.
    """

    id: str
    manifest: str
    manifest_type: str
    config: ImageConfig
    layers: list[Descriptor]
    layer_sizes: list[int]
    tagged: str = ""
    hidden: bool = False

    @property
    def size(self) -> int:
        return sum(self.layer_sizes)

    @property
    def chain_ids(self) -> list[str]:
        """The chain id of each layer, lowest first."""
        return list(_chain_ids(tuple(self.config.rootfs.diff_ids)))

    @property
    def platform(self) -> Platform:
        """What it is for."""
        return Platform(self.config.os, self.config.architecture, self.config.variant)

    @property
    def created(self) -> float:
        """When it was made, in seconds since 1970; 0 when the configuration does not say."""
        return seconds(self.config.created)

    @property
    def blobs(self) -> list[str]:
        """The digests of all blobs that it is made of."""
        return [self.id, self.manifest, *(layer.digest for layer in self.layers)]


class ImageName(msgspec.Struct, frozen=True, omit_defaults=True):
    """``reference``: canonical text, with a tag or a digest. ``image``: the image's id.

    ``target``: digest of what the name points at, of which that image is the best for this machine; empty in rows
    that are older than targets. ``unnamed_before``: the image was there, and had no name, before it got this one.
    """

    reference: str
    image: str
    target: str = ""
    unnamed_before: bool = False


class Listed(msgspec.Struct, frozen=True):
    """An image and those of its names that a listing shows."""

    image: Image
    references: list[Reference]


class HistoryItem(msgspec.Struct, frozen=True):
    """One line of ``docker history``, newest first: ``id`` is ``<missing>`` below the top. ``created``: seconds."""

    id: str
    created: int
    created_by: str
    tags: list[str]
    size: int
    comment: str


class Untagged(msgspec.Struct, frozen=True):
    """``reference`` in familiar form: ``busybox:latest``."""

    reference: str


class Deleted(msgspec.Struct, frozen=True):
    """``digest``: an image id or a layer's chain id."""

    digest: str


class Pruned(msgspec.Struct, frozen=True):
    """``reclaimed`` in bytes."""

    removed: list[Untagged | Deleted]
    reclaimed: int


class LoadProgress(msgspec.Struct, frozen=True):
    """``layer``: 12 hex digits of the diff id. ``current`` and ``total`` in bytes."""

    layer: str
    current: int
    total: int


class Loaded(msgspec.Struct, frozen=True):
    """An image that is now here, under ``reference`` (familiar form), or without a name when that is empty.

    ``replaced``: the id of another image that had this name until now, or empty.
    """

    image: str
    reference: str
    replaced: str = ""


class Use(msgspec.Struct, frozen=True):
    """A container that an image cannot go away under."""

    container: str
    running: bool


IMAGES: Table[Image] = Table("images", Image, ("id",), {"id": lambda image: image.id})
TARGETS: Table[Target] = Table("image_targets", Target, ("digest",), {"digest": lambda target: target.digest})
NAMES: Table[ImageName] = Table(
    "image_names",
    ImageName,
    ("reference",),
    {"reference": lambda name: name.reference, "image": lambda name: name.image},
)


@lru_cache(maxsize=4096)
def _chain_ids(diff_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Asked for all images whenever garbage is collected."""
    return tuple(chain_ids(list(diff_ids)))


def seconds(created: str | None) -> float:
    """An RFC 3339 time in seconds since 1970; 0 when there is none or it cannot be read."""
    try:
        return max(datetime.fromisoformat(created or "").timestamp(), 0.0)
    except (ValueError, OverflowError):
        return 0.0
