"""Docker's rules of volumes and mounts: the same answers, and the same files in the containers."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from harness.compare import Observed, answer, ask, scrubbed
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

TMPFS = {"type": "tmpfs", "device": "tmpfs"}
CREATIONS: dict[str, Any] = {
    "plain": {"Name": "plain", "Labels": {"a": "b"}},
    "plain again": {"Name": "plain"},
    "plain with another label": {"Name": "plain", "Labels": {"c": "d"}},
    "plain with options": {"Name": "plain", "DriverOpts": TMPFS},
    "plain with another driver": {"Name": "plain", "Driver": "nope"},
    "options": {"Name": "fast", "DriverOpts": {**TMPFS, "o": "size=1m"}},
    "options again": {"Name": "fast", "DriverOpts": {"type": "nfs", "device": ":/x"}},
    "no device": {"Name": "bad", "DriverOpts": {"type": "tmpfs"}},
    "no type": {"Name": "bad", "DriverOpts": {"device": "tmpfs"}},
    "words alone": {"Name": "bad", "DriverOpts": {"o": "ro", "type": "tmpfs"}},
    "unknown option": {"Name": "bad", "DriverOpts": {"nope": "1"}},
    "bad name": {"Name": "a/b"},
    "short name": {"Name": "a"},
    "driver": {"Name": "bad", "Driver": "nope"},
}


FILTERS = (
    ("dangling", "true"),
    ("dangling", "0"),
    ("dangling", "x"),
    ("label", "a=b"),
    ("label", "a"),
    ("name", "la"),
    ("driver", "local"),
    ("driver", "nope"),
    ("nope", "x"),
)


def test_creations_and_listings(alike: Any) -> None:
    alike("volumes", _creations)


def _creations(engine: Engine) -> Observed:
    seen: dict[str, Any] = {name: answer(engine, "POST", "/volumes/create", body) for name, body in CREATIONS.items()}
    engine.docker("create", "--name", "box", "-v", "plain:/data", "busybox", "true")
    for name, value in FILTERS:
        text = json.dumps({name: [value]})
        found = ask(engine, "GET", f"/volumes?filters={quote(text)}")
        names = [volume["Name"] for volume in found.json().get("Volumes") or []] if found.status == 200 else []
        seen[f"{name}={value}"] = sorted(names) if found.status == 200 else found.json()["message"].lower()
    seen["inspect"] = {
        key: value
        for key, value in ask(engine, "GET", "/volumes/fast").json().items()
        if key not in ("CreatedAt", "Mountpoint")
    }
    for target in ("plain", "plain?force=1", "nobody", "nobody?force=1"):
        seen[f"remove {target}"] = answer(engine, "DELETE", f"/volumes/{target}")
    engine.docker("rm", "box")
    seen["remove unused"] = answer(engine, "DELETE", "/volumes/plain")
    return seen


BINDS = {
    "read only": ["data:/d:ro"],
    "label": ["data:/d:z"],
    "private label": ["/usr:/d:Z"],
    "consistency": ["/usr:/d:cached"],
    "two modes": ["data:/d:ro,z"],
    "twice": ["data:/d:ro,rw"],
    "nocopy": ["data:/d:nocopy"],
    "nocopy of a bind": ["/usr:/d:nocopy"],
    "propagation of a volume": ["data:/d:shared"],
    "propagation": ["/usr:/d:rslave"],
    "unknown mode": ["data:/d:what"],
    "relative": ["./here:/d"],
    "relative target": ["data:d"],
    "root": ["data:/"],
    "four": ["a:b:c:d"],
    "empty": [""],
    "empty source": [":/d"],
    "empty target": ["data:"],
    "Windows": ["C:\\\\data:/d"],
    "Windows target": ["data:C:\\\\d"],
    "parent": ["data:/d/../e"],
    "same target": ["data:/d", "more:/d/"],
    "short name": ["x:/d"],
}


def test_binds(alike: Any) -> None:
    alike("binds", _binds)


def _binds(engine: Engine) -> Observed:
    seen: dict[str, Any] = {}
    for name, binds in BINDS.items():
        body = {"Image": "busybox", "HostConfig": {"Binds": binds}}
        made = engine.http("POST", "/v1.41/containers/create?name=box", body)
        if made.status != 201:
            seen[name] = scrubbed(made.json()["message"])  # Docker's status for some of them is 500
            continue
        seen[name] = _mounts(engine)
        ask(engine, "DELETE", "/containers/box?v=1")
    return seen


def _mounts(engine: Engine) -> Any:
    mounts = ask(engine, "GET", "/containers/box/json").json()["Mounts"]
    shown = [{key: scrubbed(str(value)) for key, value in mount.items() if key != "Source"} for mount in mounts]
    return {mount["Destination"]: mount for mount in shown}


MOUNTS: dict[str, Any] = {
    "no target": {"Type": "volume", "Source": "data"},
    "relative target": {"Type": "volume", "Source": "data", "Target": "d"},
    "unknown type": {"Type": "what", "Target": "/d"},
    "missing source": {"Type": "bind", "Source": "/no/such", "Target": "/d"},
    "relative source": {"Type": "bind", "Source": "here", "Target": "/d"},
    "bind without source": {"Type": "bind", "Target": "/d"},
    "volume": {"Type": "volume", "Source": "data", "Target": "/d", "ReadOnly": True},
    "anonymous": {"Type": "volume", "Target": "/d"},
    "nocopy": {"Type": "volume", "Source": "data", "Target": "/d", "VolumeOptions": {"NoCopy": True}},
    "driver": {"Type": "volume", "Target": "/d", "VolumeOptions": {"DriverConfig": {"Name": "nope"}}},
    "options of a bind": {"Type": "volume", "Target": "/d", "BindOptions": {"Propagation": "shared"}},
    "options of a volume": {"Type": "bind", "Source": "/tmp", "Target": "/d", "VolumeOptions": {"NoCopy": True}},
    "tmpfs": {"Type": "tmpfs", "Target": "/d", "TmpfsOptions": {"SizeBytes": 65536, "Mode": 0o700}},
    "tmpfs with a source": {"Type": "tmpfs", "Source": "x", "Target": "/d"},
    "tmpfs of a negative size": {"Type": "tmpfs", "Target": "/d", "TmpfsOptions": {"SizeBytes": -1}},
    "propagation": {"Type": "bind", "Source": "/tmp", "Target": "/d", "BindOptions": {"Propagation": "what"}},
}


def test_mounts(alike: Any) -> None:
    alike("mounts", _mount_bodies)


def _mount_bodies(engine: Engine) -> Observed:
    seen: dict[str, Any] = {}
    for name, mount in MOUNTS.items():
        body = {"Image": "busybox", "HostConfig": {"Mounts": [mount]}}
        made = engine.http("POST", "/v1.41/containers/create?name=box", body)
        seen[name] = f"{made.status} {scrubbed(made.json()['message'])}" if made.status != 201 else _mounts(engine)
        if made.status == 201:
            ask(engine, "DELETE", "/containers/box?v=1")
    return seen
