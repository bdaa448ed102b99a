"""What a creation gives comes back in the inspection: every field of the specification's Config and HostConfig."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.engine import Engine

SPECIFICATION = Path(__file__).parents[1] / "data" / "engine-api" / "v1.56.json"

CONFIG: list[dict[str, Any]] = [
    {
        "Hostname": "web",
        "Domainname": "example.org",
        "User": "1000:5",
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Tty": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "Env": ["A=1", "EMPTY=", "PATH=/bin"],
        "Cmd": ["echo", "hi"],
        "Healthcheck": {
            "Test": ["CMD-SHELL", "true"],
            "Interval": 5_000_000_000,
            "Timeout": 2_000_000_000,
            "Retries": 4,
            "StartPeriod": 3_000_000_000,
            "StartInterval": 1_000_000_000,
        },
        "ArgsEscaped": True,
        "Image": "busybox",
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "Entrypoint": ["/bin/sh", "-c"],
        "OnBuild": ["RUN true"],
        "Labels": {"com.example.a": "b", "empty": ""},
        "StopSignal": "SIGINT",
        "StopTimeout": 20,
        "Shell": ["/bin/ash", "-c"],
    }
]

NOT_OF_LINUX = {"CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth"}
OTHERWISE = {
    "NetworkDisabled",  # in a creation without a network
    "Cgroup",  # another container's, which Docker has given up
    "OomKillDisable",  # with the first version of control groups alone
}

HOST: list[dict[str, Any]] = [
    {
        "CpuShares": 512,
        "Memory": 64 << 20,
        "MemorySwap": 128 << 20,
        "MemoryReservation": 32 << 20,
        "CgroupParent": "/mine/deep",
        "CpuPeriod": 50_000,
        "CpuQuota": 25_000,
        "CpusetCpus": "0",
        "CpusetMems": "0",
        "PidsLimit": 30,
        "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}],
        "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}],
        "DeviceCgroupRules": ["c 1:3 rwm"],
        "Init": True,
        "Binds": ["/tmp:/bound:ro", "named:/named"],
        "LogConfig": {"Type": "local", "Config": {"max-size": "1m", "max-file": "2"}},
        "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "VolumeDriver": "local",
        "VolumesFrom": ["other:ro"],
        "Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770}}],
        "ConsoleSize": [24, 80],
        "Annotations": {"a": "b"},
        "CapAdd": ["CAP_NET_ADMIN"],
        "CapDrop": ["CAP_MKNOD"],
        "CgroupnsMode": "private",
        "Dns": ["1.1.1.1"],
        "DnsOptions": ["ndots:2"],
        "DnsSearch": ["example.org"],
        "ExtraHosts": ["a:10.0.0.1"],
        "GroupAdd": ["10", "nogroup"],
        "IpcMode": "shareable",
        "Links": ["other:alias"],
        "NetworkMode": "bridge",
        "OomScoreAdj": 100,
        "PublishAllPorts": True,
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"],
        "Tmpfs": {"/run": "size=64k"},
        "ShmSize": 8 << 20,
        "Sysctls": {"net.core.somaxconn": "1024"},
        "Runtime": "runc",
        "Isolation": "default",
        "MaskedPaths": ["/proc/kcore"],
        "ReadonlyPaths": ["/proc/sys"],
    },
    {
        "AutoRemove": True,
        "ContainerIDFile": "/tmp/id",
        "NanoCpus": 500_000_000,
        "Privileged": True,
        "NetworkMode": "host",
        "PidMode": "host",
        "UTSMode": "host",
        "UsernsMode": "host",
        "IpcMode": "host",
        "CgroupnsMode": "host",
        "MemorySwappiness": 10,
        "Memory": 64 << 20,
        "BlkioWeight": 300,
        "BlkioWeightDevice": [{"Path": "/dev/null", "Weight": 200}],
        "BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": 1000}],
        "BlkioDeviceWriteBps": [{"Path": "/dev/null", "Rate": 2000}],
        "BlkioDeviceReadIOps": [{"Path": "/dev/null", "Rate": 10}],
        "BlkioDeviceWriteIOps": [{"Path": "/dev/null", "Rate": 20}],
        "CpuRealtimePeriod": 100_000,
        "CpuRealtimeRuntime": 1_000,
        "DeviceRequests": [
            {"Driver": "cdi", "Count": 0, "DeviceIDs": ["vendor.com/class=dev"], "Capabilities": [], "Options": {}}
        ],
        "StorageOpt": {"size": "1G"},
    },
]


def fields(name: str) -> set[str]:
    """The names of a definition's properties, and of those that it takes over."""
    return _fields(json.loads(SPECIFICATION.read_text())["definitions"], {"$ref": f"/{name}"})


def _fields(definitions: Any, schema: Any) -> set[str]:
    if "$ref" in schema:
        return _fields(definitions, definitions[schema["$ref"].rsplit("/", 1)[1]])
    inherited = [_fields(definitions, part) for part in schema.get("allOf", ())]
    return set(schema.get("properties", ())).union(*inherited)


def test_every_field_is_given() -> None:
    assert {name for body in CONFIG for name in body} == fields("ContainerConfig") - OTHERWISE
    assert {name for body in HOST for name in body} == fields("HostConfig") - OTHERWISE - NOT_OF_LINUX


@pytest.mark.parametrize("given", CONFIG)
def test_config(daemon: Engine, given: dict[str, Any]) -> None:
    made = daemon.http("POST", "/containers/create?name=box", given)
    assert made.status == 201, made.body
    shown = daemon.http("GET", "/containers/box/json").json()["Config"]
    assert {name: shown.get(name) for name in given} == given


@pytest.mark.parametrize("given", HOST, ids=["limited", "privileged"])
def test_host_config(daemon: Engine, given: dict[str, Any]) -> None:
    daemon.docker("create", "--name", "other", "busybox")
    made = daemon.http("POST", "/containers/create?name=box", {"Image": "busybox", "HostConfig": given})
    assert made.status == 201, made.body
    shown = daemon.http("GET", "/containers/box/json").json()["HostConfig"]
    expected = {**given, "Links": ["/other:/box/alias"]} if "Links" in given else given
    assert {name: shown.get(name) for name in given} == expected
