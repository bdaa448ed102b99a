"""Copy-up: an empty volume begins with what the image has at its place."""

import contextlib
import os

from cove.engine.containers.container import Container
from cove.engine.containers.record import MountPoint
from cove.engine.containers.registry import Registry
from cove.engine.volumes.access import Access
from cove.images import Images
from cove.layers import Worker
from cove.layers.worker.jobs import Populate, PopulateDone
from cove.layers.worker.staging import written
from cove.volumes import LOCAL, Source, Volumes


class Populating:
    """Fills the volumes of containers that are being created, by jobs of the worker."""

    def __init__(self, registry: Registry, images: Images, volumes: Volumes, worker: Worker, access: Access) -> None:
        self._registry = registry
        self._images = images
        self._volumes = volumes
        self._worker = worker
        self._access = access

    async def fill(self, container: Container) -> None:
        """For every volume that asks for it. Its directories are there, its row need not be. Raises CoveError."""
        for mount in container.record.mounts:
            if mount.kind == "volume" and not mount.no_copy and not mount.subpath and self._lasts(mount.name):
                async with self._volumes.locked(mount.name):
                    await self._fill(container, mount)

    def _lasts(self, name: str) -> bool:
        """What is in memory would be gone before the start."""
        return not self._access.in_memory(name)

    async def _fill(self, container: Container, mount: MountPoint) -> None:
        if self._volumes.get(mount.name).driver != LOCAL and not await self._worth_mounting(container, mount):
            return
        async with self._access.to(mount.name) as source:
            if source.staged or _is_empty(source.path):
                await self._copy(container, mount, source)

    async def _worth_mounting(self, container: Container, mount: MountPoint) -> bool:
        """Whether the image has anything, before a plug-in is asked."""
        lower = await self._images.lower_directories(container.record.image)
        job = Populate([str(directory) for directory in lower], mount.destination, "")
        return (await self._worker.run(job, PopulateDone)).found

    async def _copy(self, container: Container, mount: MountPoint, source: Source) -> None:
        layers = await self._images.lower_directories(container.record.image)
        lower = [str(directory) for directory in layers]
        job = Populate(
            lower,
            mount.destination,
            source.path,
            staged=written(source.staged),
            replaces=self._access.is_directory(mount.name) and not self._in_use(mount.name),
        )
        await self._worker.run(job, PopulateDone)

    def _in_use(self, name: str) -> bool:
        """By a container that runs, or is about to."""
        return any(user.running or user.lock.locked() for user in self._registry.volume_users(name))


def _is_empty(path: str) -> bool:
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        return all(entry.name == ".cove-copy-up" for entry in entries)
    return False
