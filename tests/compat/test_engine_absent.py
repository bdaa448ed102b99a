"""Endpoints of swarm, plugins and builds on an engine that has none of them: never a bare 404."""

from typing import Any

import pytest

from harness.compare import Observed, answer
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

REQUESTS = [
    "GET /plugins",
    "GET /plugins/x/json",
    "GET /plugins/privileges?remote=x",
    "POST /plugins/x/disable",
    "POST /plugins/x/push",
    "DELETE /plugins/x",
    "GET /swarm",
    "GET /swarm/unlockkey",
    "POST /swarm/leave",
    "POST /swarm/unlock",
    "GET /nodes",
    "GET /nodes/x",
    "DELETE /nodes/x",
    "GET /services",
    "GET /services/x",
    "GET /services/x/logs?stdout=1",
    "POST /services/create",
    "DELETE /services/x",
    "GET /tasks",
    "GET /tasks/x",
    "GET /secrets",
    "POST /secrets/create",
    "DELETE /secrets/x",
    "GET /configs",
    "POST /configs/create",
    "POST /session",
    "POST /build/prune",
    "GET /nope",
    "PUT /info",
    "DELETE /containers",
    "GET /containers/nope/nope",
    "GET /v1.99/info",
    "POST /auth",
]


def test_what_is_not_there(alike: Any) -> None:
    alike("not there", _absent)


def _absent(engine: Engine) -> Observed:
    seen = {}
    for request in REQUESTS:
        method, target = request.split()
        seen[request] = answer(engine, method, target, {} if method == "POST" else None)
    return seen


WAITS = ["", "not-running", "next-exit", "removed", "nope"]


def test_waits_and_signals(alike: Any) -> None:
    alike("waits", _waits)


def _waits(engine: Engine) -> Observed:
    engine.docker("create", "--name", "made", "busybox", "sh", "-c", "exit 3")
    seen: dict[str, Any] = {}
    for condition in ("", "not-running", "nope"):
        got = engine.http("POST", f"/v1.41/containers/made/wait?condition={condition}")
        seen[f"wait {condition}"] = [got.status, got.json().get("StatusCode")]
    trap = 'for s in INT TERM HUP USR1 WINCH; do trap "echo $s" $s; done; echo ready; while true; do sleep 0.05; done'
    engine.docker("run", "-d", "--name", "runs", "--stop-timeout", "1", "busybox", "sh", "-c", trap)
    with engine.spawned("docker", "logs", "-f", "runs") as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        for given, word in (("2", "INT"), ("sigterm", "TERM"), ("HUP", "HUP"), ("SIGUSR1", "USR1"), ("28", "WINCH")):
            seen[f"kill {given}"] = [
                answer(engine, "POST", f"/containers/runs/kill?signal={given}"),
                reader.stdout.readline(),
            ]
            assert seen[f"kill {given}"][1].decode().strip() == word
    for bad in ("0", "65", "-1", "SIG", "RTMIN+40", "nope"):
        seen[f"kill {bad}"] = answer(engine, "POST", f"/containers/runs/kill?signal={bad}").split()[0]
    seen["pause"] = answer(engine, "POST", "/containers/runs/pause")
    seen["term while paused"] = answer(engine, "POST", "/containers/runs/kill?signal=TERM")
    seen["stop while paused"] = answer(engine, "POST", "/containers/runs/stop?t=1")
    state = engine.http("GET", "/v1.41/containers/runs/json").json()["State"]
    seen["state"] = {key: state[key] for key in ("Status", "ExitCode", "OOMKilled", "Dead", "Error")}
    engine.docker("start", "runs")
    engine.docker("pause", "runs")
    seen["kill while paused"] = answer(engine, "POST", "/containers/runs/kill")
    state = engine.http("GET", "/v1.41/containers/runs/json").json()["State"]
    seen["killed"] = {key: state[key] for key in ("Status", "ExitCode", "Paused")}
    return seen
