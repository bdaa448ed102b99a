"""Which images there are and what they are called, in memory: every look-up is answered from here."""

import re
from collections import defaultdict
from collections.abc import Iterable

from cove.errors import InvalidArgument, NotFound
from cove.images.records import Image, ImageName
from cove.reference import Reference

_HEX = re.compile(r"[0-9a-f]{1,64}")
SHORT_ID = 12


class Catalog:
    """``images`` by id, hidden ones too; ``names``: canonical reference to image id."""

    def __init__(self, images: Iterable[Image] = (), names: Iterable[ImageName] = ()) -> None:
        self.images = {image.id: image for image in images}
        self.names = {name.reference: name.image for name in names}

    def visible(self) -> list[Image]:
        """All images but hidden ones."""
        return [image for image in self.images.values() if not image.hidden]

    def get(self, image_id: str) -> Image:
        """The image of a full id, hidden or not. Raises NotFound."""
        image = self.images.get(image_id)
        if image is None:
            raise NotFound(f"No such image: {image_id}")
        return image

    def references(self, image_id: str) -> list[Reference]:
        """The names of an image, sorted, those with a tag before those with a digest."""
        found = [Reference.parse(name) for name, image in self.names.items() if image == image_id]
        return sorted(found, key=lambda reference: (bool(reference.digest), str(reference)))

    def references_by_image(self) -> dict[str, list[Reference]]:
        """``references`` of every image at once."""
        found: dict[str, list[Reference]] = defaultdict(list)
        for name, image in sorted(self.names.items()):
            found[image].append(Reference.parse(name))
        return {image: sorted(names, key=lambda name: bool(name.digest)) for image, names in found.items()}

    def resolve(self, name: str) -> Image:
        """The image that a user means: by id, by name, by a prefix of an id. Raises NotFound, InvalidArgument."""
        digits = name.removeprefix("sha256:")
        if len(digits) == 64 and _HEX.fullmatch(digits):
            return self._by_id(f"sha256:{digits}")
        try:
            reference = named(name)
        except InvalidArgument:
            if not (name.startswith("sha256:") and _HEX.fullmatch(digits)):
                raise
            reference = None
        if reference is not None and (image := self.names.get(str(reference))) is not None:
            return self.images[image]
        if _HEX.fullmatch(digits):
            found = self._by_prefix(digits, name)
            if found is not None:
                return found
        raise NotFound(f"No such image: {reference.familiar if reference else name}")

    def _by_id(self, image_id: str) -> Image:
        image = self.images.get(image_id)
        if image is None or image.hidden:
            raise NotFound(f"No such image: {image_id}")
        return image

    def _by_prefix(self, digits: str, name: str) -> Image | None:
        found = [image for image in self.visible() if image.id.startswith(digits, len("sha256:"))]
        if len(found) > 1:
            raise InvalidArgument(f"multiple IDs found with provided prefix: {name}")
        return found[0] if found else None


def named(name: str) -> Reference:
    """What a name stands for: with ``latest`` where it says nothing, by its digest alone where it has one."""
    reference = Reference.parse(name).with_default_tag()
    return reference.without_tag() if reference.digest else reference


def short_id(image_id: str) -> str:
    """The twelve digits by which people know an image or a container."""
    return image_id.removeprefix("sha256:")[:SHORT_ID]
