"""The rules of health probes: what is run, when, and what its results mean."""

import asyncio
import struct
from pathlib import Path

import pytest

from cove.engine.containers import listing, views
from cove.engine.containers.creation import check
from cove.engine.containers.record import CONTAINERS
from cove.engine.containers.registry import Registry
from cove.engine.events.eventlog import EventLog
from cove.engine.events.events import Events
from cove.engine.lifecycle import health
from cove.engine.lifecycle.execs import Execs
from cove.engine.lifecycle.health import Output, Probes
from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.store import Database
from cove.units import SECOND
from cove.wire.config import Config, HealthConfig
from cove.wire.containers import Health, HealthcheckResult
from cove.wire.host_config import HostConfig
from unit.engine.containers import container
from unit.images.conftest import opened


@pytest.mark.parametrize(
    ("test", "shell", "run"),
    [
        (["CMD", "a", "b"], None, ["a", "b"]),
        (["CMD-SHELL", "a b"], None, ["/bin/sh", "-c", "a b"]),
        (["CMD-SHELL", "a"], ["/bin/bash", "-ec"], ["/bin/bash", "-ec", "a"]),
        (["NONE"], None, None),
        (["NONE", "x"], None, None),
        (["CMD"], None, None),
        (["OTHER", "x"], None, None),
        ([], None, None),
        (None, None, None),
    ],
)
def test_command(test: list[str] | None, shell: list[str] | None, run: list[str] | None) -> None:
    config = Config(healthcheck=HealthConfig(test=test), shell=shell)
    assert health.command(config) == run
    assert (health.before_first_probe(config) is None) == (run is None)


def test_no_probe() -> None:
    assert health.command(Config()) is None


def result(exit_code: int) -> HealthcheckResult:
    return HealthcheckResult(start="", end="", exit_code=exit_code)


def test_three_failures_in_a_row_by_default() -> None:
    state, probe, seen = Health(status="starting"), HealthConfig(), []
    for code in (1, 1, 1, 0, 1, 1, 1):
        health.note(state, probe, result(code), 0)
        seen.append((state.status, state.failing_streak))
    assert [streak for _, streak in seen] == [1, 2, 3, 0, 1, 2, 3]
    assert [status for status, _ in seen] == "starting starting unhealthy healthy healthy healthy unhealthy".split()
    assert [kept.exit_code for kept in state.log] == [1, 0, 1, 1, 1]


def test_failures_of_the_start_period_do_not_count() -> None:
    state, probe = Health(status="starting"), HealthConfig(retries=1, start_period=10 * SECOND)
    health.note(state, probe, result(1), 9 * SECOND)
    assert (state.status, state.failing_streak, len(state.log)) == ("starting", 0, 1)
    health.note(state, probe, result(0), 9 * SECOND)
    health.note(state, probe, result(1), 9 * SECOND)
    assert state.status == "unhealthy", "it has started: it was healthy before"
    late = Health(status="starting")
    health.note(late, probe, result(1), 10 * SECOND)
    assert late.status == "unhealthy"


@pytest.mark.parametrize(
    ("status", "probe", "age", "seconds"),
    [
        ("starting", HealthConfig(), 0, 30),
        ("starting", HealthConfig(interval=SECOND), 0, 1),
        ("starting", HealthConfig(interval=SECOND, start_period=9 * SECOND), 0, 5),
        ("starting", HealthConfig(interval=SECOND, start_period=9 * SECOND, start_interval=2 * SECOND), 0, 2),
        ("starting", HealthConfig(interval=SECOND, start_period=9 * SECOND), 9 * SECOND, 1),
        ("healthy", HealthConfig(interval=SECOND, start_period=9 * SECOND), 0, 1),
    ],
)
def test_wait(status: str, probe: HealthConfig, age: int, seconds: int) -> None:
    assert health.wait_before(Health(status=status), probe, age) == seconds * SECOND


def test_output_is_put_together_and_cut() -> None:
    output = Output()
    framed = b"".join(struct.pack(">BxxxI", stream, len(text)) + text for stream, text in ((1, b"out "), (2, b"err")))
    for byte in framed:
        output.feed(bytes([byte]))
    assert output.text == "out err"
    output.feed(struct.pack(">BxxxI", 1, 5000) + b"x" * 5000)
    assert output.text == "out err" + "x" * (health.OUTPUT_LIMIT - 7) + "..."


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (HealthConfig(retries=-1), "Retries in Healthcheck cannot be negative"),
        (HealthConfig(start_interval=5), "StartInterval in Healthcheck cannot be less than 1ms"),
    ],
)
def test_a_probe_that_cannot_be(probe: HealthConfig, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        check(Config(healthcheck=probe), HostConfig())


def test_shown(tmp_path: Path) -> None:
    async def run() -> None:
        database = Database(tmp_path / "cove.db")
        registry = Registry(database)
        now = 1
        for name, status in (("a", "starting"), ("b", "healthy"), ("c", "unhealthy")):
            state = {"status": "running", "started_at": now, "health": Health(status=status)}
            await registry.add(container(name, name, state=state))
        await registry.add(container("d", "d", state={"status": "running", "started_at": now}))
        lines = {one.name: views.status_line(one) for one in registry}
        assert [line.partition(" (")[2] for line in lines.values()] == [
            "health: starting)",
            "healthy)",
            "unhealthy)",
            "",
        ]
        assert views.state(registry.get("b")).health == Health(status="healthy")
        async with opened(tmp_path) as images:
            for wanted, names in (("healthy", ["b"]), ("none", ["d"]), ("unhealthy", ["c"])):
                filters = Filters({"health": [wanted]})
                found = listing.select(registry, images, lambda _: set(), filters, all_=True, limit=0)
                assert [one.name for one in found] == names
        database.close()

    asyncio.run(run())


def test_the_end_makes_it_unhealthy_and_the_row_keeps_that(tmp_path: Path) -> None:
    async def run() -> None:
        database = Database(tmp_path / "cove.db")
        events = Events(EventLog(database))
        registry = Registry(database)
        probes = Probes(Execs(registry, events), registry, events)
        config = {"healthcheck": HealthConfig(test=["CMD", "true"])}
        made = container("c1", config=config, state={"status": "running"})
        await registry.add(made)
        probes.begin(made)
        assert made.record.state.health == Health(status="starting")
        probes.end(made)
        await registry.save(made)
        (row,) = database.load(CONTAINERS.select)
        assert row.state.health == Health(status="unhealthy")
        probes.begin(made)
        await probes.close()
        assert made.record.state.health == Health(status="unhealthy"), "a daemon that goes says nothing of containers"
        database.close()

    asyncio.run(run())
