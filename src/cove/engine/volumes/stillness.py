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

Pause = asyncio.Task[None]

_NOT_OURS = (Conflict, NotFound)
"""It was paused by somebody else, or has ended."""


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
        told = Stillness()
        pauses = list[tuple[Container, Pause]]()
        began = time.monotonic()
        try:
            for container in self.writers(volume):
                pause = asyncio.create_task(self._stopping.pause(container, held=True))
                pauses.append((container, pause))
                with contextlib.suppress(*_NOT_OURS):
                    await asyncio.shield(pause)
            yield told
        finally:
            for container, pause in pauses:
                with contextlib.suppress(*_NOT_OURS):
                    await asyncio.shield(self._let_go_on(container, pause))
                    told.containers.append(container.name)
            if told.containers:
                told.milliseconds = round((time.monotonic() - began) * 1000, 1)

    async def _let_go_on(self, container: Container, pause: Pause) -> None:
        """Also one whose pause was not waited for to its end, as who asked for the copy has gone."""
        await pause
        await self._stopping.unpause(container)


def _writes(container: Container, volume: str) -> bool:
    return any(mount.name == volume and mount.writable for mount in container.record.mounts if mount.kind == "volume")
