"""The API's requests that change a container's state or wait for it."""

import asyncio
from collections.abc import Awaitable
from typing import Literal

from cove.engine import signals
from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.lifecycle.stopping import Stopping
from cove.engine.lifecycle.transitions import Transitions
from cove.errors import Conflict, NotFound
from cove.wire.containers import ContainerWait


class Lifecycle:
    """Finds the container that a request names and makes the move."""

    def __init__(self, registry: Registry, transitions: Transitions, stopping: Stopping) -> None:
        self._registry = registry
        self._transitions = transitions
        self._stopping = stopping

    async def start(self, ref: str, *, detach_keys: str) -> None:
        await self._transitions.start(self._registry.get(ref))

    async def stop(self, ref: str, *, timeout: int | None, signal: str) -> None:
        await self._transitions.stop(self._registry.get(ref), timeout, signal)

    async def restart(self, ref: str, *, timeout: int | None, signal: str) -> None:
        await self._transitions.restart(self._registry.get(ref), timeout, signal)

    async def kill(self, ref: str, signal: str) -> None:
        signals.number(signal or "SIGKILL")
        try:
            await self._stopping.kill(self._registry.get(ref), signal)
        except (Conflict, NotFound) as error:
            raise type(error)(f"Cannot kill container: {ref}: {error.message}") from error

    async def pause(self, ref: str) -> None:
        await self._stopping.pause(self._registry.get(ref))

    async def unpause(self, ref: str) -> None:
        await self._stopping.unpause(self._registry.get(ref))

    async def wait(
        self, ref: str, condition: Literal["not-running", "next-exit", "removed"]
    ) -> Awaitable[ContainerWait]:
        container = self._registry.get(ref)
        if condition == "removed":
            return _result(container.removed)
        if condition == "next-exit" or container.running or container.status == "restarting":
            return _result(container.ended)
        return _ended(container)


async def _result(future: "asyncio.Future[int]") -> ContainerWait:
    return ContainerWait(status_code=await asyncio.shield(future))


async def _ended(container: Container) -> ContainerWait:
    return ContainerWait(status_code=container.record.state.exit_code)
