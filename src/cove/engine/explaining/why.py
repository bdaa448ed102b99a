"""The API's request why a container is as it is: one report of what is known of it, gathered from where it is."""

import contextlib
from collections.abc import Sequence

from cove.engine.bundle.bundles import Bundles
from cove.engine.containers.container import Container
from cove.engine.containers.output import Output
from cove.engine.containers.record import Record
from cove.engine.containers.registry import Registry
from cove.engine.explaining import explanations
from cove.engine.lifecycle import runs
from cove.engine.lifecycle.runs import Run, Runs, Setup
from cove.engine.removing.removed import Removed
from cove.errors import CoveError, NotFound
from cove.kernel.cgroups import Cgroup, layout
from cove.units import format_time
from cove.wire.containers import HealthcheckResult
from cove.wire.streams import LogOptions
from cove.wire.why import Dependent, Difference, MemoryUse, RunReport, Why

LINES = 10

COMPOSE = "com.docker.compose."


class Reasons:
    """Makes the report."""

    def __init__(self, registry: Registry, removed: Removed, runs: Runs, output: Output, bundles: Bundles) -> None:
        self._registry = registry
        self._removed = removed
        self._runs = runs
        self._output = output
        self._bundles = bundles

    async def why(self, ref: str) -> Why:
        """Of a container, one in the trash if there is no other. Raises NotFound."""
        container, removed = self._find(ref)
        record, state = container.record, container.record.state
        history = await self._runs.of(record.name)
        ended = next(
            (run for run in history if run.container == record.id and run.finished_at == state.finished_at), None
        )
        return Why(
            id=record.id,
            name=record.name,
            image=record.image_name,
            status=state.status,
            removed=removed,
            summary=explanations.summary(record, removed),
            explanation=explanations.explanation(record),
            exit_code=state.exit_code,
            signal="" if container.running else explanations.signal_name(state.exit_code),
            error=state.error,
            started_at=_moment(state.started_at),
            finished_at=_moment(state.finished_at),
            memory=self._memory(container, ended),
            probe=_failed_probe(record),
            restart_policy=_policy(record),
            restart_count=state.restart_count,
            runs=[_report(run) for run in history],
            changes=_changes(record, history),
            logs=await self._last_lines(record.id, removed),
            dependents=self._dependents(container),
        )

    def _find(self, ref: str) -> tuple[Container, bool]:
        try:
            return self._registry.get(ref), False
        except NotFound as error:
            with contextlib.suppress(NotFound):
                return self._removed.get(ref), True
            raise error

    def _memory(self, container: Container, ended: Run | None) -> MemoryUse | None:
        """From the control group's counters while it runs, and from what was read of them at its end."""
        limit = container.record.host_config.memory
        if container.running:
            group = Cgroup(layout(), self._bundles.cgroup(container))
            return MemoryUse(limit=limit, peak=group.memory_peak(), kills=group.oom_kills())
        if ended is None:
            return None
        return MemoryUse(limit=limit, peak=ended.memory_peak, kills=int(ended.oom_killed))

    async def _last_lines(self, container_id: str, removed: bool) -> list[str]:
        options = LogOptions(True, True, False, 0, 0, LINES, removed=removed)
        lines: list[str] = []
        with contextlib.suppress(CoveError):  # its driver keeps nothing
            async for batch in (await self._output.logs(container_id, options)).batches:
                lines += [entry.line.decode(errors="replace").rstrip("\r\n") for entry in batch]
        return lines[-LINES:]

    def _dependents(self, container: Container) -> list[Dependent]:
        found = []
        for other in self._registry:
            if other.id != container.id:
                found += [
                    Dependent(other.id, other.name, how, other.status) for how in _needs(other.record, container.record)
                ]
        return found


def _needs(other: Record, record: Record) -> list[str]:
    """In which ways one container needs another."""
    host, joined = other.host_config, f"container:{record.id}"
    modes = {"network": host.network_mode, "ipc": host.ipc_mode, "pid": host.pid_mode}
    found = [how for how, mode in modes.items() if mode == joined]
    names = (record.name, record.id, record.id[:12])
    if any(source.partition(":")[0] in names for source in host.volumes_from or []):
        found.append("volumes")
    if any(link.partition(":")[0].removeprefix("/") in names for link in host.links or []):
        found.append("link")
    mine, others = record.config.labels or {}, other.config.labels or {}
    service = mine.get(f"{COMPOSE}service")
    if service and mine.get(f"{COMPOSE}project") == others.get(f"{COMPOSE}project"):
        needed = [part.partition(":")[0] for part in others.get(f"{COMPOSE}depends_on", "").split(",")]
        if service in needed:
            found.append("compose")
    return found


def _failed_probe(record: Record) -> HealthcheckResult | None:
    health = record.state.health
    failed = [result for result in health.log if result.exit_code != 0] if health is not None else []
    return failed[-1] if failed else None


def _policy(record: Record) -> str:
    policy = record.host_config.restart_policy
    tries = f":{policy.maximum_retry_count}" if policy.maximum_retry_count else ""
    return f"{policy.name or 'no'}{tries}"


def _report(run: Run) -> RunReport:
    return RunReport(
        started_at=_moment(run.started_at),
        finished_at=_moment(run.finished_at),
        exit_code=run.exit_code,
        oom_killed=run.oom_killed,
        error=run.error,
        good=run.good,
    )


def _changes(record: Record, history: Sequence[Run]) -> list[Difference]:
    """What is not as in the last good run that was before this state."""
    own = history and history[0].container == record.id and record.state.status not in ("running", "paused")
    past = history[1:] if own else history
    good = next((run.setup for run in past if run.good), None)
    return [] if good is None else differences(good, runs.setup(record))


def differences(before: Setup, now: Setup) -> list[Difference]:
    """What differs between two setups, a line for each thing."""
    found = []
    plain = (("image", "image"), ("image name", "image_name"), ("user", "user"), ("network", "network"))
    for what, name in (*plain, ("daemon", "version"), ("kernel", "kernel")):
        found.append((what, str(getattr(before, name)), str(getattr(now, name))))
    found.append(("command", " ".join(before.command), " ".join(now.command)))
    found += _by_key("environment", _pairs(before.env), _pairs(now.env))
    found += _by_key("limit", before.limits, now.limits)
    places = [{mount.rsplit(":", 2)[1]: mount for mount in setup.mounts} for setup in (before, now)]
    found += _by_key("mount", places[0], places[1])
    return [Difference(what, old, new) for what, old, new in found if old != new]


def _pairs(entries: Sequence[str]) -> dict[str, str]:
    return {entry.partition("=")[0]: entry.partition("=")[2] for entry in entries}


def _by_key(what: str, before: dict[str, str], now: dict[str, str]) -> list[tuple[str, str, str]]:
    return [(f"{what} {key}", before.get(key, ""), now.get(key, "")) for key in dict.fromkeys([*before, *now])]


def _moment(nanoseconds: int) -> str:
    return format_time(nanoseconds) if nanoseconds else ""
