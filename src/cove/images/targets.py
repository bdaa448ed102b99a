"""What a name points at: a manifest, or an index of manifests, with what of it is here. Pure.

An image is one platform's; its id is the digest of its configuration. A name points at the blob that was pulled, loaded
or built, which may be an index of several platforms, of which only some may be here, with attestations beside them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeVar

import msgspec

from cove.digest import Digest
from cove.errors import InvalidArgument
from cove.oci import image as oci
from cove.platform import Platform, host

MAX_NESTING = 4
MAX_PARTS = 2000
"""Manifests that all indexes of one target may have together."""
ATTESTATION = "attestation-manifest"
REFERENCE_TYPE = "vnd.docker.reference.type"
"""The annotation of what is in an index beside images (BuildKit's attestation storage)."""
REFERENCE_DIGEST = "vnd.docker.reference.digest"
"""The annotation that says which manifest it is about."""
IN_TOTO = "application/vnd.in-toto+json"
"""The media type of a statement about an image, a layer of an attestation."""
T = TypeVar("T")

Kind = Literal["image", "attestation", "unknown"]
Read = Callable[[str], bytes | None]
"""The bytes of a blob by digest; None when it is not here."""
Here = Callable[[oci.Manifest], bool]
"""Whether the image of a manifest is here, with all its blobs."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One manifest of a target. ``descriptor``: as the index has it. ``image``: its id while the image is here.

    ``blobs``: configuration and layers, when the manifest is here. ``subject``: digest of the manifest that an
    attestation is about.
    """

    descriptor: oci.Descriptor
    kind: Kind
    image: str = ""
    blobs: list[oci.Descriptor] = msgspec.field(default_factory=list)
    subject: str = ""

    @property
    def platform(self) -> Platform | None:
        """What the index says that it is for."""
        found = self.descriptor.platform
        return Platform(found.os, found.architecture, found.variant) if found and found.os else None


class Build(msgspec.Struct, frozen=True):
    """The build that made a target here. ``ref``: its name, any. ``at``: when it ended, RFC 3339."""

    ref: str
    at: str


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """``descriptor``: of the manifest or the outermost index. ``indexes``: digests of those that are here.

    ``image``: id of the part that is the best for this machine. ``parts``: every manifest, in the order of the
    indexes. ``repositories``: canonical names of those in registries that it came from or was pushed to. ``build``:
    what made it, first of all, where that was here.
    """

    descriptor: oci.Descriptor
    image: str
    parts: list[Part]
    indexes: list[str] = msgspec.field(default_factory=list)
    repositories: list[str] = msgspec.field(default_factory=list)
    build: Build | None = None

    @property
    def digest(self) -> str:
        return self.descriptor.digest

    @property
    def images(self) -> list[str]:
        """The ids of the images that are here, in the order of the index, each once."""
        return list(dict.fromkeys(part.image for part in self.parts if part.image))

    @property
    def blobs(self) -> Iterator[str]:
        """The digests of what must stay for it, without the layers of images that are gone; some were never here."""
        yield self.descriptor.digest
        yield from self.indexes
        for part in self.parts:
            yield part.descriptor.digest
            if part.image or part.kind != "image":
                for blob in part.blobs:
                    yield blob.digest

    def part_of(self, image_id: str) -> Part | None:
        """The manifest by which an image is in this."""
        return next((part for part in self.parts if part.image == image_id), None)

    def without(self, image_id: str) -> "Target":
        """The same when one of its several images is gone."""
        parts = [msgspec.structs.replace(part, image="") if part.image == image_id else part for part in self.parts]
        best = best_part(parts, host())
        return msgspec.structs.replace(self, parts=parts, image=best.image if best else "")


def survey(descriptor: oci.Descriptor, read: Read, here: Here) -> Target:
    """What a target consists of.

    Raises InvalidArgument when an index or manifest is not valid, is nested too deeply, or no image of it is here.
    """
    indexes: list[str] = []
    parts: list[Part] = []
    for leaf in _leaves(descriptor, read, indexes, MAX_NESTING):
        if len(parts) == MAX_PARTS:
            raise InvalidArgument(f"index {descriptor.digest}: more than {MAX_PARTS} manifests")
        parts.append(_part(leaf, read, here))
    best = best_part(parts, host())
    if best is None:
        raise InvalidArgument(f"no image of {descriptor.digest} is here")
    return Target(descriptor, best.image, parts, indexes)


def best_part(parts: Iterable[Part], wanted: Platform) -> Part | None:
    """Of the images that are here the one that serves a platform best, any before none."""
    ranked = []
    for order, part in enumerate(parts):
        if part.image:
            rank = wanted.preference(part.platform) if part.platform else 0
            ranked.append((rank is None, rank or 0, order, part))
    return min(ranked, key=lambda found: found[:3])[3] if ranked else None


def manifest_type(data: bytes) -> str:
    """The media type of a manifest or index, by what it says of itself, else by its fields. Raises InvalidArgument."""
    found = decode(data, _Either, "manifest")
    if found.schema_version == 1 and found.fs_layers is not None:
        raise InvalidArgument(SCHEMA_1)
    if found.media_type:
        return found.media_type
    return oci.INDEX if found.manifests is not None else oci.MANIFEST


SCHEMA_1 = (
    "manifests of Docker image schema 1 are not supported: "
    "build or push the image again with a newer version of its tool, which writes schema 2 or OCI manifests"
)


def decode(data: bytes, kind: type[T], name: str) -> T:
    """Raises InvalidArgument that begins with the name."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise InvalidArgument(f"{name}: {error}") from error


class _Either(msgspec.Struct, frozen=True, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    manifests: list[msgspec.Raw] | None = None
    fs_layers: list[msgspec.Raw] | None = None


def _leaves(descriptor: oci.Descriptor, read: Read, indexes: list[str], depth: int) -> Iterator[oci.Descriptor]:
    """The manifests below an index, in order; ``indexes`` gets the digests of the indexes that are here."""
    data = read(descriptor.digest) if descriptor.media_type in oci.INDEXES else None
    if data is None:
        if descriptor.media_type not in oci.INDEXES:  # an index that is not here has nothing to show
            yield descriptor
        return
    if not depth:
        raise InvalidArgument(f"index {descriptor.digest}: indexes are nested more than {MAX_NESTING} deep")
    if descriptor.digest in indexes:
        return
    indexes.append(descriptor.digest)
    for child in decode(data, oci.Index, f"index {descriptor.digest}").manifests:
        Digest.parse(child.digest)
        yield from _leaves(child, read, indexes, depth - 1)


def _part(leaf: oci.Descriptor, read: Read, here: Here) -> Part:
    subject = leaf.annotations.get(REFERENCE_DIGEST, "")
    attests = leaf.annotations.get(REFERENCE_TYPE) == ATTESTATION
    data = read(leaf.digest)
    if data is None:
        return Part(leaf, "attestation" if attests else _kind_of(leaf), subject=subject if attests else "")
    manifest = decode(data, oci.Manifest, f"manifest {leaf.digest}")
    if attests or any(layer.media_type == IN_TOTO for layer in manifest.layers):
        return Part(leaf, "attestation", blobs=[manifest.config, *manifest.layers], subject=subject)
    if not is_image(leaf, manifest):
        return Part(leaf, "unknown", blobs=[manifest.config, *manifest.layers])
    image = manifest.config.digest if here(manifest) else ""
    return Part(leaf, "image", image, [manifest.config, *manifest.layers])


def _kind_of(leaf: oci.Descriptor) -> Kind:
    known = leaf.platform is None or leaf.platform.os != "unknown"
    return "image" if known and not leaf.artifact_type else "unknown"


def is_image(descriptor: oci.Descriptor, manifest: oci.Manifest) -> bool:
    """Whether something to run can be made of it: no attestation, no artefact."""
    if descriptor.platform is not None and descriptor.platform.os == "unknown":
        return False
    return manifest.config.media_type in oci.CONFIGS and not manifest.artifact_type
