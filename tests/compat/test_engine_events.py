"""Every event: the same actions, in the same words, of the same objects, with the same attributes."""

import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from harness.compare import Observed, answer, ask, scrubbed
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "dockerd", "docker-cli", "busybox-static")


def test_events(alike: Any) -> None:
    alike("events", _events)


def _events(engine: Engine) -> Observed:
    start = _now()
    engine.docker("network", "create", "mine")
    engine.docker("volume", "create", "data")
    engine.docker("run", "--rm", "--name", "it", "--net", "mine", "-v", "data:/d", "-l", "a=b", "busybox", "true")
    engine.docker("run", "-d", "--name", "it", "busybox", "sleep", "60")
    engine.docker("exec", "it", "true")
    engine.http("POST", "/containers/it/attach?logs=1&stdout=1")
    for words in (
        ("pause",),
        ("unpause",),
        ("kill", "-s", "CONT"),
        ("restart", "-t", "0"),
        ("stop", "-t", "0"),
        ("rm",),
    ):
        engine.docker(*words, "it")
    engine.docker("tag", "busybox", "a:1")
    engine.docker("rmi", "a:1")
    engine.docker("volume", "rm", "data")
    engine.docker("network", "rm", "mine")
    return _by_kind(_told(engine, start)) | {"order of run --rm": _order(list(_told(engine, start)))}


def _by_kind(events: Iterable[dict[str, Any]]) -> Observed:
    """Each kind of event with how it looks each time, from the first network's or container's creation on."""
    seen: dict[str, list[str]] = {}
    for event in events:
        kind = f"{event['Type']} {event['Action']}".split(":")[0]
        if seen or kind == "network create":
            seen.setdefault(kind, []).append(_event(event))
    return seen


def _order(events: list[dict[str, Any]]) -> list[str]:
    kinds = [f"{event['Type']} {event['Action']}" for event in events]
    return kinds[kinds.index("container create") : kinds.index("container destroy") + 1]


def _event(event: dict[str, Any]) -> str:
    attributes = {key: scrubbed(value) for key, value in sorted(event["Actor"]["Attributes"].items())}
    keys = " ".join(sorted(event))
    return f"{event['Type']} {scrubbed(event['Action'])} {json.dumps(attributes)} {event['scope']} [{keys}]"


def test_actions_of_containers(alike: Any) -> None:
    alike("events of containers", _container_actions)


def _container_actions(engine: Engine) -> Observed:
    start = _now()
    engine.docker("network", "create", "mine")
    engine.docker("run", "-d", "--name", "it", "--label", "l=1", "-v", "/anonymous", "busybox", "sleep", "600")
    engine.docker("rename", "it", "web")
    engine.docker("exec", "web", "false", check=False)
    engine.docker("exec", "-d", "web", "echo", "a b")
    engine.docker("update", "--cpu-shares", "512", "web")
    engine.docker("top", "web")
    engine.docker("cp", "web:/etc/hostname", str(engine.base / "hostname"))
    engine.docker("cp", str(engine.base / "hostname"), "web:/here")
    ask(engine, "POST", "/containers/web/resize?h=10&w=20")
    engine.docker("export", "-o", str(engine.base / "web.tar"), "web")
    engine.docker("commit", "-m", "why", "web", "made:1")
    engine.docker("network", "connect", "mine", "web")
    engine.docker("network", "disconnect", "mine", "web")
    engine.docker("kill", "-s", "USR1", "web")
    engine.docker("rm", "-fv", "web")
    engine.docker("run", "--rm", "--name", "bad", "busybox", "nosuch", check=False)
    engine.docker("run", "-d", "--name", "well", "--health-cmd", "true", "--health-interval", "1s", "busybox", "top")
    healthy = "{{.State.Health.Status}}"
    eventually(lambda: engine.docker("inspect", "-f", healthy, "well").out.strip() == "healthy")
    engine.docker("rm", "-f", "well")
    engine.docker("run", "--name", "big", "-m", "8m", "busybox", "sh", "-c", "tail /dev/zero", check=False)
    engine.docker("container", "prune", "-f")
    seen = dict(_by_kind(_told(engine, start)))
    return seen | {"container oom": sorted(set(seen["container oom"]))}  # how often is the kernel's affair


def test_order_of_a_commit(alike: Any) -> None:
    alike("order of a commit", _commit)


def _commit(engine: Engine) -> Observed:
    start = _now()
    engine.docker("run", "-d", "--name", "it", "busybox", "sleep", "600")
    engine.docker("commit", "it", "made:1")
    engine.docker("rm", "-f", "it")
    engine.docker("rmi", "made:1")
    actions = [event["Action"] for event in _told(engine, start) if event["Type"] == "container"]
    order = [action for action in actions if action in ("pause", "commit", "unpause")]
    return {"told": sorted(order), "order": order}


def test_actions_of_other_objects(alike: Any) -> None:
    alike("events of objects", _object_actions)


def _object_actions(engine: Engine) -> Observed:
    start = _now()
    engine.docker("network", "create", "--label", "n=1", "mine")
    engine.docker("network", "rm", "mine")
    engine.docker("network", "prune", "-f")
    engine.docker("volume", "create", "--label", "v=1", "data")
    engine.docker("volume", "rm", "data")
    engine.docker("volume", "prune", "-f")
    engine.docker("create", "--name", "base", "--label", "l=1", "busybox")
    engine.docker("commit", "base", "made:1")
    engine.docker("export", "-o", str(engine.base / "c.tar"), "base")
    engine.docker("rm", "base")
    engine.docker("tag", "made:1", "made:2")
    engine.docker("save", "-o", str(engine.base / "made.tar"), "made:1")
    engine.docker("rmi", "made:2")
    engine.docker("rmi", "made:1")
    engine.docker("load", "-i", str(engine.base / "made.tar"))
    engine.docker("rmi", "made:1")
    engine.docker("import", "-c", "LABEL i=1", str(engine.base / "c.tar"), "imported:1")
    engine.docker("rmi", "imported:1")
    engine.docker("image", "prune", "-f")
    return _by_kind(_told(engine, start))


def test_reload(alike: Any) -> None:
    alike("event of a reload", _reloaded)


def _reloaded(engine: Engine) -> Observed:
    """What a hang-up tells of, with nothing changed."""
    start = _now()
    os.kill(engine.pid, signal.SIGHUP)
    (event,) = eventually(lambda: [event for event in _told(engine, start) if event["Action"] == "reload"])
    attributes = event["Actor"]["Attributes"]
    started_otherwise = ("debug", "runtimes", "default-runtime")
    return {"type": event["Type"], "scope": event["scope"], **attributes, **dict.fromkeys(started_otherwise, "")}


FILTERS: list[dict[str, list[str]]] = [
    {},
    {"type": ["container"]},
    {"type": ["network", "volume"]},
    {"event": ["start"]},
    {"event": ["start", "die"]},
    {"event": ["exec_create"]},
    {"event": ["exec_create: true "]},
    {"event": ["exec"]},
    {"container": ["web"]},
    {"container": ["we"]},
    {"container": ["ther"]},
    {"container": ["web", "other"]},
    {"image": ["busybox"]},
    {"image": ["busybox:latest"]},
    {"image": ["a:1"]},
    {"image": ["a"]},
    {"label": ["l"]},
    {"label": ["l=1"]},
    {"label": ["l=2"]},
    {"label": ["l=1", "k=2"]},
    {"label": ["name=web"]},
    {"volume": ["data"]},
    {"network": ["mine"]},
    {"network": ["bridge"]},
    {"daemon": ["nobody"]},
    {"scope": ["local"]},
    {"scope": ["swarm"]},
    {"service": ["zz"]},
    {"node": ["zz"]},
    {"plugin": ["zz"]},
    {"secret": ["zz"]},
    {"config": ["zz"]},
    {"type": ["container"], "event": ["start"], "container": ["web"]},
]


def test_filters(alike: Any) -> None:
    alike("filters of events", _filtered)


def _filtered(engine: Engine) -> Observed:
    start = _now()
    engine.docker("network", "create", "mine")
    engine.docker("volume", "create", "data")
    options = ("--net", "mine", "-v", "data:/d", "-l", "l=1", "-l", "k=2")
    engine.docker("run", "-d", "--name", "web", *options, "busybox", "sleep", "600")
    engine.docker("exec", "web", "true")
    engine.docker("tag", "busybox", "a:1")
    engine.docker("create", "--name", "other", "a:1")
    engine.docker("rm", "-f", "web", "other")
    engine.docker("rmi", "a:1")
    engine.docker("network", "rm", "mine")
    engine.docker("volume", "rm", "data")
    seen = {}
    for filters in FILTERS:
        told = list(_told(engine, start, filters))
        kinds = dict.fromkeys(f"{event['Type']} {event['Action']}" for event in told)
        seen[json.dumps(filters)] = " ".join(sorted(kinds))
    return seen


def test_times(alike: Any) -> None:
    alike("times of events", _times)


def _times(engine: Engine) -> Observed:
    return {
        query: answer(engine, "GET", f"/events?{query}")
        for query in (
            "until=1",
            "since=0&until=1",
            "since=2&until=1",
            "since=1.5&until=1.25",
            "until=x",
            "since=1&until=1",
        )
    }


def _told(engine: Engine, start: str, filters: Any = None) -> Iterator[dict[str, Any]]:
    query = f"since={start}&until={_now()}" + (f"&filters={quote(json.dumps(filters))}" if filters else "")
    for line in ask(engine, "GET", f"/events?{query}").body.decode().splitlines():
        yield json.loads(line)


def _now() -> str:
    return f"{time.time():.9f}"
