"""A volume's files for a job, mounted as the start of a container would have them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from cove.engine.containers.container import Container
from cove.engine.containers.record import MountPoint
from cove.engine.containers.registry import Registry
from cove.errors import Conflict
from cove.kernel.staged_mounts import StagedMount
from cove.volumes import LOCAL, Source, Volumes, visits

MEMORY = ("tmpfs", "ramfs")
"""File systems that are another one each time they are mounted."""


class Access:
    """Asks drivers for volumes, and knows which containers have those that are in memory."""

    def __init__(self, registry: Registry, volumes: Volumes) -> None:
        self._registry = registry
        self._volumes = volumes

    @contextlib.asynccontextmanager
    async def to(self, name: str) -> AsyncIterator[Source]:
        """While a job works on a volume's files: where they are once the job has made the staged mounts.

        Raises NotFound, Internal in Docker's words.
        """
        ours = self._volumes.get(name).driver == LOCAL
        with contextlib.nullcontext(visits.user()) if ours else self._volumes.visits.noted(name) as user:
            source = await self._volumes.mount(name, user)
            try:
                yield source._replace(staged=tuple(self.shared(name, source)))
            finally:
                await asyncio.shield(self._volumes.unmount(name, user))

    async def end_left(self) -> None:
        """End what jobs of an earlier daemon have mounted."""
        for volume in self._volumes.list():
            for user in self._volumes.visits.left(volume.name):
                await self._volumes.adopt(volume.name, user)
                await self._volumes.unmount(volume.name, user)

    def in_memory(self, name: str) -> bool:
        """Whether it is there only while a container has it."""
        return self._volumes.has(name) and self._volumes.get(name).options.get("type") in MEMORY

    def is_directory(self, name: str) -> bool:
        """Whether its files lie in a directory of this engine that another one may take the place of."""
        volume = self._volumes.get(name)
        return volume.driver == LOCAL and not volume.options

    def shared(self, name: str, source: Source, container: Container | None = None) -> Sequence[StagedMount]:
        """What is to be mounted for a volume; one in memory that a running container has is that container's.

        ``container``: who wants it. Raises Conflict when the other has other user ids.
        """
        if not self.in_memory(name):
            return source.staged
        for user in self._registry.volume_users(name):
            theirs = _whole(user, name)
            if user is container or not user.running or theirs is None:
                continue
            if container is not None and _userns(user) != _userns(container):
                raise Conflict(f"volume {name} is in memory, and container {user.id} has it with other user ids")
            namespace = f"/proc/{user.pid}/ns/mnt"
            return (StagedMount("copy", source.path, namespace, theirs.destination, source.staged[0].type),)
        return source.staged


def _userns(container: Container) -> str:
    return container.record.host_config.userns_mode


def _whole(container: Container, volume: str) -> MountPoint | None:
    """Where a container has all of a volume."""
    mounts = container.record.mounts
    return next((mount for mount in mounts if mount.name == volume and not mount.subpath), None)
