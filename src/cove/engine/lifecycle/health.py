"""Health probes: a command that is run in a container from time to time, to see whether it is well.

The rules are Docker's. A container without a probe costs nothing here: no task, no timer, no write.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.events import Events
from cove.engine.lifecycle.execs import Execs
from cove.errors import CoveError
from cove.units import SECOND, format_duration, format_time
from cove.wire.config import Config, HealthConfig
from cove.wire.containers import Health, HealthcheckResult
from cove.wire.execs import ExecCreate, ExecStart
from cove.wire.streams import Stream

log = logging.getLogger(__name__)

DEFAULT_INTERVAL = DEFAULT_TIMEOUT = 30 * SECOND
DEFAULT_START_INTERVAL = 5 * SECOND
DEFAULT_RETRIES = 3

OUTPUT_LIMIT = 4096
"""Bytes of a probe's output that are kept."""

RESULTS_KEPT = 5

FAILED_TO_RUN = -1
"""The exit code of a probe that could not be started, or took too long."""

_HEAD = 8
"""Bytes ahead of each piece of output in a stream without a terminal: stream, padding, big-endian length."""

SHELL = ("/bin/sh", "-c")


def command(config: Config) -> list[str] | None:
    """What the container's probe executes; None when it has none."""
    test = config.healthcheck.test if config.healthcheck is not None else None
    match test:
        case ["CMD", _, *_]:
            return test[1:]
        case ["CMD-SHELL", _, *_]:
            return [*(config.shell or SHELL), *test[1:]]
    return None


def before_first_probe(config: Config) -> Health | None:
    """The health of a container that starts; None when it has no probe."""
    return None if command(config) is None else Health(status="starting")


def wait_before(health: Health, probe: HealthConfig, age: int) -> int:
    """Nanoseconds until the next probe. ``age``: of the run."""
    if health.status == "starting" and age < probe.start_period:
        return probe.start_interval or DEFAULT_START_INTERVAL
    return probe.interval or DEFAULT_INTERVAL


def note(health: Health, probe: HealthConfig, result: HealthcheckResult, age: int) -> None:
    """Add a result and judge. ``age``: of the run when the probe began; failures in its start period do not count."""
    health.log = [*health.log[1 - RESULTS_KEPT :], result]
    if result.exit_code == 0:
        health.status, health.failing_streak = "healthy", 0
    elif not (health.status == "starting" and age < probe.start_period):
        health.failing_streak += 1
        if health.failing_streak >= (probe.retries or DEFAULT_RETRIES):
            health.status = "unhealthy"


class Output:
    """What a probe wrote, as far as it is kept; ``feed`` takes the stream's bytes as they come."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._rest = bytearray()
        self._truncated = False

    def feed(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= _HEAD:
            end = _HEAD + int.from_bytes(self._rest[4:_HEAD])
            if len(self._rest) < end:
                return
            self._keep(self._rest[_HEAD:end])
            del self._rest[:end]

    def _keep(self, data: bytes | bytearray) -> None:
        room = OUTPUT_LIMIT - len(self._kept)
        self._kept += data[:room]
        self._truncated = self._truncated or len(data) > room

    @property
    def text(self) -> str:
        return self._kept.decode(errors="replace") + ("..." if self._truncated else "")


class Probes:
    """Probes the containers that have one while they run."""

    def __init__(self, execs: Execs, registry: Registry, events: Events) -> None:
        self._execs = execs
        self._registry = registry
        self._events = events
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.on_failure: Callable[[Container], None] = lambda container: None
        """Told of each failed probe of a container that is unhealthy."""

    def begin(self, container: Container) -> None:
        """Probe a container that has just been started or thawed, or was found running."""
        probed = command(container.record.config)
        if probed is not None and container.id not in self._tasks:
            container.record.state.health = container.record.state.health or Health(status="starting")
            self._tasks[container.id] = asyncio.create_task(self._watch(container, probed))

    def end(self, container: Container) -> None:
        """Stop. Nobody knows any more that it is well: Docker calls it unhealthy."""
        task = self._tasks.pop(container.id, None)
        if task is not None:
            task.cancel()
        if container.record.state.health is not None:
            container.record.state.health.status = "unhealthy"

    async def close(self) -> None:
        """Stop them all, and leave what is known as it is; the containers run on."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, container: Container, probed: list[str]) -> None:
        state, probe = container.record.state, container.record.config.healthcheck
        health = state.health
        assert probe is not None and health is not None
        while True:
            await asyncio.sleep(wait_before(health, probe, time.time_ns() - state.started_at) / SECOND)
            begun = time.time_ns()
            exit_code, output = await self._run(container, probed, probe.timeout or DEFAULT_TIMEOUT)
            if container.shim is None or not container.shim.alive:
                return  # it has just ended, and so did the probe
            result = HealthcheckResult(
                start=format_time(begun), end=format_time(time.time_ns()), exit_code=exit_code, output=output
            )
            before = health.status
            note(health, probe, result, begun - state.started_at)
            if health.status != before:
                action = f"health_status: {health.status}"
                self._events.publish("container", action, container.id, container.attributes)
                await self._keep(container)
            if exit_code != 0 and health.status == "unhealthy":
                self.on_failure(container)

    async def _keep(self, container: Container) -> None:
        """A daemon that comes back begins with the last status. That it cannot be written is no reason to stop."""
        try:
            async with self._registry.locked(container):
                await self._registry.save(container)
        except Exception as error:
            log.warning("container %s: its health could not be recorded: %s", container.id[:12], error)

    async def _run(self, container: Container, probed: list[str], timeout: int) -> tuple[int, str]:
        """Run the probe once: its exit code and output."""
        exec_id, output = "", Output()
        try:
            made = ExecCreate(cmd=probed, attach_stdout=True, attach_stderr=True)
            exec_id = (await self._execs.create(container.id, made)).id
            stream = await self._execs.start(exec_id, ExecStart())
            assert stream is not None
            with stream.socket:
                await asyncio.wait_for(_read(stream, output), timeout / SECOND)
            return await self._execs.exit_code(exec_id), output.text
        except asyncio.CancelledError:
            await self._execs.kill(exec_id)
            raise
        except TimeoutError:
            await self._execs.kill(exec_id)
            text = f"Health check exceeded timeout ({format_duration(timeout)})"
            return FAILED_TO_RUN, f"{text}: {output.text}" if output.text else text
        except CoveError as error:
            return FAILED_TO_RUN, error.message
        finally:
            self._execs.forget(exec_id)


async def _read(stream: Stream, output: Output) -> None:
    """Until the program has ended and all that it wrote has come."""
    loop = asyncio.get_running_loop()
    stream.socket.setblocking(False)
    with contextlib.suppress(ConnectionError):
        while data := await loop.sock_recv(stream.socket, 1 << 16):
            output.feed(data)
