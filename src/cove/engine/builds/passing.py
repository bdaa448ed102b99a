"""Images that are in the store for the time of a build: its client writes them elsewhere, or has loaded them for it.

The client removes them when it is done. What a client that was killed has left goes with its connection, and what a
daemon that was killed has left with the next start.
"""

import contextlib
from collections.abc import Collection

from cove.engine.containers.registry import Registry
from cove.engine.removing.removal import Removal
from cove.errors import CoveError
from cove.images import Images
from cove.reference import Reference
from cove.wire.builds import BuildOptions

REPOSITORIES = tuple(f"docker.io/library/{name}" for name in ("cove-build", "cove-build-context", "cove-build-cache"))
"""Their tags begin with the build's id."""


class Passing:
    """Removes them."""

    def __init__(self, images: Images, registry: Registry, removal: Removal) -> None:
        self._images = images
        self._registry = registry
        self._removal = removal

    def leaves(self, options: BuildOptions) -> bool:
        """Whether a build makes an image that its client is going to fetch and remove."""
        made = [*filter(None, [options.stored_as]), *(given.get("ref", "") for given in options.cache_to)]
        return any(_passes(name) for name in made)

    async def end(self, build: str, names: Collection[str] = ()) -> None:
        """Remove what there is still of a build, and these names where they are of such images."""
        given = [str(Reference.parse(name)) for name in names if _passes(name)]
        await self._remove([name for name in self._all() if name.tag.startswith(build or "/") or str(name) in given])

    async def collect(self) -> None:
        """Remove all of them. Only at start-up."""
        await self._remove(self._all())

    def _all(self) -> list[Reference]:
        found = (name for listed in self._images.select() for name in listed.references)
        return [name for name in found if name.tag and name.repository in REPOSITORIES]

    async def _remove(self, names: Collection[Reference]) -> None:
        for container in list(self._registry):  # whose files were to be exported
            if container.record.image_name in [name.familiar for name in names]:
                with contextlib.suppress(CoveError):
                    await self._removal.remove(container, force=True, volumes=True, now=True)
        for name in names:
            with contextlib.suppress(CoveError):
                await self._images.remove(str(name), force=True, in_use=lambda image: [])


def _passes(name: str) -> bool:
    try:
        return Reference.parse(name).repository in REPOSITORIES
    except CoveError:
        return False
