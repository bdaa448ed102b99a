"""What things take on disk: ``system df``, by kind, verbose, and measured again when something has changed."""

import re
from typing import Any

import pytest

from harness.engine import Engine

pytestmark = [pytest.mark.needs("root", "cove", "docker-cli")]

AGO = re.compile(r" *\b(Less than a|About a|\d+) (second|minute)s? ago *| +(?=STATUS|NAMES)")
"""How old something is, which may be another second for who asks later, with the spaces that depend on it."""


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


def test_what_runs_is_seen_at_once(daemon: Engine) -> None:
    """In its own layer and in its volume, by whoever writes; a file that grows in its place too."""
    daemon.docker("run", "-d", "--name", "box", "-v", "data:/data", "busybox", "sleep", "600")
    place = daemon.data_root / "volumes" / "data" / "_data"

    def sizes() -> tuple[int, int]:
        found = usage(daemon)
        return found["ContainerUsage"]["TotalSize"], found["VolumeUsage"]["TotalSize"]

    assert sizes() == (0, 0)
    grow = "head -c 1000 /dev/zero | tee -a /root/one >> /data/one"
    daemon.docker("exec", "box", "sh", "-c", f"mkdir /root/sub; {grow}")
    assert sizes() == (1000, 1000)
    daemon.docker("exec", "box", "sh", "-c", f"{grow}; mv /root/one /root/sub/; echo > /root/sub/two")
    (place / "host").write_text("12345")
    assert sizes() == (2001, 2005)
    daemon.docker("exec", "box", "rm", "-r", "/root/sub", "/data/one")
    assert sizes() == (0, 5)
    daemon.docker("rm", "-f", "box")
    (place / "host").write_text("123")
    assert sizes() == (0, 3)


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
        ours, theirs = (re.sub(AGO, " ago ", run(*words).out) for run in (daemon.cove, daemon.docker))
        assert ours == theirs
