"""What somebody removes from the host under running containers, and what is put back: bridges, parents, links."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.networking.connectivity import Connectivity
from cove.errors import CoveError
from cove.kernel.rtnetlink import LinkEvents
from cove.network import Networks

log = logging.getLogger(__name__)

SETTLING_SECONDS = 0.1
"""From a link's end to the look at what it means: those of a container that has ended go before its network does."""


class Repairs:
    """Listens for removed links of the host, and repairs networks that have lost one."""

    def __init__(self, networks: Networks, registry: Registry, connectivity: Connectivity) -> None:
        self._networks = networks
        self._registry = registry
        self._connectivity = connectivity
        self._events: LinkEvents | None = None
        self._suspects: set[str] = set()
        self._everything = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Begin to listen, in the daemon's network namespace."""
        self._events = LinkEvents()
        asyncio.get_running_loop().add_reader(self._events.fileno(), self._read)

    async def close(self) -> None:
        if self._events is not None:
            asyncio.get_running_loop().remove_reader(self._events.fileno())
            self._events.close()
            self._events = None
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _read(self) -> None:
        assert self._events is not None
        removed = self._events.removed()
        self._suspects.update(removed or ())
        self._everything = self._everything or removed is None
        if (self._suspects or self._everything) and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SETTLING_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        suspects, self._suspects = self._suspects, set()
        everything, self._everything = self._everything, False
        missed = [link for link in suspects if self._networks.depends_on(link)]
        if not (missed or everything):
            return
        if self._task is not None and not self._task.done():  # look again once that is done
            self._suspects |= suspects
            self._timer = asyncio.get_running_loop().call_later(SETTLING_SECONDS, self._look)
            return
        log.warning("links were removed: %s; repairing the networks", ", ".join(sorted(missed)) or "too many to tell")
        self._task = asyncio.create_task(self._repair())

    async def _repair(self) -> None:
        """Under the locks of all containers that have endpoints, so that none of them ends or moves meanwhile."""
        async with contextlib.AsyncExitStack() as stack:
            namespaces: dict[str, int] = {}
            for container in sorted(self._registry, key=lambda container: container.id):
                if container.running and self._connectivity.endpoints(container):
                    await stack.enter_async_context(container.lock)
                    self._open(container, namespaces, stack)
            await self._apply(namespaces)

    def _open(self, container: Container, namespaces: dict[str, int], stack: contextlib.AsyncExitStack) -> None:
        """One that has just ended has no namespace any more, and needs no link."""
        with contextlib.suppress(OSError):
            if container.running:
                descriptor = os.open(f"/proc/{container.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                namespaces[container.id] = descriptor

    async def _apply(self, namespaces: Mapping[str, int]) -> None:
        for container_id, restored in (await self._networks.repair(namespaces)).items():
            try:
                await self._connectivity.apply(self._registry.get(container_id), restored)
            except CoveError as error:
                log.error("container %s: its links could not be restored: %s", container_id[:12], error)
