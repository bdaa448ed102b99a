"""Rows with many containers: lists, statistics, and clients that all come at once."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.measure import Result, Row, docker
from harness.engine import Engine

STOPPED = 500
WATCHED = 50
AT_ONCE = 50
RUNNING = 100
RESTARTS = 3


def _create_stopped(engine: Engine) -> None:
    for number in range(STOPPED):
        wish = {"Image": "busybox", "Cmd": ["true"], "Labels": {"row": "many"}}
        answer = engine.http("POST", f"/containers/create?name=stopped{number}", wish)
        assert answer.status == 201, answer


def _list(engine: Engine) -> None:
    answer = engine.http("GET", "/containers/json?all=1")
    assert len(answer.json()) >= STOPPED


def _start(engine: Engine, count: int) -> None:
    for number in range(count):
        docker(engine, "run", "-d", "--name", f"running{number}", "--stop-timeout", "1", "busybox", "sleep", "86400")


def _remove_all(engine: Engine) -> None:
    names = [item["Id"] for item in engine.http("GET", "/containers/json?all=1").json()]
    docker(engine, "rm", "-f", *names)


def _run_at_once(engine: Engine) -> None:
    with ThreadPoolExecutor(AT_ONCE) as clients:
        list(clients.map(lambda _: docker(engine, "run", "--rm", "busybox", "true"), range(AT_ONCE)))


ROWS = (
    Row(
        f"ps -a of {STOPPED} stopped",
        lambda engine: docker(engine, "ps", "-a"),
        before=_create_stopped,
        after=_remove_all,
        target=1.5,
    ),
    Row(f"GET /containers/json of {STOPPED}", _list, before=_create_stopped, after=_remove_all, target=1.0),
    Row(
        f"stats --no-stream of {WATCHED}",
        lambda engine: docker(engine, "stats", "--no-stream"),
        before=lambda engine: _start(engine, WATCHED),
        after=_remove_all,
        target=0.5,
    ),
    Row(f"{AT_ONCE} parallel run --rm", _run_at_once, target=0.3),
)

RESTART = f"restart with {RUNNING} running"


def restart(engines: list[Engine]) -> Result:
    """From the end of the old process to the first answer of the new one: ours killed, Docker's stopped.

    With ours the containers have the same processes after it; with Docker's they have ended.
    """
    for engine in engines:
        _start(engine, RUNNING)
    ours, peer = sorted(_restarted(engines[0]) for _ in range(RESTARTS)), _restarted(engines[1])
    for engine in engines:
        _remove_all(engine)
    return Result(RESTART, ours[RESTARTS // 2], peer, "ms", RESTARTS, (ours[0], ours[-1]), None, 2000)


def _restarted(engine: Engine) -> float:
    before = _processes(engine)
    if engine.cli == "cove":
        engine.kill9()
    else:
        engine.stop()
    began = time.perf_counter()
    engine.start()
    taken = (time.perf_counter() - began) * 1000
    assert engine.cli != "cove" or _processes(engine) == before, "a container noticed"
    return taken


def _processes(engine: Engine) -> dict[str, int]:
    names = [item["Id"] for item in engine.http("GET", "/containers/json").json()]
    return {found["Id"]: found["State"]["Pid"] for found in _inspected(engine, names)}


def _inspected(engine: Engine, names: list[str]) -> Any:
    argv = ["docker", "inspect", *names]
    return json.loads(subprocess.run(argv, env=engine.client_environment(), capture_output=True, check=True).stdout)
