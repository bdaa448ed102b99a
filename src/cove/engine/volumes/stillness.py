"""Containers that write to a volume, paused for a moment in which it is copied."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.lifecycle.stopping import Stopping
from cove.errors import Conflict, NotFound
from cove.wire.volume_copies import Stillness


class Still:
    """Pauses the writers of a volume by the freezer, and measures for how long."""

    def __init__(self, registry: Registry, stopping: Stopping) -> None:
        self._registry = registry
        self._stopping = stopping

    def writers(self, volume: str) -> list[Container]:
        """The containers that run, are not paused, and can write to the volume."""
        return [
            container
            for container in self._registry.volume_users(volume)
            if container.status == "running" and _writes(container, volume)
        ]

    @contextlib.asynccontextmanager
    async def of(self, volume: str) -> AsyncIterator[Stillness]:
        """While no container that runs now writes to the volume. What is yielded is complete at the end."""
        told, paused = Stillness(), list[Container]()
        began = time.monotonic()
        try:
            for container in self.writers(volume):
                with contextlib.suppress(Conflict, NotFound):  # it was paused by somebody else, or has ended
                    await self._stopping.pause(container, held=True)
                    paused.append(container)
            yield told
        finally:
            for container in paused:
                with contextlib.suppress(Conflict, NotFound):
                    await asyncio.shield(self._stopping.unpause(container))
            if paused:
                told.containers = [container.name for container in paused]
                told.milliseconds = round((time.monotonic() - began) * 1000, 1)


def _writes(container: Container, volume: str) -> bool:
    return any(mount.name == volume and mount.writable for mount in container.record.mounts if mount.kind == "volume")
