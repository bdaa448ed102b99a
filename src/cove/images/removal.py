"""``docker rmi`` and ``docker image prune``: which names and images go, by Docker's rules and in its words."""

from collections.abc import Callable, Sequence

from cove.errors import Conflict
from cove.filters import Filters
from cove.images.catalog import named, short_id
from cove.images.inventory import Inventory
from cove.images.listing import PRUNE_FILTERS, labels
from cove.images.records import Deleted, Image, Pruned, Untagged, Use
from cove.platform import Platform
from cove.reference import Reference
from cove.units import parse_moment

InUse = Callable[[str], Sequence[Use]]
"""The containers that use an image, by image id."""
Removed = list[Untagged | Deleted]


async def remove(inventory: Inventory, name: str, force: bool, in_use: InUse) -> Removed:
    """See ``Images.remove``."""
    image, target = inventory.catalog.resolve(name), inventory.catalog.target(name)
    if image.id != target.image:
        return await remove_platforms(inventory, name, [image.platform], force, in_use)
    if _is_prefix(image.id, name) or _is_prefix(target.digest, name):
        return await _remove_by_id(inventory, image, force, in_use)
    return await _remove_by_name(inventory, image, name, force, in_use)


async def remove_platforms(
    inventory: Inventory, name: str, platforms: Sequence[Platform], force: bool, in_use: InUse
) -> Removed:
    """Remove these images of what a name points at; all of it when nothing else is left. See ``Images.remove``."""
    catalog = inventory.catalog
    target = catalog.target(name)
    images = list(dict.fromkeys(catalog.resolve(name, platform).id for platform in platforms))
    if set(images) == set(target.images):
        return await remove(inventory, name, force, in_use)
    for image_id in images:
        if conflict := _conflict(catalog.get(image_id), [], in_use(image_id), force):
            raise conflict
    removed: Removed = []
    for image_id in images:
        layers = await inventory.drop_platform(target.digest, image_id)
        removed += [Deleted(image_id), *(Deleted(chain_id) for chain_id in layers)]
    return removed


async def prune(inventory: Inventory, filters: Filters, in_use: InUse) -> Pruned:
    """See ``Images.prune``."""
    filters.check(PRUNE_FILTERS)
    only_dangling = filters.boolean("dangling") is not False
    until = filters.single("until")
    limit = parse_moment(until) / 1e9 if until is not None else None
    removed: Removed = []
    before = {layer.chain_id: layer.size for layer in inventory.layers.uppermost_first()}
    for image in inventory.catalog.listed():
        names = inventory.catalog.references(image.id)
        if (only_dangling and any(name.tag for name in names)) or _uses(inventory, image, in_use):
            continue
        if (limit is not None and image.created >= limit) or not filters.labels(labels(image)):
            continue
        if filters.without_labels(labels(image)):
            removed += [Untagged(name.familiar) for name in names] + await _drop(inventory, image)
    reclaimed = sum(before.get(item.digest, 0) for item in removed if isinstance(item, Deleted))
    return Pruned(removed, reclaimed)


async def _remove_by_name(inventory: Inventory, image: Image, name: str, force: bool, in_use: InUse) -> Removed:
    names, uses = inventory.catalog.references(image.id), _uses(inventory, image, in_use)
    if not force and _is_single(names) and uses:
        raise Conflict(
            f'conflict: unable to remove repository reference "{name}" (must force) - '
            f"container {short_id(uses[0].container)} is using its referenced image {short_id(image.id)}"
        )
    gone = _meant(named(name), names)
    removed: Removed = [Untagged(other.familiar) for other in gone]
    if len(gone) < len(names) or _conflict(image, [], uses, force):  # it stays, in the latter case for containers
        await inventory.untag(gone)
        return removed
    return removed + await _drop(inventory, image)  # with its names: they and it go at once, or not at all


def _meant(reference: Reference, names: Sequence[Reference]) -> list[Reference]:
    """The names that go with one. A digest that is no name of its own stands for the tags of its repository."""
    rest = [other for other in names if other != reference]
    same = [other for other in rest if other.repository == reference.repository]
    if reference not in names:
        return same
    if reference.tag and all(other.digest for other in same):
        return [reference, *same]  # digests of a repository go with its last tag
    return [reference]


async def _remove_by_id(inventory: Inventory, image: Image, force: bool, in_use: InUse) -> Removed:
    names, uses = inventory.catalog.references(image.id), _uses(inventory, image, in_use)
    checked = [] if _is_single(names) else names
    if conflict := _conflict(image, checked, uses, force):
        raise conflict
    return [Untagged(name.familiar) for name in names] + await _drop(inventory, image)


def _uses(inventory: Inventory, image: Image, in_use: InUse) -> list[Use]:
    """The containers of an image and of the platforms that would go with it."""
    targets = [target for target in inventory.catalog.targets_of(image.id) if target.image == image.id]
    images = dict.fromkeys([image.id, *(found for target in targets for found in target.images)])
    return [use for found in images for use in in_use(found)]


async def _drop(inventory: Inventory, image: Image) -> Removed:
    layers = await inventory.drop(image.id)
    return [Deleted(image.id), *(Deleted(chain_id) for chain_id in layers)]


def _conflict(image: Image, names: Sequence[Reference], uses: Sequence[Use], force: bool) -> Conflict | None:
    """Why the image cannot go; ``names`` count only without ``force``."""
    for use in uses:
        if use.running:
            return _refusal(
                image, "cannot be forced", f"image is being used by running container {short_id(use.container)}"
            )
    if force:
        return None
    if names:
        return _refusal(image, "must be forced", "image is referenced in multiple repositories")
    if uses:
        stopped = short_id(uses[0].container)
        return _refusal(image, "must be forced", f"image is being used by stopped container {stopped}")
    return None


def _refusal(image: Image, how: str, why: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {short_id(image.id)} ({how}) - {why}")


def _is_single(names: Sequence[Reference]) -> bool:
    """Whether the names are at most one tag, and digests of the same repository."""
    tags = [name for name in names if name.tag]
    return len(tags) <= 1 and len({name.repository for name in names}) <= 1


def _is_prefix(image_id: str, name: str) -> bool:
    return image_id.startswith(name) or image_id.removeprefix("sha256:").startswith(name)
