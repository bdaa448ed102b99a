"""How a running program is signalled, frozen and brought to its end."""

import asyncio
import contextlib
import errno
import signal
from collections.abc import Callable

from cove.engine import signals
from cove.engine.bundle.bundles import Bundles
from cove.engine.containers.container import Container
from cove.engine.containers.record import Status
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.lifecycle.health import Probes
from cove.errors import Conflict, Internal, NotFound
from cove.kernel.cgroups import Cgroup, layout

DEFAULT_STOP_TIMEOUT = 10
"""Seconds between the stop signal and SIGKILL, Docker's default."""


class Stopping:
    """Signals, freezes and ends what runs. What follows an end is for ``Transitions``."""

    def __init__(self, registry: Registry, bundles: Bundles, announcements: Announcements, probes: Probes) -> None:
        self._registry = registry
        self._bundles = bundles
        self._announcements = announcements
        self._probes = probes

    async def end(self, container: Container, timeout: int | None, number: int) -> None:
        """Ask the program to end by a signal, kill it after ``timeout`` seconds (negative: never), wait for its end."""
        config = container.record.config
        if timeout is None:
            timeout = DEFAULT_STOP_TIMEOUT if config.stop_timeout is None else config.stop_timeout
        ended = container.ended
        with contextlib.suppress(Conflict, NotFound):  # it has just ended by itself
            if container.status == "paused":
                await self.unpause(container)
            await self.signal(container, number)
        try:
            await asyncio.wait_for(asyncio.shield(ended), timeout if timeout >= 0 else None)
        except TimeoutError:
            with contextlib.suppress(Conflict):
                await self.signal(container, signal.SIGKILL)
            await asyncio.shield(ended)

    async def kill(self, container: Container, signal_name: str) -> None:
        """Send a signal. SIGKILL returns once the container has ended. Raises Conflict when it does not run."""
        number = signals.number(signal_name or "SIGKILL")
        if not container.running:
            raise Conflict(f"Container {container.id} is not running")
        ended = container.ended
        if number in (signal.SIGKILL, stop_signal(container, "")):
            container.record.state.stopped = True
        if number == signal.SIGKILL:
            with contextlib.suppress(Conflict, NotFound):  # it has just ended by itself
                if container.status == "paused":
                    await self.unpause(container)
                await self.signal(container, number)
            await asyncio.shield(ended)
        else:
            await self.signal(container, number)

    async def signal(self, container: Container, number: int) -> None:
        await container.require_shim().signal(number)
        self._announcements.publish(container, "kill", {"signal": str(number)})

    async def pause(self, container: Container) -> None:
        async with self._registry.locked(container):
            if container.status == "paused":
                raise Conflict(f"Container {container.id} is already paused")
            container.require_shim()
            await self._with_cgroup(container, Cgroup.freeze)
            self._probes.end(container)
            await self._set_status(container, "paused")
        self._announcements.publish(container, "pause")

    async def unpause(self, container: Container) -> None:
        async with self._registry.locked(container):
            if container.status != "paused":
                raise Conflict(f"Container {container.id} is not paused")
            await self._with_cgroup(container, Cgroup.thaw)
            await self._set_status(container, "running")
            self._probes.begin(container)
        self._announcements.publish(container, "unpause")

    async def _with_cgroup(self, container: Container, change: Callable[[Cgroup], None]) -> None:
        """Raises Conflict when the container has just ended."""
        try:
            await asyncio.to_thread(change, Cgroup(layout(), self._bundles.cgroup(container)))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise Internal(f"container {container.id}: {error}") from error
            raise Conflict(f"Container {container.id} is not running") from None

    async def _set_status(self, container: Container, status: Status) -> None:
        container.record.state.status = status
        await self._registry.save(container)


def stop_signal(container: Container, signal_name: str) -> int:
    """The signal that a request names, or that the container has for its stop. Raises InvalidArgument."""
    return signals.number(signal_name or container.record.config.stop_signal or "SIGTERM")
