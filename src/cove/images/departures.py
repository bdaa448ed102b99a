"""Which targets and images go together when a name or an image goes. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cove.images.catalog import Catalog
from cove.images.records import ImageName
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
    digests = {target.digest for target in gone}
    rest = [target for target in catalog.targets.values() if target.digest not in digests]
    changed = [target.without(image_id) for target in rest if target.part_of(image_id)]
    needed = {image for target in rest for image in target.images}
    others = [image for target in gone for image in target.images if image not in needed and image != image_id]
    return Departure(sorted(digests), changed, [image_id, *dict.fromkeys(others)])


def superseded(targets: Iterable[Target], names: Mapping[str, ImageName]) -> list[str]:
    """Targets without a name whose images are all part of targets that have one."""
    named = {name.target for name in names.values()}
    targets = list(targets)
    reached = {image for target in targets if target.digest in named for image in target.images}
    return [target.digest for target in targets if target.digest not in named and reached.issuperset(target.images)]
