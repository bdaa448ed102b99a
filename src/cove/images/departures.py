"""Which targets and images go together when a name or an image goes. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cove.images.catalog import Catalog
from cove.images.targets import Target


@dataclass(frozen=True)
class Departure:
    """``targets``: digests. ``changed``: targets that stay, with a platform less. ``images``: ids."""

    targets: list[str] = field(default_factory=list)
    changed: list[Target] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


def of_image(catalog: Catalog, image_id: str) -> Departure:
    """What goes with an image: what it is the best of, and those platforms that are part of nothing else."""
    gone = [target for target in catalog.targets.values() if target.image == image_id]
    rest = _without(catalog, gone)
    changed = [target.without(image_id) for target in rest if target.part_of(image_id)]
    orphans = [image for image in _orphans(gone, rest) if image != image_id]
    return Departure([target.digest for target in gone], changed, [image_id, *orphans])


def of_platform(catalog: Catalog, target: Target, image_id: str) -> Departure:
    """What goes with one of several platforms of a target."""
    rest = [other for other in catalog.targets.values() if other.digest != target.digest]
    needed = any(other.part_of(image_id) for other in rest)
    return Departure(changed=[target.without(image_id)], images=[] if needed else [image_id])


def superseded(catalog: Catalog) -> Departure:
    """Targets without a name whose best image is part of one that has a name: nothing shows them any more."""
    named = {name.target for name in catalog.names.values()}
    reached = {image for target in catalog.targets.values() if target.digest in named for image in target.images}
    gone = [target for target in catalog.targets.values() if target.digest not in named and target.image in reached]
    orphans = _orphans(gone, _without(catalog, gone)) if gone else []
    return Departure([target.digest for target in gone], images=orphans)


def _without(catalog: Catalog, gone: Iterable[Target]) -> list[Target]:
    digests = {target.digest for target in gone}
    return [target for target in catalog.targets.values() if target.digest not in digests]


def _orphans(gone: Iterable[Target], rest: Iterable[Target]) -> list[str]:
    """The images that are part of nothing that stays."""
    needed = {image for target in rest for image in target.images}
    return list(dict.fromkeys(image for target in gone for image in target.images if image not in needed))
