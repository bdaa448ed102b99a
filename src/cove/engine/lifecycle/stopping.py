"""How a running program is signalled, frozen and brought to its end."""

import asyncio
import contextlib
import errno
import logging
import os
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

log = logging.getLogger(__name__)

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
            await self.signal(container, number)
        await self._thaw(container)
        try:
            await asyncio.wait_for(asyncio.shield(ended), timeout if timeout >= 0 else None)
        except TimeoutError:
            with contextlib.suppress(Conflict):
                await self.signal(container, signal.SIGKILL)
            await self._thaw(container)
            await asyncio.shield(ended)

    async def kill(self, container: Container, signal_name: str) -> None:
        """Send a signal; SIGKILL returns once the container has ended. A paused one goes on and gets it.

        As with Docker it stays paused, and gets the signal later, if it has a stop signal and this is another one.
        Of one that is to start again there is nothing to be signalled, and the start is called off. Raises Conflict
        when it does not run.
        """
        number = signals.number(signal_name or "SIGKILL")
        ends = number in (signal.SIGKILL, stop_signal(container, ""))
        if container.status == "restarting":
            async with self._registry.locked(container):
                if await self.call_off(container):
                    return
        if not container.running:
            raise Conflict(f"Container {container.id} is not running")
        ended = container.ended
        if ends:
            container.record.state.stopped = True
        try:
            await self.signal(container, number)
        except (Conflict, NotFound):  # it has just ended by itself
            if number != signal.SIGKILL:
                raise
        if ends or not container.record.config.stop_signal:
            await self._thaw(container)
        if number == signal.SIGKILL:
            await asyncio.shield(ended)

    async def call_off(self, container: Container) -> bool:
        """Give up a start that a policy has planned, which who waits for its end takes for one; False if there is none.

        Under the lock.
        """
        if not container.cancel_restart():
            return False
        state = container.record.state
        state.status, state.stopped = "exited", True
        await self._registry.save(container)
        container.end(state.exit_code)
        return True

    async def _thaw(self, container: Container) -> None:
        """After the signal that it is to go on with, which it so gets before it does anything else."""
        if container.status == "paused":
            with contextlib.suppress(Conflict):  # it has just ended
                await self.unpause(container)

    async def signal(self, container: Container, number: int) -> None:
        await container.require_shim().signal(number)
        self._announcements.publish(container, "kill", {"signal": str(number)})

    async def pause(self, container: Container, *, held: bool = False) -> None:
        """``held``: until the daemon itself lets it go on, or is gone."""
        async with self._registry.locked(container):
            if container.status == "paused":
                raise Conflict(f"Container {container.id} is already paused")
            container.require_shim()
            await self._with_cgroup(container, Cgroup.freeze)
            self._probes.end(container)
            container.record.state.held = held
            await self._set_status(container, "paused")
        self._announcements.publish(container, "pause")

    async def unpause(self, container: Container) -> None:
        async with self._registry.locked(container):
            if container.status != "paused":
                raise Conflict(f"Container {container.id} is not paused")
            await self._with_cgroup(container, Cgroup.thaw)
            container.record.state.held = False
            await self._set_status(container, "running")
            self._probes.begin(container)
        self._announcements.publish(container, "unpause")

    async def let_go_on(self, container: Container) -> None:
        """One whose daemon was killed before it had written down that it paused it, or while it held it."""
        with contextlib.suppress(Conflict):  # it has just ended
            await self._with_cgroup(container, _thaw_if_frozen)

    async def collect_cgroup(self, container: Container) -> None:
        """Kill and remove what a killed shim has left in the container's control group, if there is any."""
        cgroup = Cgroup(layout(), self._bundles.cgroup(container))
        if not any(map(os.path.isdir, cgroup.directories)):
            return
        try:
            await asyncio.to_thread(_destroy, cgroup)
        except OSError as error:
            log.error("container %s: %s", container.id[:12], error)

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


def _thaw_if_frozen(cgroup: Cgroup) -> None:
    if cgroup.frozen:
        cgroup.thaw()


def _destroy(cgroup: Cgroup) -> None:
    with contextlib.suppress(FileNotFoundError):
        cgroup.kill()
    cgroup.remove()
