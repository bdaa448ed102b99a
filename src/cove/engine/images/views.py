"""What the API shows of an image: its target, manifests, origin and attestations. Pure."""

from collections.abc import Callable, Iterator, Sequence

from cove.content import Blob
from cove.images import Image, Part, Target
from cove.images.targets import IN_TOTO
from cove.oci import image as oci
from cove.wire.images import (
    AttestationData,
    BuildIdentity,
    DescriptorFields,
    Identity,
    ImageData,
    ManifestSize,
    ManifestSummary,
    PlatformFields,
    PullIdentity,
    UnpackedSize,
)

PREDICATE_TYPE = "in-toto.io/predicate-type"
Find = Callable[[str], Image]
"""The image of an id."""
Users = Callable[[str], Sequence[str]]
"""The ids of the containers that use an image, by its id."""
Present = Callable[[str], Blob | None]
"""The blob of a digest, when it is here."""


def descriptor(found: oci.Descriptor) -> DescriptorFields:
    """An OCI descriptor as the API has it."""
    return DescriptorFields(
        media_type=found.media_type,
        digest=found.digest,
        size=found.size,
        urls=list(found.urls) or None,
        annotations=dict(found.annotations) or None,
        platform=_platform(found.platform) if found.platform else None,
        artifact_type=found.artifact_type,
    )


def identity(target: Target) -> Identity | None:
    """Where in registries the target is known to be, and the build that made it; None when nothing is known."""
    pulls = [PullIdentity(repository=repository) for repository in target.repositories]
    builds = [BuildIdentity(ref=target.build.ref, created_at=target.build.at)] if target.build else []
    return Identity(pull=pulls or None, build=builds or None) if pulls or builds else None


def manifests(
    target: Target, find: Find, users: Users, present: Present, *, with_identity: bool = False
) -> list[ManifestSummary]:
    """Every manifest of a target, in the order of its indexes, those that are not here too."""
    origin = identity(target) if with_identity else None
    return [_manifest(part, find, users, present, origin) for part in target.parts]


def attestations(target: Target, image_id: str) -> Iterator[oci.Descriptor]:
    """The in-toto statements about an image of a target."""
    about = target.part_of(image_id)
    for part in target.parts:
        if part.kind == "attestation" and about is not None and part.subject == about.descriptor.digest:
            yield from (blob for blob in part.blobs if blob.media_type == IN_TOTO)


def _manifest(part: Part, find: Find, users: Users, present: Present, origin: Identity | None) -> ManifestSummary:
    image = find(part.image) if part.image else None
    blobs = [present(digest) for digest in (part.descriptor.digest, *(blob.digest for blob in part.blobs))]
    content = sum(blob.size for blob in blobs if blob is not None)
    unpacked = image.size if image else 0
    return ManifestSummary(
        id=part.descriptor.digest,
        descriptor=descriptor(part.descriptor),
        available=bool(image) if part.kind == "image" else bool(part.blobs) and None not in blobs,
        size=ManifestSize(content=content, total=content + unpacked),
        kind=part.kind,
        image_data=_image(part, image, users, origin) if part.kind == "image" else None,
        attestation_data=AttestationData(about=part.subject) if part.kind == "attestation" else None,
    )


def _image(part: Part, image: Image | None, users: Users, origin: Identity | None) -> ImageData:
    unpacked = image.size if image else 0
    platform = part.descriptor.platform
    if platform is None and image is not None:
        config = image.config
        platform = oci.Platform(config.architecture, config.os, config.variant, config.os_version)
    return ImageData(
        platform=_platform(platform or oci.Platform()),
        containers=list(users(image.id)) if image else [],
        size=UnpackedSize(unpacked=unpacked),
        unpacked_size=unpacked,
        identity=origin,
    )


def _platform(found: oci.Platform) -> PlatformFields:
    return PlatformFields(
        architecture=found.architecture,
        os=found.os,
        os_version=found.os_version,
        os_features=list(found.os_features) or None,
        variant=found.variant,
    )
