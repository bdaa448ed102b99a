"""What may be done with a container that waits for its next start by its policy, and what comes of it."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness import rawhttp
from harness.compare import API, Observed, answer, ask
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

REQUESTS: dict[str, tuple[str, str, Any]] = {
    "kill": ("POST", "/containers/{}/kill", None),
    "signal": ("POST", "/containers/{}/kill?signal=HUP", None),
    "stop": ("POST", "/containers/{}/stop?t=0", None),
    "restart": ("POST", "/containers/{}/restart?t=0", None),
    "start": ("POST", "/containers/{}/start", None),
    "pause": ("POST", "/containers/{}/pause", None),
    "unpause": ("POST", "/containers/{}/unpause", None),
    "exec": ("POST", "/containers/{}/exec", {"Cmd": ["true"]}),
    "attach": ("POST", "/containers/{}/attach?stream=1&stdout=1", None),
    "resize": ("POST", "/containers/{}/resize?h=10&w=20", None),
    "top": ("GET", "/containers/{}/top", None),
    "update": ("POST", "/containers/{}/update", {"Memory": 1 << 26, "MemorySwap": 1 << 26}),
    "rename": ("POST", "/containers/{}/rename?name=renamed", None),
    "stats": ("GET", "/containers/{}/stats?stream=0", None),
    "changes": ("GET", "/containers/{}/changes", None),
    "commit": ("POST", "/commit?container={}&repo=kept", {}),
    "archive": ("GET", "/containers/{}/archive?path=/tmp", None),
    "export": ("GET", "/containers/{}/export", None),
    "logs": ("GET", "/containers/{}/logs?stdout=1", None),
    "remove": ("DELETE", "/containers/{}", None),
    "remove by force": ("DELETE", "/containers/{}?force=1", None),
}
LONG = 6
"""Restarts after which the delay before the next one is over three seconds."""

STARTS = ("start", "restart")
"""Who is faster than the program, which ends again, is not known."""


def test_restarting(alike: Any) -> None:
    alike("restarting", _observe)


def _observe(engine: Engine) -> Observed:
    with ThreadPoolExecutor(len(REQUESTS)) as threads:
        found = {name: threads.submit(_asked, engine, name) for name in REQUESTS}
        return {name: each.result() for name, each in found.items()}


def _asked(engine: Engine, name: str) -> Observed:
    """The answer, the state that the request leaves, and what a client hears of that who waits for the end."""
    method, target, body = REQUESTS[name]
    ref = name.replace(" ", "-")
    wish = {"Image": "busybox", "Cmd": ["sh", "-c", "exit 4"], "HostConfig": {"RestartPolicy": {"Name": "always"}}}
    ask(engine, "POST", f"/containers/create?name={ref}", wish)
    ask(engine, "POST", f"/containers/{ref}/start")
    eventually(lambda: _state(engine, ref)[:2], lambda state: state == ["restarting", LONG], seconds=60)
    with rawhttp.opened(engine.socket, "POST", f"{API}/containers/{ref}/wait") as waiting:
        told = answer(engine, method, target.format(ref), body)
        state = None if name in STARTS else _state(engine, "renamed" if (name, told) == ("rename", "204") else ref)
        code = json.loads(waiting.read())["StatusCode"]
    if name in STARTS:
        assert code == 4 or engine.cli == "docker", "Docker's may be of the run that has just begun"
        code = None
    ask(engine, "DELETE", f"/containers/{ref}?force=1")
    return {"told": told, "state": state, "waited": code}


def _state(engine: Engine, ref: str) -> list[Any]:
    shown = ask(engine, "GET", f"/containers/{ref}/json")
    if shown.status == 404:
        return ["gone"]
    state = shown.json()["State"]
    return [state["Status"], shown.json()["RestartCount"], state["Running"], state["Restarting"], state["ExitCode"]]


QUICK = 5
"""Runs that end at once, whose delays are 0.1 s, 0.2 s, …, 1.6 s. The run after them is longer than Docker's 10 s."""

LONG_RUN = "echo >>/runs; [ $(wc -l </runs) = 6 ] && sleep 10.5; exit 4"


def test_delays(alike: Any) -> None:
    """They double, and begin anew after a run of ten seconds. That they end at a minute takes minutes: a unit test."""
    alike("delays of restarts", _delays)


def _delays(engine: Engine) -> Observed:
    since = f"{time.time() - 1:.0f}"
    engine.docker("run", "-d", "--name", "it", "--restart", "always", "busybox", "sh", "-c", LONG_RUN)
    words = (
        "--since",
        since,
        "--filter",
        "event=start",
        "--filter",
        "event=die",
        "--format",
        "{{.Status}} {{.TimeNano}}",
    )
    with engine.spawned("docker", "events", *words, "--filter", "container=it") as client:
        assert client.stdout is not None
        told = [client.stdout.readline().split() for _ in range(2 * (QUICK + 2) + 1)]
    engine.docker("rm", "-f", "it")
    assert [what for what, _ in told] == [b"start", b"die"] * (QUICK + 2) + [b"start"]
    times = [int(when) / 1e9 for _, when in told]
    delays = [start - die for die, start in zip(times[1::2], times[2::2], strict=True)]
    return {
        "doubled": [delay >= 0.1 * 2**number for number, delay in enumerate(delays[:QUICK])],
        "as long again": delays[QUICK] >= 0.1 * 2**QUICK,
        "as after the first": delays[QUICK] < delays[QUICK - 1],
        "and doubled": delays[QUICK + 1] >= 0.2,
    }
