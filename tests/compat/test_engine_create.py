"""Creations that Docker refuses: the same status and the same words from ours."""

from typing import Any

import pytest

from harness.compare import Observed, answer, ask
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

BODIES: dict[str, Any] = {
    "good": {"Image": "busybox"},
    "empty": {},
    "not json": b"{",
    "not an object": b"[]",
    "no body": b"",
    "no image": {"Image": "no-such-image"},
    "bad image": {"Image": "UPPER:x:y"},
    "wrong type": {"Image": 5},
    "wrong list": {"Image": "busybox", "Env": "A=1"},
    "string command": {"Image": "busybox", "Cmd": "true"},
    "no command": {"Image": "busybox", "Entrypoint": [], "Cmd": []},
    "relative directory": {"Image": "busybox", "WorkingDir": "tmp"},
    "bad signal": {"Image": "busybox", "StopSignal": "SIGNOPE"},
    "bad port": {"Image": "busybox", "ExposedPorts": {"80/nope": {}}},
    "bad port number": {"Image": "busybox", "HostConfig": {"PortBindings": {"99999/tcp": [{"HostPort": "1"}]}}},
    "bad host port": {"Image": "busybox", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "x"}]}}},
    "bad bind": {"Image": "busybox", "HostConfig": {"Binds": ["a:b:c:d"]}},
    "relative bind": {"Image": "busybox", "HostConfig": {"Binds": ["/tmp:there"]}},
    "bind mode": {"Image": "busybox", "HostConfig": {"Binds": ["/tmp:/there:nope"]}},
    "bind to root": {"Image": "busybox", "HostConfig": {"Binds": ["/tmp:/"]}},
    "duplicate bind": {"Image": "busybox", "HostConfig": {"Binds": ["/tmp:/there", "/etc:/there"]}},
    "mount type": {"Image": "busybox", "HostConfig": {"Mounts": [{"Type": "nope", "Target": "/x"}]}},
    "mount target": {"Image": "busybox", "HostConfig": {"Mounts": [{"Type": "bind", "Source": "/tmp"}]}},
    "mount source": {
        "Image": "busybox",
        "HostConfig": {"Mounts": [{"Type": "bind", "Source": "/no/such", "Target": "/x"}]},
    },
    "little memory": {"Image": "busybox", "HostConfig": {"Memory": 1}},
    "negative memory": {"Image": "busybox", "HostConfig": {"Memory": -5}},
    "swap below memory": {"Image": "busybox", "HostConfig": {"Memory": 1 << 24, "MemorySwap": 1 << 23}},
    "swap alone": {"Image": "busybox", "HostConfig": {"MemorySwap": 1 << 24}},
    "reservation": {"Image": "busybox", "HostConfig": {"Memory": 1 << 24, "MemoryReservation": 1 << 25}},
    "swappiness": {"Image": "busybox", "HostConfig": {"MemorySwappiness": 101}},
    "cpus": {"Image": "busybox", "HostConfig": {"NanoCpus": 99_000_000_000}},
    "cpus and quota": {"Image": "busybox", "HostConfig": {"NanoCpus": 1_000_000_000, "CpuQuota": 5000}},
    "cpu period": {"Image": "busybox", "HostConfig": {"CpuPeriod": 5}},
    "cpu quota": {"Image": "busybox", "HostConfig": {"CpuQuota": 5}},
    "cpuset": {"Image": "busybox", "HostConfig": {"CpusetCpus": "nope"}},
    "absent cpu": {"Image": "busybox", "HostConfig": {"CpusetCpus": "0-99"}},
    "blkio": {"Image": "busybox", "HostConfig": {"BlkioWeight": 5}},
    "negative shm": {"Image": "busybox", "HostConfig": {"ShmSize": -1}},
    "restart policy": {"Image": "busybox", "HostConfig": {"RestartPolicy": {"Name": "nope"}}},
    "restart count": {
        "Image": "busybox",
        "HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}},
    },
    "restart negative": {
        "Image": "busybox",
        "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -3}},
    },
    "restart and remove": {
        "Image": "busybox",
        "HostConfig": {"AutoRemove": True, "RestartPolicy": {"Name": "always"}},
    },
    "capability": {"Image": "busybox", "HostConfig": {"CapAdd": ["NOPE"]}},
    "log driver": {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": "nope"}}},
    "log option": {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"nope": "1"}}}},
    "log size": {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "x"}}}},
    "pid of nobody": {"Image": "busybox", "HostConfig": {"PidMode": "container:nobody"}},
    "pid mode": {"Image": "busybox", "HostConfig": {"PidMode": "nope"}},
    "ipc mode": {"Image": "busybox", "HostConfig": {"IpcMode": "nope"}},
    "network of nobody": {"Image": "busybox", "HostConfig": {"NetworkMode": "container:nobody"}},
    "no network": {"Image": "busybox", "HostConfig": {"NetworkMode": "no-such-network"}},
    "runtime": {"Image": "busybox", "HostConfig": {"Runtime": "nope"}},
    "volumes from nobody": {"Image": "busybox", "HostConfig": {"VolumesFrom": ["nobody"]}},
    "hostname": {"Image": "busybox", "Hostname": "a" * 64},
    "bad environment": {"Image": "busybox", "Env": ["=x"]},
    "security option": {"Image": "busybox", "HostConfig": {"SecurityOpt": ["nope"]}},
    "ports and host": {"Image": "busybox", "HostConfig": {"NetworkMode": "host", "PortBindings": {"80/tcp": [{}]}}},
    "hostname and host uts": {"Image": "busybox", "Hostname": "a", "HostConfig": {"UTSMode": "host"}},
    "sysctl": {"Image": "busybox", "HostConfig": {"Sysctls": {"nope": "1"}}},
    "healthcheck": {"Image": "busybox", "Healthcheck": {"Test": ["NOPE"]}},
    "health interval": {"Image": "busybox", "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5}},
    "tmpfs": {"Image": "busybox", "HostConfig": {"Tmpfs": {"relative": ""}}},
    "tmpfs option": {"Image": "busybox", "HostConfig": {"Tmpfs": {"/x": "nope=1"}}},
    "link of nobody": {"Image": "busybox", "HostConfig": {"Links": ["nobody:x"]}},
    "two networks": {
        "Image": "busybox",
        "NetworkingConfig": {"EndpointsConfig": {"a": {}, "b": {}}},
    },
    "address on the bridge": {
        "Image": "busybox",
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"IPAMConfig": {"IPv4Address": "10.9.9.9"}}}},
    },
    "mac address": {"Image": "busybox", "MacAddress": "nope"},
    "device": {
        "Image": "busybox",
        "HostConfig": {"Devices": [{"PathOnHost": "/dev/no-such", "PathInContainer": "/d", "CgroupPermissions": "r"}]},
    },
    "device rule": {"Image": "busybox", "HostConfig": {"DeviceCgroupRules": ["nope"]}},
    "isolation": {"Image": "busybox", "HostConfig": {"Isolation": "hyperv"}},
}
NAMES = {"short name": "a", "bad name": "a%20b", "leading dash": "-a", "taken": "taken-name", "slash": "/fine-name"}


def test_bad_bodies(alike: Any) -> None:
    alike("create", _bodies)


def _bodies(engine: Engine) -> Observed:
    seen = {name: answer(engine, "POST", "/containers/create", body) for name, body in BODIES.items()}
    return {name: text.replace("b, a", "a, b") for name, text in seen.items()}  # Docker goes over a map


def test_names(alike: Any) -> None:
    alike("create names", _names)


def _names(engine: Engine) -> Observed:
    ask(engine, "POST", "/containers/create?name=taken-name", {"Image": "busybox"})
    return {
        kind: answer(engine, "POST", f"/containers/create?name={name}", {"Image": "busybox"})
        for kind, name in NAMES.items()
    }


def test_bodies_that_start_badly(alike: Any) -> None:
    alike("start failures", _starts)


STARTS: dict[str, Any] = {
    "not found": {"Cmd": ["nosuchprogram"]},
    "absolute not found": {"Cmd": ["/no/such/program"]},
    "directory": {"Cmd": ["/etc"]},
    "not executable": {"Cmd": ["/etc/passwd"]},
    "no user": {"Cmd": ["true"], "User": "nobody-of-that-name"},
    "no group": {"Cmd": ["true"], "User": "root:no-group-of-that-name"},
    "directory is a file": {"Cmd": ["true"], "WorkingDir": "/etc/passwd"},
    "sysctl": {"Cmd": ["true"], "HostConfig": {"Sysctls": {"net.nope": "1"}}},
}


def _starts(engine: Engine) -> Observed:
    seen = {}
    for name, body in STARTS.items():
        target = f"/containers/{name.replace(' ', '-')}"
        made = answer(engine, "POST", f"/containers/create?name={target[12:]}", {"Image": "busybox", **body})
        started = answer(engine, "POST", f"{target}/start")
        state = ask(engine, "GET", f"{target}/json").json().get("State", {})
        shown = {key: state.get(key) for key in ("Status", "ExitCode", "Error")}
        seen[name] = {"create": made, "start": started, **shown}
    return seen


def test_networking_off(alike: Any) -> None:
    alike("networking off", lambda engine: {mode: _without_network(engine, mode) for mode in ("default", "host")})


def _without_network(engine: Engine, mode: str) -> Observed:
    """What such a container has of a network, and of the files that go with one, whatever it publishes."""
    look = (
        "wc -l </proc/net/dev; cat /sys/class/net/*/address /etc/hostname; cat /etc/resolv.conf /etc/hosts 2>&-; true"
    )
    body = {
        "Image": "busybox",
        "Hostname": "alone",
        "Cmd": ["sh", "-c", look],
        "NetworkDisabled": True,
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"NetworkMode": mode, "PortBindings": {"80/tcp": [{"HostPort": "18999"}]}},
    }
    made = f"off-{mode}"
    assert ask(engine, "POST", f"/containers/create?name={made}", body).status == 201
    output = engine.docker("start", "-a", made).out
    shown = ask(engine, "GET", f"/containers/{made}/json").json()
    settings = shown["NetworkSettings"]
    return {
        "output": output,
        "config": shown["Config"]["NetworkDisabled"],
        "files": [shown["ResolvConfPath"], shown["HostsPath"]],
        "settings": [settings["Networks"], settings["Ports"], settings["IPAddress"], settings["MacAddress"]],
    }
