"""Which images there are and what they are called, in memory: every look-up is answered from here."""

import re
from collections import defaultdict
from collections.abc import Iterable

from cove.errors import InvalidArgument, NotFound
from cove.images.records import Image, ImageName
from cove.images.targets import Target
from cove.platform import Platform
from cove.reference import Reference

_HEX = re.compile(r"[0-9a-f]{1,64}")
SHORT_ID = 12


class Catalog:
    """``images`` by id, hidden ones too; ``names`` by canonical reference; ``targets`` by digest."""

    def __init__(
        self, images: Iterable[Image] = (), names: Iterable[ImageName] = (), targets: Iterable[Target] = ()
    ) -> None:
        self.images = {image.id: image for image in images}
        self.names = {name.reference: name for name in names}
        self.targets = {target.digest: target for target in targets}

    def visible(self) -> list[Image]:
        """All images but hidden ones."""
        return [image for image in self.images.values() if not image.hidden]

    def listed(self) -> list[Image]:
        """The visible images, without those that are only further platforms of another."""
        best = {target.image for target in self.targets.values()}
        return [image for image in self.images.values() if not image.hidden and image.id in best]

    def get(self, image_id: str) -> Image:
        """The image of a full id, hidden or not. Raises NotFound."""
        image = self.images.get(image_id)
        if image is None:
            raise NotFound(f"No such image: {image_id}")
        return image

    def references(self, image_id: str) -> list[Reference]:
        """The names of an image, sorted, those with a tag before those with a digest."""
        found = [Reference.parse(name.reference) for name in self.names.values() if name.image == image_id]
        return sorted(found, key=lambda reference: (bool(reference.digest), str(reference)))

    def references_by_image(self) -> dict[str, list[Reference]]:
        """``references`` of every image at once."""
        found: dict[str, list[Reference]] = defaultdict(list)
        for reference, name in sorted(self.names.items()):
            found[name.image].append(Reference.parse(reference))
        return {image: sorted(names, key=lambda name: bool(name.digest)) for image, names in found.items()}

    def targets_of(self, image_id: str) -> list[Target]:
        """What an image is the best or another platform of: the ones with names, and the newest, first."""
        named = {name.target for name in self.names.values()}
        found = [target for target in reversed(self.targets.values()) if target.part_of(image_id)]
        return sorted(found, key=lambda target: (target.image != image_id, target.digest not in named))

    def best_targets(self) -> dict[str, Target]:
        """For each image that is the best of some target the one that ``targets_of`` has first."""
        named = {name.target for name in self.names.values()}
        found: dict[str, Target] = {}
        for target in self.targets.values():
            if target.image not in found or target.digest in named or found[target.image].digest not in named:
                found[target.image] = target
        return found

    def target(self, name: str) -> Target:
        """What a user means, with all its platforms. Raises NotFound, InvalidArgument."""
        return self._find(name)[0]

    def resolve(self, name: str, platform: Platform | None = None) -> Image:
        """The image that a user means: by id, by name, by a digest that a name points at, by a prefix of either.

        Without ``platform`` the best for this machine. Raises NotFound, InvalidArgument.
        """
        target, image_id = self._find(name)
        if platform is None:
            return self.images[image_id]
        candidates = [self.images[found] for found in target.images]
        if image_id != target.image:  # it was asked for by its own id
            candidates = [self.images[image_id]]
        chosen = _best(candidates, platform)
        if chosen is None:
            raise NotFound(f"image with reference {name} was found but {_refusal(candidates, platform)}")
        return chosen

    def _find(self, name: str) -> tuple[Target, str]:
        """The target, and the id of the image in it that is meant."""
        digits = name.removeprefix("sha256:")
        if len(digits) == 64 and _HEX.fullmatch(digits):
            found = self._by_prefix(digits, name)
            if found is None:
                raise NotFound(f"No such image: sha256:{digits}")
            return found
        try:
            reference = named(name)
        except InvalidArgument:
            if not (name.startswith("sha256:") and _HEX.fullmatch(digits)):
                raise
            reference = None
        if reference is not None and (known := self._by_name(reference)) is not None:
            return known, known.image
        if _HEX.fullmatch(digits):
            found = self._by_prefix(digits, name)
            if found is not None:
                return found
        raise NotFound(f"No such image: {reference.familiar if reference else name}")

    def _by_name(self, reference: Reference) -> Target | None:
        name = self.names.get(str(reference))
        if name is not None:
            return self.targets[name.target]
        if reference.digest and reference.digest in self.targets:
            prefix = f"{reference.repository}:"
            if any(
                name.target == reference.digest and name.reference.startswith(prefix) for name in self.names.values()
            ):
                return self.targets[reference.digest]
        return None

    def _by_prefix(self, digits: str, name: str) -> tuple[Target, str] | None:
        start = f"sha256:{digits}"
        images = {image.id for image in self.visible() if image.id.startswith(start)}
        targets = {digest for digest in self.targets if digest.startswith(start)}
        if len(images) + len(targets) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {name}")
        for image_id in images:
            return self.targets_of(image_id)[0], image_id
        for digest in targets:
            return self.targets[digest], self.targets[digest].image
        return None


def named(name: str) -> Reference:
    """What a name stands for: with ``latest`` where it says nothing, by its digest alone where it has one."""
    return canonical(Reference.parse(name))


def canonical(reference: Reference) -> Reference:
    """The form in which names are kept: with a tag, or with a digest and no tag."""
    return reference.without_tag() if reference.digest else reference.with_default_tag()


def short_id(image_id: str) -> str:
    """The twelve digits by which people know an image or a container."""
    return image_id.removeprefix("sha256:")[:SHORT_ID]


def _best(images: list[Image], wanted: Platform) -> Image | None:
    """The image that serves a platform best; one that does not say what it is for serves every."""
    ranked = []
    for order, image in enumerate(images):
        rank = wanted.preference(image.platform) if image.config.os and image.config.architecture else 0
        if rank is not None:
            ranked.append((rank, order))
    return images[min(ranked)[1]] if ranked else None


def _refusal(images: list[Image], wanted: Platform) -> str:
    if len(images) > 1:
        return f"does not provide the specified platform ({wanted})"
    offered = images[0].platform.normal()
    return f"its platform ({offered}) does not match the specified platform ({wanted})"
