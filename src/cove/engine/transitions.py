"""How a container starts, ends and goes away: the moves between its states.

Every move is made under the container's lock. The order keeps a ``kill -9`` of the daemon harmless: the run directory
is there before the shim, so that the next daemon finds every shim; a row is deleted before its directories, so that
what is left over is garbage that the next start collects.
"""

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from cove.engine import health, restarts, signals
from cove.engine.bundles import Bundles
from cove.engine.connectivity import Connectivity
from cove.engine.container import Container
from cove.engine.events import Events
from cove.engine.health import Probes
from cove.engine.registry import Registry
from cove.engine.shims import Shim, Zygote
from cove.engine.timeline import Timeline
from cove.errors import Conflict, CoveError, Internal, InvalidArgument, NotFound, NotModified
from cove.images import Images
from cove.kernel.cgroups import Cgroup, layout
from cove.runtime.messages import Exited
from cove.volumes import Volumes

log = logging.getLogger(__name__)

DEFAULT_STOP_TIMEOUT = 10
"""Seconds between the stop signal and SIGKILL, Docker's default."""

KILLED = 128 + signal.SIGKILL

T = TypeVar("T")


class StartRefused(InvalidArgument):
    """The program could not be executed: a 400, in Docker's words. ``exit_code``: 125, 126 or 127."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Transitions:
    """Starts, stops and removes containers."""

    def __init__(
        self,
        *,
        registry: Registry,
        images: Images,
        volumes: Volumes,
        connectivity: Connectivity,
        bundles: Bundles,
        zygote: Zygote,
        events: Events,
        probes: Probes,
    ) -> None:
        self._registry = registry
        self._images = images
        self._volumes = volumes
        self._connectivity = connectivity
        self._bundles = bundles
        self._zygote = zygote
        self._events = events
        self._probes = probes
        self._tasks: set[asyncio.Task[None]] = set()

    # start

    async def start(self, container: Container) -> None:
        """Run the program. Raises NotModified when it runs, Conflict, StartRefused when it cannot be executed."""
        self._cancel_restart(container)
        async with self._registry.locked(container):
            if container.status == "paused":
                raise Conflict("cannot start a paused container, try unpause instead")
            if container.running:
                raise NotModified(f"container {container.id} is already running")
            if container.removing:
                raise Conflict("container is marked for removal and cannot be started")
            container.record.state.restart_count = 0
            await self._start(container)

    async def _start(self, container: Container) -> None:
        state = container.record.state
        state.error, state.stopped, state.oom_killed = "", False, False
        state.health = health.before_first_probe(container.record.config)
        try:
            shim = await self._launch(container)
        except CoveError as error:
            await self._start_failed(container, error)
            raise
        self._spawn(self._await_exit(container, shim))

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
        await self._noted(container, self._registry.save(container))
        self._bundles.discard(container)
        self.publish(container, "die", {"exitCode": str(state.exit_code)})
        self._publish_uses(container, begin=False)
        container.end(state.exit_code)
        if container.record.host_config.auto_remove:
            with contextlib.suppress(CoveError):  # the client is told why the start failed
                await self._remove(container)

    async def _launch(self, container: Container) -> Shim:
        """From a stopped container to its program's first instruction."""
        timeline = Timeline()
        lower = await self._images.lower_directories(container.record.image)
        prepared = asyncio.ensure_future(self._connectivity.prepare(container))
        saved = None
        shim = None
        try:
            start, streams = self._bundles.write(container, [str(directory) for directory in lower])
            shim = self._zygote.start(start, streams)
            timeline.mark("bundle")
            container.pid, namespace = await _notice(shim, shim.created)
            timeline.mark("namespaces")
            saved = asyncio.ensure_future(self._registry.save_running(container))
            await self._connect(container, shim, prepared, namespace)
            timeline.mark("network")
            started = await _notice(shim, shim.started)
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
                raise Internal(f"cannot start container {container.id}: {error}") from error
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
                interfaces = await self._connectivity.connect(container, namespace)
                self._bundles.write_hosts(container)
                shim.configure(interfaces)
            self._publish_uses(container, begin=True)
        finally:
            os.close(namespace)

    async def _abandon(self, container: Container, shim: Shim) -> None:
        """Give up a start: the shim ends what it has begun, and is gone when this returns."""
        await shim.abandon()
        await self._collect_cgroup(container)

    # end

    def adopt(self, container: Container, shim: Shim, pid: int) -> None:
        """Go on with a container that an earlier daemon started."""
        container.shim, container.pid = shim, pid
        if container.status == "running":
            self._probes.begin(container)
        self._spawn(self._await_exit(container, shim))

    async def _await_exit(self, container: Container, shim: Shim) -> None:
        exited = await asyncio.shield(shim.exited)
        async with container.lock:
            await self.exited(container, exited)

    async def exited(self, container: Container, exited: Exited | None, *, again: bool = True) -> None:
        """Note the end of a run, free what it held, and follow the container's policy (unless ``again`` is False).

        Under the lock. ``exited`` is None when the shim was killed.
        """
        state = container.record.state
        self._probes.end(container)
        if exited is None:
            log.warning("container %s: its shim was killed", container.id[:12])
            exited = Exited(KILLED, False, time.time_ns())
            await self._collect_cgroup(container)
        container.shim, container.pid = None, 0
        state.status, state.exit_code, state.oom_killed = "exited", exited.exit_code, exited.oom_killed
        state.finished_at = exited.finished_at
        if exited.oom_killed:
            self.publish(container, "oom")
        self.publish(container, "die", {"exitCode": str(exited.exit_code), "execDuration": str(_ran_for(container))})
        self._publish_uses(container, begin=False)
        again = again and not container.removing and restarts.wanted(container.record.host_config.restart_policy, state)
        if again:
            state.status = "restarting"
        if container.id not in self._registry:  # removed meanwhile
            await self._connectivity.release(container)
            self._bundles.discard(container)
            container.end(exited.exit_code)
            return
        removes = container.record.host_config.auto_remove and not (container.removing or container.kept)
        kept = self._remove(container) if removes else self._registry.save(container)
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
        results = await asyncio.gather(self._connectivity.release(container), kept, return_exceptions=True)
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
                container.record.state.restart_count += 1
                await self._start(container)

    async def start_at_boot(self, container: Container) -> None:
        """Start a container by its policy when the daemon comes up."""
        with contextlib.suppress(CoveError):
            async with self._registry.locked(container):
                if not container.running:
                    await self._start(container)

    async def _collect_cgroup(self, container: Container) -> None:
        """Kill and remove what a killed shim left in the container's cgroup."""
        cgroup = Cgroup(layout(), self._bundles.cgroup(container))
        try:
            await asyncio.to_thread(_destroy, cgroup)
        except OSError as error:
            log.error("container %s: %s", container.id[:12], error)

    # stop and kill

    async def stop(self, container: Container, timeout: int | None, signal_name: str) -> None:
        """Ask the program to end, and kill it after ``timeout`` seconds (negative: never).

        Raises NotModified when it does not run.
        """
        number = _stop_signal(container, signal_name)
        async with self._registry.locked(container):
            container.record.state.stopped = True
            if self._cancel_restart(container):
                await self._set_status(container, "exited")
                return
            if not container.running:
                raise NotModified(f"container {container.id} is already stopped")
        await self._stop(container, timeout, number)
        self.publish(container, "stop")

    async def _stop(self, container: Container, timeout: int | None, number: int) -> None:
        config = container.record.config
        if timeout is None:
            timeout = DEFAULT_STOP_TIMEOUT if config.stop_timeout is None else config.stop_timeout
        ended = container.ended
        with contextlib.suppress(Conflict, NotFound):  # it has just ended by itself
            if container.status == "paused":
                await self.unpause(container)
            await self._signal(container, number)
        try:
            await asyncio.wait_for(asyncio.shield(ended), timeout if timeout >= 0 else None)
        except TimeoutError:
            with contextlib.suppress(Conflict):
                await self._signal(container, signal.SIGKILL)
            await asyncio.shield(ended)

    async def kill(self, container: Container, signal_name: str) -> None:
        """Send a signal. SIGKILL returns once the container has ended. Raises Conflict when it does not run."""
        number = signals.number(signal_name or "SIGKILL")
        if not container.running:
            raise Conflict(f"Container {container.id} is not running")
        ended = container.ended
        if number in (signal.SIGKILL, _stop_signal(container, "")):
            container.record.state.stopped = True
        if number == signal.SIGKILL:
            with contextlib.suppress(Conflict, NotFound):  # it has just ended by itself
                if container.status == "paused":
                    await self.unpause(container)
                await self._signal(container, number)
            await asyncio.shield(ended)
        else:
            await self._signal(container, number)

    async def _signal(self, container: Container, number: int) -> None:
        await container.require_shim().signal(number)
        self.publish(container, "kill", {"signal": str(number)})

    async def restart(self, container: Container, timeout: int | None, signal_name: str) -> None:
        """Stop it if it runs, and start it."""
        number = _stop_signal(container, signal_name)
        self._cancel_restart(container)
        if container.running:
            container.record.state.stopped = True  # the policy must not start it as well
            container.kept = True
            try:
                await self._stop(container, timeout, number)
            finally:
                container.kept = False
            self.publish(container, "stop")
        with contextlib.suppress(NotModified):  # another client was quicker
            await self.start(container)
        self.publish(container, "restart")

    async def pause(self, container: Container) -> None:
        async with self._registry.locked(container):
            if container.status == "paused":
                raise Conflict(f"Container {container.id} is already paused")
            container.require_shim()
            await self._with_cgroup(container, Cgroup.freeze)
            self._probes.end(container)
            await self._set_status(container, "paused")
        self.publish(container, "pause")

    async def unpause(self, container: Container) -> None:
        async with self._registry.locked(container):
            if container.status != "paused":
                raise Conflict(f"Container {container.id} is not paused")
            await self._with_cgroup(container, Cgroup.thaw)
            await self._set_status(container, "running")
            self._probes.begin(container)
        self.publish(container, "unpause")

    async def _with_cgroup(self, container: Container, change: Callable[[Cgroup], None]) -> None:
        """Raises Conflict when the container has just ended."""
        try:
            await asyncio.to_thread(change, Cgroup(layout(), self._bundles.cgroup(container)))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise Internal(f"container {container.id}: {error}") from error
            raise Conflict(f"Container {container.id} is not running") from None

    async def _set_status(self, container: Container, status: Any) -> None:
        container.record.state.status = status
        await self._registry.save(container)

    # remove

    async def remove(self, container: Container, *, force: bool, volumes: bool) -> None:
        """Remove a container. Raises Conflict, in Docker's words, when it runs and ``force`` is not given."""
        _check_removal(container, force=force)
        container.removing = True
        self._cancel_restart(container)
        try:
            while not await self._remove_stopped(container, volumes=volumes):
                _check_running(container, force=force)
                with contextlib.suppress(Conflict):
                    await self.kill(container, "SIGKILL")
        except BaseException:
            container.removing = False
            raise

    async def _remove_stopped(self, container: Container, *, volumes: bool) -> bool:
        """Remove it unless it runs, be it by a start that was under way; whether it was removed."""
        async with self._registry.locked(container):
            if not container.running:
                await self._connectivity.release(container)  # what could not be when it ended
                await self._remove(container, volumes=volumes)
            return not container.running

    async def _remove(self, container: Container, *, volumes: bool = True) -> None:
        container.removing = True
        try:
            await self._registry.remove(container)
        except CoveError:
            container.removing = False
            raise
        container.drop_waiting()
        await self._images.released(container.record.image)
        if volumes:
            await self._remove_anonymous_volumes(container)
        self.publish(container, "destroy")
        if not container.removed.done():
            container.removed.set_result(container.record.state.exit_code)
        self._spawn(self._discard(container))

    async def _discard(self, container: Container) -> None:
        """Delete what lies on disk of a container whose row is gone."""
        self._bundles.discard(container)
        await asyncio.to_thread(shutil.rmtree, container.paths.data, ignore_errors=True)

    async def _remove_anonymous_volumes(self, container: Container) -> None:
        for mount in container.record.mounts:
            if mount.kind == "volume" and mount.anonymous and not self._registry.volume_users(mount.name):
                with contextlib.suppress(CoveError):
                    await self._volumes.remove(mount.name)

    # background

    def _cancel_restart(self, container: Container) -> bool:
        """Call off a start that the policy has planned; whether there was one."""
        planned, container.restart = container.restart, None
        if planned is not None and not planned.done():
            planned.cancel()
            return True
        return False

    def publish(self, container: Container, action: str, extra: dict[str, str] | None = None) -> None:
        self._events.publish("container", action, container.id, container.attributes | (extra or {}))

    def _publish_uses(self, container: Container, *, begin: bool) -> None:
        """Tell of the networks and volumes that a run takes, or gives back."""
        for network_id, name, driver in self._connectivity.memberships(container):
            attributes = {"container": container.id, "name": name, "type": driver}
            self._events.publish("network", "connect" if begin else "disconnect", network_id, attributes)
        for mount in container.record.mounts:
            if mount.kind == "volume":
                attributes = {"container": container.id, "driver": mount.driver}
                if begin:
                    attributes |= {"destination": mount.destination, "propagation": mount.propagation}
                    attributes["read/write"] = str(mount.writable).lower()
                self._events.publish("volume", "mount" if begin else "unmount", mount.name, attributes)

    def publish_volume(self, name: str, driver: str) -> None:
        """Tell of a volume that a container's creation made."""
        self._events.publish("volume", "create", name, {"driver": driver})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed: %s", task.exception(), exc_info=task.exception())

    async def close(self) -> None:
        """Let the containers be: close the connections to their shims, and finish what is being deleted."""
        await self._probes.close()
        for container in self._registry:
            self._cancel_restart(container)
            container.drop_waiting()
            if container.shim is not None:
                container.shim.close()
        waiters = [task for task in self._tasks if task.get_coro().__name__ == "_await_exit"]  # type: ignore[union-attr]
        for task in waiters:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _notice(shim: Shim, notice: "asyncio.Future[T]") -> T:
    """Wait for a notice, or for the end of the shim. Raises StartRefused or Internal for the latter."""
    try:
        return await notice
    except asyncio.CancelledError:
        if shim.alive:
            raise
    failure = shim.failure
    if failure is None:
        raise Internal(f"the shim of container {shim.container_id} ended before the container started")
    raise StartRefused(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: "
        f"runc create failed: unable to start container process: {failure.message}: unknown",
        failure.exit_code,
    )


async def _finish(work: "asyncio.Future[Any]") -> None:
    """Let what is under way come to its end, so that what undoes it comes after it."""
    with contextlib.suppress(Exception):
        await work


def _stop_signal(container: Container, signal_name: str) -> int:
    """The signal that a request names, or that the container has for its stop. Raises InvalidArgument."""
    return signals.number(signal_name or container.record.config.stop_signal or "SIGTERM")


def _destroy(cgroup: Cgroup) -> None:
    with contextlib.suppress(FileNotFoundError):
        cgroup.kill()
    cgroup.remove()


def _ran_for(container: Container) -> int:
    """Seconds that the last run took."""
    state = container.record.state
    return max(0, state.finished_at - state.started_at) // 1_000_000_000


def _check_removal(container: Container, *, force: bool) -> None:
    _check_running(container, force=force)
    if container.removing:
        raise Conflict(f"removal of container {container.id} is already in progress")


def _check_running(container: Container, *, force: bool) -> None:
    if container.running and not force:
        what = "paused" if container.status == "paused" else "running"
        advice = (
            "unpause and then stop the container before removing or force remove"
            if what == "paused"
            else "stop the container before removing or force remove"
        )
        raise Conflict(f'cannot remove container "{container.id}": container is {what}: {advice}')
