"""How a container starts and ends, and what follows its end: the moves between its states.

Every move is made under the container's lock. The order keeps a ``kill -9`` of the daemon harmless: the run directory
is there before the shim, so that the next daemon finds every shim.
"""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import time
from collections.abc import Awaitable
from functools import partial
from typing import Any, TypeVar

from cove.engine.bundle.bundles import Bundles
from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.lifecycle import health, restarts
from cove.engine.lifecycle.background import Background
from cove.engine.lifecycle.health import Probes
from cove.engine.lifecycle.runs import Runs
from cove.engine.lifecycle.shims import Shim, Zygote
from cove.engine.lifecycle.stopping import Stopping, stop_signal
from cove.engine.lifecycle.timeline import Timeline
from cove.engine.networking.connectivity import Connectivity
from cove.engine.networking.link_exceptions import LinkExceptions
from cove.engine.networking.namefiles import NameFiles
from cove.engine.networking.nameservice import NameService
from cove.engine.networking.sandboxes import uses_resolver
from cove.engine.removing.removal import Removal
from cove.engine.volumes.mounts import Mounted, VolumeMounts
from cove.errors import Conflict, CoveError, Internal, InvalidArgument, NoSpace, NotModified
from cove.images import Images
from cove.kernel.cgroups import Cgroup, layout
from cove.runtime.messages import Exited
from cove.trash import Trash

log = logging.getLogger(__name__)

KILLED = 128 + signal.SIGKILL

T = TypeVar("T")


class StartRefused(InvalidArgument):
    """The program could not be executed: a 400, in Docker's words. ``exit_code``: 125, 126 or 127."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class NotReady(Internal):
    """A log driver or a volume that the program needs could not be made ready, in Docker's words."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Transitions:
    """Starts containers, notes their ends, and follows their policies."""

    def __init__(
        self,
        *,
        registry: Registry,
        images: Images,
        connectivity: Connectivity,
        exceptions: LinkExceptions,
        names: NameService,
        files: NameFiles,
        bundles: Bundles,
        zygote: Zygote,
        announcements: Announcements,
        probes: Probes,
        stopping: Stopping,
        removal: Removal,
        trash: Trash,
        runs: Runs,
        mounts: VolumeMounts,
    ) -> None:
        self._registry = registry
        self._images = images
        self._connectivity = connectivity
        self._exceptions = exceptions
        self._names = names
        self._files = files
        self._bundles = bundles
        self._zygote = zygote
        self._announcements = announcements
        self._probes = probes
        self._stopping = stopping
        self._removal = removal
        self._trash = trash
        self._runs = runs
        self._mounts = mounts
        self._watches = Background()

    # start

    async def start(self, container: Container) -> None:
        """Run the program. Raises NotModified when it runs, Conflict, StartRefused when it cannot be executed."""
        container.cancel_restart()
        async with self._registry.locked(container):
            if container.status == "paused":
                raise Conflict("cannot start a paused container, try unpause instead")
            if container.running:
                raise NotModified(f"container {container.id} is already running")
            if container.claim == "removal":
                raise Conflict("container is marked for removal and cannot be started")
            container.record.state.restart_count, container.restart_delay = 0, 0.0
            await self._start(container)

    async def _start(self, container: Container) -> None:
        state = container.record.state
        state.error, state.stopped, state.oom_killed = "", False, False
        state.health = health.before_first_probe(container.record.config)
        try:
            shim = await self._trash.making_room(lambda: self._launch(container))
        except CoveError as error:
            await self._start_failed(container, error)
            raise
        except Exception as error:  # not foreseen: what was held is given back all the same
            await self._start_failed(container, Internal(f"cannot start container {container.id}: {error}"))
            raise
        self._watches.begin(self._await_exit(container, shim))

    async def _start_failed(self, container: Container, error: CoveError) -> None:
        log.info("container %s: %s", container.id[:12], error.message)
        state = container.record.state
        state.error = error.message
        state.exit_code = getattr(error, "exit_code", 128)
        state.health = None
        if state.status == "restarting":
            state.status = "exited"  # the policy plans no further start
        container.drop_waiting()
        container.pid = 0
        self._runs.note(container.record)
        await self._noted(container, self._registry.save(container))
        self._bundles.discard(container)
        self._announcements.uses(container, begin=False)
        container.end(state.exit_code)
        if container.record.host_config.auto_remove:
            with contextlib.suppress(CoveError):  # the client is told why the start failed
                await self._removal.drop(container)

    async def _launch(self, container: Container) -> Shim:
        """From a stopped container to its program's first instruction."""
        async with self._mounts.beginning(container) as mounted:
            return await self._launch_mounted(container, mounted)

    async def _launch_mounted(self, container: Container, mounted: Mounted) -> Shim:
        timeline = Timeline()
        lower = await self._images.lower_directories(container.record.image)
        self._connectivity.settle(container)
        prepared = asyncio.ensure_future(self._connectivity.prepare(container))
        if uses_resolver(container):
            self._names.warm()
        saved = None
        shim = None
        try:
            await self._bundles.prepare(container.record.host_config)
            await self._bundles.relabel(container.record, container.record.mounts, mounted.staged)
            start, streams = self._bundles.write(container, [str(directory) for directory in lower], mounted)
            shim = self._zygote.start(start, streams)
            self._listen(container, shim)
            timeline.mark("bundle")
            container.pid, namespace = await notice(shim, shim.created)
            timeline.mark("namespaces")
            saved = asyncio.ensure_future(self._registry.save_running(container))
            await self._connect(container, shim, prepared, namespace)
            timeline.mark("network")
            started = await notice(shim, shim.started)
            timeline.mark("root and program")
            await saved
            timeline.mark("record")
        except BaseException as error:
            await _finish(prepared)
            if saved is not None:
                await _finish(saved)
            if shim is not None:
                await self._abandon(container, shim)
            if isinstance(error, OSError):
                kind = NoSpace if error.errno == errno.ENOSPC else Internal
                raise kind(f"cannot start container {container.id}: {error}") from error
            raise
        state = container.record.state
        state.status, state.started_at, state.exit_code = "running", started.started_at, 0
        container.shim, container.pid = shim, started.pid
        self.publish(container, "start")
        self._probes.begin(container)
        log.debug("container %s started: %s", container.id[:12], timeline)
        return shim

    async def _connect(
        self, container: Container, shim: Shim, prepared: "asyncio.Future[bool]", namespace: int
    ) -> None:
        """Put the links into the new namespace, and let the shim go on."""
        try:
            if await prepared:
                placed = asyncio.ensure_future(self._names.place(container, namespace))
                try:
                    interfaces = await self._connectivity.connect(container, namespace)
                    self._files.started(container)
                    await self._exceptions.apply(container)
                finally:
                    await asyncio.wait([placed])
                placed.result()
                shim.configure(interfaces)
            self._announcements.uses(container, begin=True)
        finally:
            os.close(namespace)

    async def _abandon(self, container: Container, shim: Shim) -> None:
        """Give up a start: the shim ends what it has begun, and is gone when this returns."""
        await shim.abandon()
        await self._stopping.collect_cgroup(container)

    # end

    def adopt(self, container: Container, shim: Shim, pid: int) -> None:
        """Go on with a container that an earlier daemon started."""
        container.shim, container.pid = shim, pid
        self._listen(container, shim)
        if Cgroup(layout(), self._bundles.cgroup(container)).oom_kills():
            self._watches.begin(self._killed_for_memory(container, shim))
        if container.status == "running":
            self._probes.begin(container)
        self._watches.begin(self._await_exit(container, shim))

    def _listen(self, container: Container, shim: Shim) -> None:
        shim.on_detached = partial(self._announcements.detached, container)
        shim.on_killed_for_memory = lambda: self._watches.begin(self._killed_for_memory(container, shim))

    async def _killed_for_memory(self, container: Container, shim: Shim) -> None:
        """Tell of it once for each run, at the time; a daemon that was not there finds it in the counters."""
        async with container.lock:
            state = container.record.state
            if container.shim is shim and not state.oom_killed:
                state.oom_killed = True
                self.publish(container, "oom")
                await self._registry.save(container)

    async def _await_exit(self, container: Container, shim: Shim) -> None:
        exited = await asyncio.shield(shim.exited)
        async with container.lock:
            await self.exited(container, exited)

    async def exited(self, container: Container, exited: Exited | None) -> None:
        """Note the end of a run, free what it held, and follow the container's policies unless a request claims it.

        Under the lock. ``exited`` is None when the shim was killed.
        """
        state = container.record.state
        self._probes.end(container)
        if exited is None:
            log.warning("container %s: its shim was killed", container.id[:12])
            exited = Exited(KILLED, False, time.time_ns())
            await self._stopping.collect_cgroup(container)
        container.shim, container.pid = None, 0
        container.execs.clear()
        state.status, state.exit_code = "exited", exited.exit_code
        state.finished_at = exited.finished_at
        if exited.oom_killed and not state.oom_killed:
            self.publish(container, "oom")
        state.oom_killed = state.oom_killed or exited.oom_killed
        self.publish(container, "die", {"exitCode": str(exited.exit_code), "execDuration": str(_ran_for(container))})
        self._announcements.uses(container, begin=False)
        self._runs.note(container.record, exited.memory_peak)
        follows = container.claim is None  # else the request that claimed it says what comes next
        wanted = follows and restarts.wanted(container.record.host_config.restart_policy, state)
        again = wanted or (container.claim == "remedy" and not state.stopped)
        if again:
            state.status = "restarting"
            state.restart_count += 1
        if container.id not in self._registry:  # removed meanwhile
            self._names.remove(container.id)
            await self._connectivity.release(container)
            await self._mounts.ended(container)
            self._bundles.discard(container)
            container.end(exited.exit_code)
            return
        removes = container.record.host_config.auto_remove and follows
        kept = self._removal.drop(container) if removes else self._registry.save(container)
        if await self._noted(container, kept):
            self._bundles.discard(container)
        container.end(exited.exit_code)
        if again:
            container.restart = asyncio.create_task(self._start_again(container))

    async def _noted(self, container: Container, kept: Awaitable[None]) -> bool:
        """Give back what a run held and keep how it ended; False when the disk is full.

        Nobody is left waiting for that: what was not released is by the next start, and the next daemon finds the
        exit record in the run directory.
        """
        self._names.remove(container.id)
        # what is kept comes first: the events of the end are in its transaction, and come neither twice nor never
        given_back = self._connectivity.release(container), self._mounts.ended(container)
        results = await asyncio.gather(kept, *given_back, return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        for error in errors:
            log.error("container %s: its end could not be recorded: %s", container.id[:12], error)
        return not errors

    async def _start_again(self, container: Container) -> None:
        """Start a container by its policy, after the policy's delay."""
        container.restart_delay = restarts.delay(container.restart_delay, _ran_for(container))
        await asyncio.sleep(container.restart_delay)
        with contextlib.suppress(CoveError):
            async with self._registry.locked(container):
                if container.status != "restarting":
                    return
                container.restart = None
                await self._start(container)

    async def start_at_boot(self, container: Container) -> None:
        """Start a container by its policy when the daemon comes up."""
        with contextlib.suppress(CoveError):
            async with self._registry.locked(container):
                if not container.running:
                    await self._start(container)

    # stop and restart

    async def stop(self, container: Container, timeout: int | None, signal_name: str) -> None:
        """Ask the program to end, and kill it after ``timeout`` seconds (negative: never).

        Raises NotModified when it does not run.
        """
        number = stop_signal(container, signal_name)
        async with self._registry.locked(container):
            container.record.state.stopped = True
            if await self._stopping.call_off(container):
                self.publish(container, "stop")
                return
            if not container.running:
                raise NotModified(f"container {container.id} is already stopped")
        await self._stopping.end(container, timeout, number)
        self.publish(container, "stop")

    async def restart_later(self, container: Container) -> None:
        """Stop a container that runs, and start it as its policy would: after a delay that grows from time to time."""
        with container.claimed("remedy"):
            await self._stopping.end(container, None, stop_signal(container, ""))
        self.publish(container, "stop")

    async def restart(self, container: Container, timeout: int | None, signal_name: str) -> None:
        """Stop it if it runs, and start it."""
        number = stop_signal(container, signal_name)
        async with self._registry.locked(container):
            if await self._stopping.call_off(container):
                self.publish(container, "stop")
        if container.running:
            container.record.state.stopped = True  # the policy must not start it as well
            with container.claimed("restart"):
                await self._stopping.end(container, timeout, number)
            self.publish(container, "stop")
        with contextlib.suppress(NotModified):  # another client was quicker
            await self.start(container)
        self.publish(container, "restart")

    def publish(self, container: Container, action: str, extra: dict[str, str] | None = None) -> None:
        self._announcements.publish(container, action, extra)

    async def close(self) -> None:
        """Let the containers be: close the connections to their shims, and watch them no more."""
        await self._probes.close()
        for container in self._registry:
            container.cancel_restart()
            container.drop_waiting()
            if container.shim is not None:
                container.shim.close()
        await self._watches.cancel()


async def notice(shim: Shim, notice: "asyncio.Future[T]") -> T:
    """Wait for a notice, or for the end of the shim. Raises StartRefused or Internal for the latter."""
    try:
        return await notice
    except asyncio.CancelledError:
        if shim.alive:
            raise
    failure = shim.failure
    if failure is None:
        raise Internal(f"the shim of container {shim.container_id} ended before the container started")
    if failure.message.startswith(("failed to initialize logging driver: ", "error while mounting volume ")):
        raise NotReady(failure.message, failure.exit_code)
    raise StartRefused(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: "
        f"runc create failed: unable to start container process: {failure.message}: unknown",
        failure.exit_code,
    )


async def _finish(work: "asyncio.Future[Any]") -> None:
    """Let what is under way come to its end, so that what undoes it comes after it."""
    with contextlib.suppress(Exception):
        await work


def _ran_for(container: Container) -> int:
    """Seconds that the last run took."""
    state = container.record.state
    return max(0, state.finished_at - state.started_at) // 1_000_000_000
