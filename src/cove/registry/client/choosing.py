"""Which manifest of an index serves a platform. Pure."""

from collections.abc import Sequence

from cove.errors import NotFound
from cove.images.targets import ATTESTATION, REFERENCE_DIGEST, REFERENCE_TYPE
from cove.oci.image import Descriptor
from cove.platform import Platform
from cove.registry.client.manifests import INDEXES


def choose(manifests: Sequence[Descriptor], platform: Platform) -> Descriptor:
    """The manifest, or the index in the index, that serves the platform best: the first of those that are equal.

    One that does not say what it is for is taken when no other serves. Raises NotFound in Docker's words.
    """
    best: tuple[int, Descriptor] | None = None
    unsaid: Descriptor | None = None
    for each in manifests:
        if REFERENCE_TYPE in each.annotations or (each.platform and each.platform.os == "unknown"):
            continue
        if each.platform is None:
            unsaid = unsaid or each
            continue
        preference = platform.preference(_platform(each))
        if preference is not None and (best is None or preference < best[0]):
            best = preference, each
    if best is not None:
        return best[1]
    if unsaid is not None:
        return unsaid
    raise NotFound(f"no matching manifest for {platform} in the manifest list entries")


def attesting(manifests: Sequence[Descriptor], subject: str) -> list[Descriptor]:
    """The manifests of attestations about the manifest of this digest."""
    about = {REFERENCE_TYPE: ATTESTATION, REFERENCE_DIGEST: subject}
    return [each for each in manifests if about.items() <= each.annotations.items()]


def is_index(descriptor: Descriptor) -> bool:
    return descriptor.media_type in INDEXES


def _platform(descriptor: Descriptor) -> Platform:
    offered = descriptor.platform
    assert offered is not None
    return Platform(offered.os, offered.architecture, offered.variant)
