"""What a container's mounts need before they can be bound: volumes made ready by their drivers, and staged mounts."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from cove.engine.containers.container import Container
from cove.engine.containers.record import MountPoint
from cove.engine.containers.registry import Registry
from cove.engine.mounting.root_sizes import RootSizes
from cove.engine.volumes.access import Access
from cove.images import Images
from cove.kernel.staged_mounts import StagedMount
from cove.volumes import Source, Volumes


class Mounted(NamedTuple):
    """``sources``: of mounts, by destination. ``staged``: what is to be mounted before they are there, in order.

    ``mapped``: destinations of those that have another container's mapping of ids.
    """

    sources: Mapping[str, str]
    staged: Sequence[StagedMount]
    mapped: frozenset[str] = frozenset()


NOTHING_MOUNTED = Mounted({}, ())


class VolumeMounts:
    """Asks drivers for the volumes of containers."""

    def __init__(self, registry: Registry, volumes: Volumes, images: Images) -> None:
        self.roots = RootSizes(volumes.spaces)
        self.access = Access(registry, volumes)
        self._images = images
        self._volumes = volumes

    @contextlib.asynccontextmanager
    async def beginning(self, container: Container) -> AsyncIterator[Mounted]:
        """While a container starts, or a job sees its files. ``ended`` follows when that is over.

        Of those that begin with the same volume in memory the second waits until the first has mounted it. Raises
        NotFound, Internal in Docker's words.
        """
        mounts = [mount for mount in container.record.mounts if mount.kind in ("volume", "image")]
        if not mounts and not container.record.host_config.storage_opt:
            yield NOTHING_MOUNTED
            return
        async with self._volumes.locked(*(mount.name for mount in mounts if mount.kind == "volume")):
            pass  # what is being copied into one of them is there
        async with self._volumes.locked(*(mount.name for mount in mounts if self.access.in_memory(mount.name))):
            yield await self._mount(container, mounts)

    async def _mount(self, container: Container, mounts: Sequence[MountPoint]) -> Mounted:
        sources: dict[str, str] = {}
        staged = dict.fromkeys(await self.roots.attach(container, container.id))
        container.paths.run.mkdir(mode=0o711, parents=True, exist_ok=True)  # so that the next daemon knows of it
        try:
            for number, mount in enumerate(mounts):
                place = str(container.paths.places / str(number))
                source = await self.source(container, mount, place)
                staged |= dict.fromkeys(source.staged)
                sources[mount.destination] = source.path
        except BaseException:
            await self.ended(container)
            raise
        copied = {mount.place for mount in staged if mount.kind == "copy"}
        mapped = {place for place, source in sources.items() if source in copied}
        return Mounted(sources, list(staged), frozenset(mapped))

    async def source(self, container: Container, mount: MountPoint, place: str) -> Source:
        """Of a volume or image, or a part of one, to be mounted at ``place``. ``ended`` follows when that is over.

        Raises NotFound, Internal in Docker's words.
        """
        whole = await self._whole(container, mount, place)
        if not mount.subpath:
            return whole
        part = StagedMount("part", f"{place}-part", whole.path, mount.subpath)
        return Source(part.place, (*whole.staged, part))

    async def _whole(self, container: Container, mount: MountPoint, place: str) -> Source:
        if mount.kind == "image":
            layers = tuple(map(str, await self._images.lower_directories(mount.image)))
            return Source(place, (StagedMount("layers", place, layers=layers),))
        source = await self._volumes.mount(mount.name, container.id)
        mount.source = source.path
        return source._replace(staged=tuple(self.access.shared(mount.name, source, container)))

    async def adopt(self, container: Container) -> None:
        """An earlier daemon has begun with its volumes."""
        for mount in container.record.mounts:
            if mount.kind == "volume":
                await self._volumes.adopt(mount.name, container.id)

    async def ended(self, container: Container) -> None:
        """It needs its volumes no longer. Raises nothing for those that it never had."""
        self.roots.release(container, container.id)
        for name in {mount.name: None for mount in container.record.mounts if mount.kind == "volume"}:
            await self._volumes.unmount(name, container.id)
