"""Every filter that the Engine API's specification names is known where it is named, and no other is."""

import json
from urllib.parse import quote

import pytest

from harness.engine import Engine
from harness.waiting import eventually

PRUNE = {"until": "1h", "label": "a=b", "label!": "c"}
LISTS = {
    "GET /containers/json": {
        "ancestor": "busybox",
        "before": "one",
        "expose": "80/tcp",
        "exited": "0",
        "health": "none",
        "id": "0",
        "isolation": "default",
        "is-task": "false",
        "label": "a=b",
        "name": "one",
        "network": "bridge",
        "publish": "80",
        "since": "one",
        "status": "created",
        "volume": "/data",
    },
    "POST /containers/prune": PRUNE,
    "GET /networks": {
        "dangling": "true",
        "driver": "bridge",
        "id": "0",
        "label": "a=b",
        "name": "bridge",
        "scope": "local",
        "type": "custom",
    },
    "POST /networks/prune": PRUNE,
    "GET /events?since=1&until=2": {
        **dict.fromkeys(("config", "container", "daemon", "image", "network", "node", "plugin"), "a"),
        **dict.fromkeys(("secret", "service", "volume", "label", "event"), "a"),
        "scope": "local",
        "type": "container",
    },
    "GET /images/json": {
        "before": "busybox",
        "dangling": "true",
        "label": "a=b",
        "reference": "busybox",
        "since": "busybox",
        "until": "1h",
    },
    "POST /images/prune": {**PRUNE, "dangling": "true"},
    "GET /volumes": {"dangling": "true", "driver": "local", "label": "a", "name": "a"},
    "POST /volumes/prune": {"label": "a", "label!": "b", "all": "true"},
    "POST /build/prune": {
        **dict.fromkeys(("id", "parent", "type", "description"), "a"),
        **dict.fromkeys(("inuse", "shared", "private"), "true"),
        "until": "1h",
    },
}


@pytest.mark.parametrize("where", LISTS)
def test_filters(daemon: Engine, where: str) -> None:
    daemon.docker("create", "--name", "one", "busybox", "true")
    method, target = where.split()

    def status(filters: dict[str, list[str]]) -> int:
        joined = f"{target}{'&' if '?' in target else '?'}filters={quote(json.dumps(filters))}"
        return daemon.http(method, joined).status

    known = LISTS[where]
    answers = {name: status({name: [value]}) for name, value in known.items()}
    assert answers == dict.fromkeys(known, 200)
    assert status({name: [value] for name, value in known.items()}) == 200
    assert status({"nonesuch": ["a"]}) == 400


def test_containers_by_state(daemon: Engine) -> None:
    """Each is in one state, and found by it alone."""
    daemon.docker("create", "--name", "created", "busybox", "true")
    daemon.docker("run", "--name", "exited", "busybox", "true")
    for name in ("running", "paused"):
        daemon.docker("run", "-d", "--name", name, "busybox", "sleep", "600")
    daemon.docker("pause", "paused")
    daemon.docker("run", "-d", "--name", "restarting", "--restart", "always", "busybox", "false")

    def found(status: str) -> list[str]:
        return daemon.docker("ps", "-a", "--filter", f"status={status}", "--format", "{{.Names}}").out.split()

    eventually(lambda: found("restarting"), lambda names: names == ["restarting"], seconds=20)
    for status in ("created", "exited", "running", "paused"):
        assert set(found(status)) - {"restarting"} == {status}, "the one that restarts goes on through its states"
    assert found("removing") == found("dead") == []
    listed = daemon.docker("ps", "--filter", "status=restarting", "--filter", "status=paused", "--format", "{{.State}}")
    assert "paused" in listed.out.split()
