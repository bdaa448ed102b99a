"""Which CDI devices a request means, and Docker's words for what cannot be had."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cove.engine.bundle.device_requests import DeviceRequests
from cove.errors import CoveError, Internal, InvalidArgument
from cove.wire.host_config import DeviceRequest, HostConfig

GPU = [["gpu"]]


def with_gpus(directory: Path, *vendors: str) -> DeviceRequests:
    for vendor in vendors:
        devices = [{"name": name, "containerEdits": {"env": [f"{name}=1"]}} for name in ("0", "1", "all")]
        spec = {"cdiVersion": "0.6.0", "kind": f"{vendor}/gpu", "devices": devices}
        (directory / f"{vendor}.json").write_text(json.dumps({**spec, "containerEdits": {"env": [f"FROM={vendor}"]}}))
    return DeviceRequests([str(directory)])


def env(requests: DeviceRequests, **given: Any) -> list[str]:
    host = HostConfig(device_requests=[DeviceRequest(**given)])
    asyncio.run(requests.prepare(host))
    edits = requests.edits(host)
    assert edits is not None
    return edits.env


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"count": -1}, ["all=1"]),
        ({"count": 2}, ["0=1", "1=1"]),
        ({"count": 1}, ["0=1"]),
        ({"device_ids": ["1", "nvidia.com/gpu=0"]}, ["1=1", "0=1"]),
        ({"count": -1, "driver": "nvidia"}, ["all=1"]),
        ({"count": -1, "capabilities": [["tpu"], ["compute", "gpu"]]}, ["all=1"]),
    ],
)
def test_gpus(tmp_path: Path, given: dict[str, Any], expected: list[str]) -> None:
    requests = with_gpus(tmp_path, "nvidia.com", "amd.com")
    assert env(requests, **{"capabilities": GPU, **given}) == ["FROM=nvidia.com", *expected]


def test_the_other_vendor(tmp_path: Path) -> None:
    assert env(with_gpus(tmp_path, "amd.com"), count=-1, capabilities=GPU) == ["FROM=amd.com", "all=1"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"capabilities": [["gpu", "tpu"]]}, 'could not select device driver "" with capabilities: [[gpu tpu]]'),
        ({"driver": "cove", "capabilities": GPU}, 'could not select device driver "cove" with capabilities: [[gpu]]'),
        ({"capabilities": None}, 'could not select device driver "" with capabilities: []'),
        ({"driver": "cdi", "count": 1}, "unexpected count in CDI device request"),
        ({"driver": "cdi", "options": {"a": "b"}}, "unexpected options in CDI device request"),
        (
            {"count": 1, "device_ids": ["0"], "capabilities": GPU},
            "cannot set both Count and DeviceIDs on device request",
        ),
    ],
)
def test_refused(tmp_path: Path, given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        env(with_gpus(tmp_path, "nvidia.com"), **given)
    assert raised.value.message == words


def test_more_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(Internal, match=r"unresolvable CDI devices nvidia\.com/gpu=2, nvidia\.com/gpu=3$"):
        env(with_gpus(tmp_path, "nvidia.com"), count=2**60, capabilities=GPU)


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r'^could not select device driver "" with capabilities: \[\[gpu\]\]$'):
        env(with_gpus(tmp_path), count=-1, capabilities=GPU)
    with pytest.raises(CoveError, match=r'^could not select device driver "cdi" with capabilities: \[\]$'):
        env(DeviceRequests([""]), driver="cdi", device_ids=["a.com/b=c"])


def test_nothing_is_looked_at_for_others() -> None:
    requests = DeviceRequests(["/proc/self/mem"])
    asyncio.run(requests.prepare(HostConfig()))
    assert requests.edits(HostConfig()) is None
    assert requests.warnings() == []
