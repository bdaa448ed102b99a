"""What the engines' answers are made of: the keys of every object and the types of what they hold."""

from typing import Any

import pytest

from harness.compare import Observed, ask, shape, shape_of
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")


def test_the_engine_itself(alike: Any) -> None:
    alike("system", _system)


def _system(engine: Engine) -> Observed:
    ping = ask(engine, "GET", "/_ping")
    return {
        "version": shape_of(engine, "/version"),
        "info": shape_of(engine, "/info"),
        "df": shape_of(engine, "/system/df"),
        "ping": {name: name in ping.headers for name in ("api-version", "ostype", "cache-control", "pragma")},
        "ping body": ping.body,
        "head": ask(engine, "HEAD", "/_ping").status,
    }


def test_inspections(alike: Any) -> None:
    alike("inspect container", _inspections)


def _inspections(engine: Engine) -> Observed:
    host = {"PortBindings": {"80/tcp": [{"HostPort": "18081"}]}, "Binds": ["data:/data"], "Memory": 1 << 25}
    engine.docker("create", "--name", "made", "busybox", "true")
    ask(
        engine, "POST", "/containers/create?name=runs", {"Image": "busybox", "Cmd": ["sleep", "60"], "HostConfig": host}
    )
    ask(engine, "POST", "/containers/runs/start")
    engine.docker("run", "--name", "ended", "--net", "none", "busybox", "sh", "-c", "exit 3", check=False)
    return {
        "created": shape_of(engine, "/containers/made/json"),
        "running": shape_of(engine, "/containers/runs/json?size=1"),
        "exited": shape_of(engine, "/containers/ended/json"),
        "list": shape_of(engine, "/containers/json?all=1&size=1"),
        "values": {
            name: _defaults(ask(engine, "GET", f"/containers/{name}/json").json()) for name in ("made", "runs", "ended")
        },
    }


_VARIES = ("Pid", "StartedAt", "FinishedAt")


def _defaults(found: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on the run."""
    config = {key: value for key, value in found["Config"].items() if key not in ("Hostname", "Image")}
    state = {key: value for key, value in found["State"].items() if key not in _VARIES}
    plain = {key: found[key] for key in ("Path", "Args", "Driver", "RestartCount", "Platform", "AppArmorProfile")}
    networks = found["NetworkSettings"]["Networks"]
    return {"State": state, "Config": config, "HostConfig": found["HostConfig"], **plain, "Networks": sorted(networks)}


def test_statistics(alike: Any) -> None:
    alike("statistics", _statistics)


def _statistics(engine: Engine) -> Observed:
    engine.docker("run", "-d", "--name", "it", "-m", "64m", "--cpus", "0.5", "busybox", "sleep", "600")
    engine.docker("run", "-d", "--name", "alone", "--net", "none", "busybox", "sleep", "600")
    engine.docker("create", "--name", "made", "busybox")
    at_once = "stream=false&one-shot=true"
    samples = {
        f"{name} {query}": ask(engine, "GET", f"/containers/{name}/stats?{query}").json()
        for name, query in (("it", "stream=false"), ("it", at_once), ("alone", at_once), ("made", at_once))
    }
    found = samples["it stream=false"]
    values = (found["name"], found["memory_stats"]["limit"], found["pids_stats"]["current"])
    return {key: _shape_of_sample(sample) for key, sample in samples.items()} | {"values": values}


_NEWER_COUNTERS = ("shmem", "swap", "workingset")


def _shape_of_sample(sample: Any) -> Any:
    """The types of its values; of block devices not whether one was used, of counters those that Docker 20.10 knows."""
    counters = sample["memory_stats"].get("stats", {})
    for name in [name for name in counters if any(word in name for word in _NEWER_COUNTERS)]:
        del counters[name]
    sample["blkio_stats"] = dict.fromkeys(sample["blkio_stats"], "")
    return shape(sample)


def test_images(alike: Any) -> None:
    alike("inspect image", _images)


def _images(engine: Engine) -> Observed:
    return {
        "inspect": shape_of(engine, "/images/busybox/json"),
        "list": shape_of(engine, "/images/json"),
        "history": shape_of(engine, "/images/busybox/history"),
        "config": ask(engine, "GET", "/images/busybox/json").json()["Config"],
    }


def test_networks_and_volumes(alike: Any) -> None:
    alike("inspect network and volume", _networks_and_volumes)


def _networks_and_volumes(engine: Engine) -> Observed:
    engine.docker("network", "create", "--label", "a=b", "--subnet", "10.77.1.0/24", "mine")
    engine.docker("volume", "create", "--label", "a=b", "mine")
    engine.docker("run", "-d", "--name", "member", "--net", "mine", "busybox", "sleep", "60")
    return {
        "network": shape_of(engine, "/networks/mine"),
        "networks": shape_of(engine, "/networks?filters=%7B%22name%22%3A%5B%22mine%22%5D%7D"),
        **{name: _plain(ask(engine, "GET", f"/networks/{name}").json()) for name in ("bridge", "host", "none", "mine")},
        "volume": shape_of(engine, "/volumes/mine"),
        "volumes": shape_of(engine, "/volumes"),
        "member": shape(ask(engine, "GET", "/containers/member/json").json()["NetworkSettings"]),
    }


def test_network_settings_in_every_state(alike: Any) -> None:
    alike("network settings in every state", _network_settings)


def _network_settings(engine: Engine) -> Observed:
    engine.docker("network", "create", "--subnet", "10.77.2.0/24", "one")
    engine.docker("network", "create", "--ipv6", "--subnet", "10.77.3.0/24", "--subnet", "fd00:773::/64", "two")
    endpoints = {"one": {"IPAMConfig": {"IPv4Address": "10.77.2.9"}, "Aliases": ["a"]}}
    host = {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18082"}]}, "NetworkMode": "one"}
    exposed: dict[str, Any] = {"80/tcp": {}, "81/udp": {}}
    body = {"Image": "busybox", "Cmd": ["sleep", "60"], "ExposedPorts": exposed, "HostConfig": host}
    steps: dict[str, tuple[str, str, Any]] = {
        "created": ("POST", "create?name=box", {**body, "NetworkingConfig": {"EndpointsConfig": endpoints}}),
        "connected": ("POST", "two/connect", {"Container": "box", "EndpointConfig": {"Aliases": ["b"]}}),
        "running": ("POST", "box/start", None),
        "paused": ("POST", "box/pause", None),
        "unpaused": ("POST", "box/unpause", None),
        "exited": ("POST", "box/kill", None),
        "again": ("POST", "box/start", None),
    }
    seen = {}
    for name, (method, target, sent) in steps.items():
        kind = "networks" if name == "connected" else "containers"
        assert ask(engine, method, f"/{kind}/{target}", sent).status < 300
        if name == "exited":
            ask(engine, "POST", "/containers/box/wait")
        seen[name] = _settings(engine)
    for action, network in (("disconnect", "two"), ("disconnect", "one"), ("connect", "two")):
        assert ask(engine, "POST", f"/networks/{network}/{action}", {"Container": "box"}).status == 200
        seen[f"{action} {network}"] = _settings(engine)
    return seen


def _settings(engine: Engine) -> dict[str, Any]:
    """With a word in the place of what no two engines have in common."""
    found = ask(engine, "GET", "/containers/box/json").json()
    own = ("SandboxID", "SandboxKey", "EndpointID", "NetworkID", "MacAddress")

    def known(value: dict[str, Any]) -> dict[str, Any]:
        value = {key: "set" if key in own and each else each for key, each in value.items()}
        if value.get("Aliases"):
            value["Aliases"] = ["SHORT-ID" if name == found["Id"][:12] else name for name in value["Aliases"]]
        return value

    settings = known(found["NetworkSettings"])
    return {**settings, "Networks": {name: known(each) for name, each in settings["Networks"].items()}}


def _plain(network: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in network.items() if key not in ("Id", "Created", "Containers")}


def test_execs(alike: Any) -> None:
    alike("inspect exec", _execs)


def _execs(engine: Engine) -> Observed:
    engine.docker("run", "-d", "--name", "runs", "busybox", "sleep", "60")
    made = ask(engine, "POST", "/containers/runs/exec", {"Cmd": ["sh", "-c", "exit 4"], "AttachStdout": True}).json()
    before = shape_of(engine, f"/exec/{made['Id']}/json")
    ask(engine, "POST", f"/exec/{made['Id']}/start", {"Detach": False})
    after = ask(engine, "GET", f"/exec/{made['Id']}/json").json()
    return {"before": before, "after": shape(after), "code": after["ExitCode"], "running": after["Running"]}


def test_top(alike: Any) -> None:
    alike("top", _top)


def _top(engine: Engine) -> Observed:
    engine.docker("run", "-d", "--name", "runs", "busybox", "sleep", "60")
    plain = ask(engine, "GET", "/containers/runs/top").json()
    chosen = ask(engine, "GET", "/containers/runs/top?ps_args=-o%20pid,args").json()
    return {
        "titles": plain["Titles"],
        "commands": [row[-1] for row in plain["Processes"]],
        "chosen": chosen["Titles"],
        "chosen commands": [row[-1] for row in chosen["Processes"]],
    }


def test_memberships(alike: Any) -> None:
    alike("memberships", _memberships)


def _memberships(engine: Engine) -> Observed:
    """A container on two networks, as it moves between them: what is said of it, and its routes."""
    for number, name in enumerate(("left", "right"), 81):
        engine.docker("network", "create", "--subnet", f"10.{number}.0.0/24", name)
    engine.docker("run", "-d", "--name", "moves", "--network", "left", "busybox", "sleep", "60")
    seen: dict[str, Any] = {"start": _membership(engine)}
    for step, network in (("connect", "right"), ("disconnect", "left"), ("disconnect", "right"), ("connect", "left")):
        body = (
            {"Container": "moves", "EndpointConfig": {"Aliases": ["other"]}}
            if step == "connect"
            else {"Container": "moves"}
        )
        status = ask(engine, "POST", f"/networks/{network}/{step}", body).status
        seen[f"{step} {network}"] = {"status": status, **_membership(engine)}
    ask(engine, "POST", "/containers/moves/kill")
    seen["killed"] = {name: each["IPAddress"] for name, each in _endpoints(engine).items()}
    return seen


def _endpoints(engine: Engine) -> dict[str, Any]:
    found: dict[str, Any] = ask(engine, "GET", "/containers/moves/json").json()["NetworkSettings"]["Networks"]
    return found


def _membership(engine: Engine) -> dict[str, Any]:
    told = {
        name: {key: each[key] for key in ("IPAddress", "IPPrefixLen", "Gateway", "MacAddress")}
        for name, each in _endpoints(engine).items()
    }
    route = engine.docker("exec", "moves", "ip", "route", "show", "default").out.split()
    mode = ask(engine, "GET", "/containers/moves/json").json()["HostConfig"]["NetworkMode"]
    return {"told": told, "gateway": route[2] if route else "", "mode": mode}
