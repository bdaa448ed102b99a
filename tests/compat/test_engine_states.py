"""Every request in every state: the same status and the same words."""

from typing import Any

import pytest

from harness.compare import Observed, answer, ask
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

REQUESTS = {
    "start": ("POST", "start"),
    "stop": ("POST", "stop?t=0"),
    "kill": ("POST", "kill"),
    "bad signal": ("POST", "kill?signal=NOPE"),
    "restart": ("POST", "restart?t=0"),
    "pause": ("POST", "pause"),
    "unpause": ("POST", "unpause"),
    "resize": ("POST", "resize?h=10&w=20"),
    "bad size": ("POST", "resize?h=x&w=20"),
    "top": ("GET", "top"),
    "bad ps": ("GET", "top?ps_args=-o%20nope"),
    "logs of nothing": ("GET", "logs"),
    "bad since": ("GET", "logs?stdout=1&since=x"),
    "rename to itself": ("POST", "rename?name=it"),
    "rename to nothing": ("POST", "rename?name="),
    "rename badly": ("POST", "rename?name=a%20b"),
    "rename to taken": ("POST", "rename?name=other"),
    "exec of nothing": ("POST", "exec"),
    "remove": ("DELETE", ""),
    "remove link": ("DELETE", "?link=1"),
    "attach": ("POST", "attach?stream=0&stdout=1"),
}


def test_nobody(alike: Any) -> None:
    alike("states", lambda engine: {"nobody": _each(engine, "nobody")})


@pytest.mark.parametrize("state", ["created", "running", "paused", "exited"])
def test_states(alike: Any, state: str) -> None:
    alike(f"states {state}", lambda engine: {name: _in_state(engine, state, name) for name in REQUESTS})


def _each(engine: Engine, ref: str) -> dict[str, str]:
    return {name: _request(engine, ref, name) for name in REQUESTS}


def _request(engine: Engine, ref: str, name: str) -> str:
    method, rest = REQUESTS[name]
    body = {"Cmd": []} if name == "exec of nothing" else None
    slash = "" if rest.startswith("?") or not rest else "/"
    return answer(engine, method, f"/containers/{ref}{slash}{rest}", body)


def _in_state(engine: Engine, state: str, name: str) -> list[str]:
    """The answer, the answer when asked again, and the state after that."""
    for other in ("it", "other"):
        ask(engine, "DELETE", f"/containers/{other}?force=1")
    ask(engine, "POST", "/containers/create?name=other", {"Image": "busybox"})
    ask(engine, "POST", "/containers/create?name=it", {"Image": "busybox", "Cmd": ["sleep", "60"]})
    for step in {"running": ["start"], "paused": ["start", "pause"], "exited": ["start", "kill"]}.get(state, []):
        ask(engine, "POST", f"/containers/it/{step}")
    if state == "exited":
        ask(engine, "POST", "/containers/it/wait")
    found = [_request(engine, "it", name), _request(engine, "it", name)]
    after = ask(engine, "GET", "/containers/it/json")
    return [*found, after.json()["State"]["Status"] if after.status == 200 else "gone"]


SIGNALLED = {
    "term": ("TERM", ""),
    "any other": ("USR1", ""),
    "its stop signal": ("USR1", "SIGUSR1"),
    "the strongest": ("KILL", "SIGUSR1"),
    "not its stop signal": ("TERM", "SIGUSR1"),
}
TRAPS = "trap 'exit 3' TERM; trap 'exit 4' USR1; echo ready; while :; do sleep 0.1; done"


def test_signals_while_paused(alike: Any) -> None:
    alike("signals while paused", lambda engine: {name: _signalled(engine, *SIGNALLED[name]) for name in SIGNALLED})


def _signalled(engine: Engine, signal: str, stop_signal: str) -> Observed:
    """Whether a signal makes a paused container go on, and how that ends."""
    body = {"Image": "busybox", "Cmd": ["sh", "-c", TRAPS], "StopSignal": stop_signal}
    ask(engine, "POST", "/containers/create?name=it", body)
    ask(engine, "POST", "/containers/it/start")
    eventually(lambda: engine.docker("logs", "it").out == "ready\n")
    ask(engine, "POST", "/containers/it/pause")
    told = answer(engine, "POST", f"/containers/it/kill?signal={signal}")
    stays = signal not in ("KILL", stop_signal.removeprefix("SIG")) and stop_signal != ""
    if stays:
        told += " " + ask(engine, "GET", "/containers/it/json").json()["State"]["Status"]
        told += " " + answer(engine, "POST", "/containers/it/unpause")
    code = ask(engine, "POST", "/containers/it/wait").json()["StatusCode"]
    ask(engine, "DELETE", "/containers/it")
    return {"told": told, "code": code}


def test_execs(alike: Any) -> None:
    alike("exec errors", _execs)


def _execs(engine: Engine) -> Observed:
    engine.docker("run", "-d", "--name", "runs", "busybox", "sleep", "60")
    bodies: dict[str, Any] = {
        "no command": {"Cmd": []},
        "no such program": {"Cmd": ["nosuchprogram"], "AttachStdout": True},
        "no such path": {"Cmd": ["/no/such"], "AttachStdout": True},
        "directory": {"Cmd": ["/etc"], "AttachStdout": True},
        "user": {"Cmd": ["true"], "User": "no-such-user"},
        "directory given": {"Cmd": ["true"], "WorkingDir": "/no/such/directory"},
        "keys": {"Cmd": ["true"], "DetachKeys": "nope"},
        "type": {"Cmd": "true"},
        "environment": {"Cmd": ["true"], "Env": ["=x"]},
        "good": {"Cmd": ["true"]},
    }
    return {name: _exec(engine, body) for name, body in bodies.items()} | {
        "start nobody": answer(engine, "POST", f"/exec/{'0' * 64}/start", {}),
        "inspect nobody": answer(engine, "GET", f"/exec/{'0' * 64}/json"),
        "resize nobody": answer(engine, "POST", f"/exec/{'0' * 64}/resize?h=1&w=1"),
    }


def _exec(engine: Engine, body: Any) -> Any:
    made = ask(engine, "POST", "/containers/runs/exec", body)
    if made.status != 201:
        return answer(engine, "POST", "/containers/runs/exec", body)
    ref = made.json()["Id"]
    started = answer(engine, "POST", f"/exec/{ref}/start", {"Detach": False})
    again = answer(engine, "POST", f"/exec/{ref}/start", {"Detach": False})
    state = eventually(lambda: ask(engine, "GET", f"/exec/{ref}/json").json(), lambda shown: not shown["Running"])
    return {"start": started, "again": again, "code": state.get("ExitCode")}


IMAGES = {
    "inspect nobody": ("GET", "/images/nobody/json"),
    "history nobody": ("GET", "/images/nobody/history"),
    "remove nobody": ("DELETE", "/images/nobody"),
    "tag nobody": ("POST", "/images/nobody/tag?repo=a"),
    "tag badly": ("POST", "/images/busybox/tag?repo=UPPER"),
    "tag bad tag": ("POST", "/images/busybox/tag?repo=a&tag=-x"),
    "tag nothing": ("POST", "/images/busybox/tag"),
    "remove used": ("DELETE", "/images/busybox:latest"),
    "tag": ("POST", "/images/busybox/tag?repo=a&tag=1"),
    "tag again": ("POST", "/images/busybox/tag?repo=a&tag=1"),
    "bad filter": ("GET", "/images/json?filters=%7B%22nope%22%3A%5B%22x%22%5D%7D"),
    "filters are no JSON": ("GET", "/images/json?filters=x"),
    "get nobody": ("GET", "/images/nobody/get"),
    "load nothing": ("POST", "/images/load"),
    "create of nothing": ("POST", "/images/create"),
    "remove tag": ("DELETE", "/images/a:1"),
    "bad reference": ("GET", "/images/UPPER/json"),
    "prune badly": ("POST", "/images/prune?filters=%7B%22nope%22%3A%5B%22x%22%5D%7D"),
}
OTHERS = {
    "network nobody": ("GET", "/networks/nobody", None),
    "network nameless": ("POST", "/networks/create", {"Name": ""}),
    "network bad name": ("POST", "/networks/create", {"Name": "a b"}),
    "network bad driver": ("POST", "/networks/create", {"Name": "ab", "Driver": "nope"}),
    "network bad subnet": ("POST", "/networks/create", {"Name": "ab", "IPAM": {"Config": [{"Subnet": "x"}]}}),
    "network host bits": ("POST", "/networks/create", {"Name": "hb", "IPAM": {"Config": [{"Subnet": "10.8.3.1/24"}]}}),
    "network bad gateway": (
        "POST",
        "/networks/create",
        {"Name": "gw", "IPAM": {"Config": [{"Subnet": "10.8.5.0/24", "Gateway": "10.9.1.1"}]}},
    ),
    "network called host": ("POST", "/networks/create", {"Name": "host", "CheckDuplicate": True}),
    "network called bridge": ("POST", "/networks/create", {"Name": "bridge", "CheckDuplicate": True}),
    "network": ("POST", "/networks/create", {"Name": "ab", "CheckDuplicate": True}),
    "network again": ("POST", "/networks/create", {"Name": "ab", "CheckDuplicate": True}),
    "network overlap": (
        "POST",
        "/networks/create",
        {"Name": "cd", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}},
    ),
    "network remove builtin": ("DELETE", "/networks/bridge", None),
    "network remove nobody": ("DELETE", "/networks/nobody", None),
    "network bad filter": ("GET", "/networks?filters=%7B%22nope%22%3A%5B%22x%22%5D%7D", None),
    "connect nobody": ("POST", "/networks/ab/connect", {"Container": "nobody"}),
    "connect to nobody": ("POST", "/networks/nobody/connect", {"Container": "runs"}),
    "connect": ("POST", "/networks/ab/connect", {"Container": "runs"}),
    "connect again": ("POST", "/networks/ab/connect", {"Container": "runs"}),
    "connect to host": ("POST", "/networks/host/connect", {"Container": "runs"}),
    "connect bad address": (
        "POST",
        "/networks/bridge/connect",
        {"Container": "alone", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "x"}}},
    ),
    "network in use": ("DELETE", "/networks/ab", None),
    "disconnect nobody": ("POST", "/networks/ab/disconnect", {"Container": "nobody"}),
    "disconnect": ("POST", "/networks/ab/disconnect", {"Container": "runs"}),
    "disconnect again": ("POST", "/networks/ab/disconnect", {"Container": "runs"}),
    "network remove": ("DELETE", "/networks/ab", None),
    "volume nobody": ("GET", "/volumes/nobody", None),
    "volume bad name": ("POST", "/volumes/create", {"Name": "a b"}),
    "volume short name": ("POST", "/volumes/create", {"Name": "a"}),
    "volume bad driver": ("POST", "/volumes/create", {"Name": "ab", "Driver": "nope"}),
    "volume bad option": ("POST", "/volumes/create", {"Name": "ab", "DriverOpts": {"nope": "x"}}),
    "volume": ("POST", "/volumes/create", {"Name": "ab"}),
    "volume again": ("POST", "/volumes/create", {"Name": "ab"}),
    "volume in use": ("DELETE", "/volumes/used", None),
    "volume remove": ("DELETE", "/volumes/ab", None),
    "volume remove nobody": ("DELETE", "/volumes/ab", None),
    "volume force nobody": ("DELETE", "/volumes/ab?force=1", None),
    "volume bad filter": ("GET", "/volumes?filters=%7B%22nope%22%3A%5B%22x%22%5D%7D", None),
    "page": ("GET", "/no/such/page", None),
    "method": ("PUT", "/containers/json", None),
    "containers bad filter": ("GET", "/containers/json?filters=%7B%22nope%22%3A%5B%22x%22%5D%7D", None),
    "containers bad status": ("GET", "/containers/json?filters=%7B%22status%22%3A%5B%22x%22%5D%7D", None),
    "containers bad health": ("GET", "/containers/json?filters=%7B%22health%22%3A%5B%22x%22%5D%7D", None),
    "containers bad exited": ("GET", "/containers/json?filters=%7B%22exited%22%3A%5B%22x%22%5D%7D", None),
    "containers before nobody": ("GET", "/containers/json?filters=%7B%22before%22%3A%5B%22nobody%22%5D%7D", None),
    "containers bad limit": ("GET", "/containers/json?limit=x", None),
    "events bad since": ("GET", "/events?since=x&until=1", None),
    "prune bad filter": ("POST", "/containers/prune?filters=%7B%22nope%22%3A%5B%22x%22%5D%7D", None),
    "prune bad until": ("POST", "/containers/prune?filters=%7B%22until%22%3A%5B%22x%22%5D%7D", None),
    "swarm": ("GET", "/swarm", None),
    "services": ("GET", "/services", None),
    "plugins": ("GET", "/plugins", None),
}


def test_image_requests(alike: Any) -> None:
    alike("images", _images)


def _images(engine: Engine) -> Observed:
    engine.docker("create", "busybox")
    return {name: answer(engine, method, target) for name, (method, target) in IMAGES.items()}


def test_other_requests(alike: Any) -> None:
    alike("requests", _others)


def _others(engine: Engine) -> Observed:
    engine.docker("run", "-d", "--name", "runs", "-v", "used:/x", "busybox", "sleep", "60")
    engine.docker("run", "-d", "--name", "alone", "--net", "none", "busybox", "sleep", "60")
    return {name: answer(engine, method, target, body) for name, (method, target, body) in OTHERS.items()}
