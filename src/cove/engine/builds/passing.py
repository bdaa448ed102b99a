"""Images that are in the store for the time of a build: its client writes them elsewhere, or has loaded them for it.

The client removes them when it is done. What a client that was killed has left goes with its connection, and what a
daemon that was killed has left with the next start. Images that were there before stay.
"""

import contextlib
import re
from collections.abc import Collection

from cove.engine.containers.registry import Registry
from cove.engine.removing.removal import Removal
from cove.errors import CoveError
from cove.images import Images, Use
from cove.reference import Reference
from cove.wire.builds import BuildOptions

REPOSITORIES = tuple(f"docker.io/library/{name}" for name in ("cove-build", "cove-build-context", "cove-build-cache"))
_TAG = re.compile("([0-9a-f]{32})(-[0-9a-f]{8})?")
"""The id that our client has given the build, and what tells several images of one apart. Other tags are a user's."""


class Passing:
    """Removes them."""

    def __init__(self, images: Images, registry: Registry, removal: Removal) -> None:
        self._images = images
        self._registry = registry
        self._removal = removal

    def leaves(self, options: BuildOptions) -> bool:
        """Whether a build makes an image that its client is going to fetch and remove."""
        made = [*filter(None, [options.stored_as]), *(given.get("ref", "") for given in options.cache_to)]
        return any(map(passes, made))

    async def end(self, build: str, names: Collection[str] = ()) -> None:
        """Remove what there is still of a build, and these names where they are of such images."""
        if not build:
            return
        given = [str(Reference.parse(name)) for name in names if passes(name)]
        await self._remove([name for name in self._all() if _build(name) == build or str(name) in given])

    async def collect(self) -> None:
        """Remove all of them. Only at start-up."""
        await self._remove(self._all())

    def _all(self) -> list[Reference]:
        found = (name for listed in self._images.select() for name in listed.references)
        return [name for name in found if _build(name)]

    async def _remove(self, names: Collection[Reference]) -> None:
        for container in list(self._registry):  # whose files were to be exported
            if container.record.image_name in [name.familiar for name in names]:
                with contextlib.suppress(CoveError):
                    await self._removal.remove(container, force=True, volumes=True, now=True)
        for name in names:
            with contextlib.suppress(CoveError):
                await self._images.end(name, self._uses)

    def _uses(self, image: str) -> list[Use]:
        return [Use(container.id, container.running) for container in self._registry.image_users(image)]


def passes(name: str) -> bool:
    """Whether an image has this name for the time of a build only."""
    try:
        return bool(_build(Reference.parse(name)))
    except CoveError:
        return False


def _build(name: Reference) -> str:
    """The build that an image is there for; nothing for any other."""
    tag = _TAG.fullmatch(name.tag) if name.repository in REPOSITORIES else None
    return tag[1] if tag is not None else ""
