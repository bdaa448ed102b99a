"""Restart policies and health checks: state, counts, logs of probes and events, the same from both engines."""

from typing import Any

import pytest

from harness.compare import Observed, ask
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

STATE = ("Status", "Running", "Paused", "Restarting", "OOMKilled", "Dead", "ExitCode", "Error")


def test_restart_policies(alike: Any) -> None:
    alike("restart policies", _restarts)


def _restarts(engine: Engine) -> Observed:
    """Each runs a program that fails (or does not) until its policy has had enough of it."""
    tries = {
        "no": ("--restart", "no", "exit 3"),
        "on failure": ("--restart", "on-failure:2", "exit 3"),
        "on success": ("--restart", "on-failure:2", "true"),
        "not found": ("--restart", "on-failure:1", "nonesuch"),
    }
    seen: dict[str, Any] = {}
    for name, (flag, policy, script) in tries.items():
        engine.docker("run", "-d", "--name", "it", flag, policy, "busybox", "sh", "-c", script)
        seen[name] = eventually(lambda: _ended(engine), seconds=30)
        engine.docker("rm", "-f", "it")
    for policy in ("always", "unless-stopped"):
        engine.docker("run", "-d", "--name", "it", "--restart", policy, "busybox", "sh", "-c", "sleep 0.1; exit 3")
        eventually(lambda: _inspected(engine)["RestartCount"] > 0, seconds=30)
        engine.docker("stop", "-t", "0", "it")
        shown = _inspected(engine)
        seen[policy] = {"Status": shown["State"]["Status"], "policy": shown["HostConfig"]["RestartPolicy"]}
        engine.docker("start", "it")
        seen[policy]["count after a start"] = _inspected(engine)["RestartCount"] < 2
        engine.docker("update", "--restart", "no", "it")
        engine.docker("rm", "-f", "it")
    return seen


def _inspected(engine: Engine) -> Any:
    return ask(engine, "GET", "/containers/it/json").json()


def _ended(engine: Engine) -> Any:
    """Empty until it has."""
    shown = _inspected(engine)
    if shown["State"]["Status"] != "exited":
        return {}
    state = {key: shown["State"][key] for key in STATE}
    return {**state, "count": shown["RestartCount"], "policy": shown["HostConfig"]["RestartPolicy"]}


def test_health(alike: Any) -> None:
    alike("health", _health)


def _health(engine: Engine) -> Observed:
    tries = {
        "well": ("healthy", "echo fine"),
        "ill": ("unhealthy", "echo bad; echo worse >&2; exit 1"),
        "other code": ("unhealthy", "exit 7"),
        "much": ("healthy", "head -c 9000 /dev/zero | tr '\\0' x"),
        "slow": ("unhealthy", "sleep 5"),
    }
    seen: dict[str, Any] = {}
    for name, (status, script) in tries.items():
        limit = "250ms" if name == "slow" else "20s"
        times = ("--health-interval", "300ms", "--health-timeout", limit, "--health-retries", "2")
        engine.docker("run", "-d", "--name", "it", "--health-cmd", script, *times, "busybox", "sleep", "60")
        starting = _inspected(engine)["State"]["Health"]
        shown = eventually(lambda wanted=status: _judged(engine, wanted), seconds=30)  # type: ignore[misc]
        first = shown["Log"][0]
        seen[name] = {
            "keys": sorted(shown),
            "first": sorted(starting),
            "log": sorted(first),
            "code": first["ExitCode"],
            "output": (sorted(first["Output"][:60].splitlines()), len(first["Output"])),  # two pipes have no order
            "streak": min(shown["FailingStreak"], 2),
            "list": "(" + ask(engine, "GET", "/containers/json").json()[0]["Status"].partition("(")[2],
        }
        engine.docker("rm", "-f", "it")
    engine.docker("run", "-d", "--name", "it", "--no-healthcheck", "busybox", "sleep", "60")
    seen["none"] = "Health" in _inspected(engine)["State"]
    return seen


def _judged(engine: Engine, wanted: str) -> Any:
    health = _inspected(engine)["State"]["Health"]
    return health if health["Status"] == wanted and health["Log"] else {}
