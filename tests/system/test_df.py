"""What things take on disk: ``system df``, by kind, verbose, and measured again when something has changed."""

from typing import Any

import pytest

from harness.engine import Engine

pytestmark = [pytest.mark.needs("root", "cove", "docker-cli")]


def usage(daemon: Engine, query: str = "", version: str = "/v1.56") -> dict[str, Any]:
    answer = daemon.http("GET", f"{version}/system/df{query}")
    assert answer.status == 200
    found: dict[str, Any] = answer.json()
    return found


def test_sums_and_items(daemon: Engine) -> None:
    daemon.docker(
        "run", "--name", "box", "-v", "data:/data", "busybox", "sh", "-c", "head -c 5000 /dev/zero | tee /data/f >/f"
    )
    daemon.docker("volume", "create", "unused")
    daemon.docker("commit", "box", "bigger")
    found = usage(daemon)
    assert "Images" not in found and "Items" not in found["ImageUsage"]
    assert found["ContainerUsage"] == {"ActiveCount": 0, "TotalCount": 1, "Reclaimable": 5000, "TotalSize": 5000}
    assert found["VolumeUsage"] == {"ActiveCount": 1, "TotalCount": 2, "Reclaimable": 0, "TotalSize": 5000}
    base = daemon.sdk.images.get("busybox").attrs["Size"]
    images = usage(daemon, "?verbose=1&type=image")
    assert set(images) == {"ImageUsage"}
    assert images["ImageUsage"]["TotalSize"] == base + 5000
    sizes = {one["RepoTags"][0]: (one["Size"], one["SharedSize"]) for one in images["ImageUsage"]["Items"]}
    assert sizes == {"busybox:latest": (base, base), "bigger:latest": (base + 5000, base)}
    daemon.docker("rmi", "bigger")


def test_sizes_follow_what_changes(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", "head -c 1000 /dev/zero >>/f")
    assert usage(daemon, "?type=container")["ContainerUsage"]["TotalSize"] == 1000
    daemon.docker("start", "-a", "box")
    assert usage(daemon, "?type=container")["ContainerUsage"]["TotalSize"] == 2000
    daemon.docker("cp", "/etc/hostname", "box:/copied")
    more = usage(daemon, "?type=container")["ContainerUsage"]["TotalSize"]
    assert more > 2000
    daemon.docker("rm", "box")
    assert usage(daemon)["ContainerUsage"]["TotalCount"] == 0


def test_what_older_versions_see(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "busybox")
    old = usage(daemon, version="/v1.51")
    assert "ImageUsage" not in old and len(old["Containers"]) == 1 and old["LayersSize"] > 0
    assert set(usage(daemon, version="/v1.52")) > {"ImageUsage", "Images"}
    refused = daemon.http("GET", "/system/df?type=nothing")
    assert (refused.status, refused.json()["message"]) == (400, "unknown object type: nothing")


def test_both_command_lines(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "-v", "data:/data", "busybox", "sh", "-c", "echo 1 >/f")
    for words in (("system", "df"), ("system", "df", "-v"), ("system", "df", "--format", "json")):
        assert daemon.cove(*words).out == daemon.docker(*words).out
