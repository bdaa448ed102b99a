"""Images of several platforms: what came with an index is kept, shown, saved, and goes together."""

import json
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from harness.engine import Engine
from unit.images.samples import Multi, archive, digest

pytestmark = pytest.mark.needs("cove")  # the real engine's store of this age has one platform of each image


@pytest.fixture
def multi() -> Multi:
    return Multi()


@pytest.fixture
def loaded(daemon: Engine, multi: Multi, tmp_path: Path) -> Multi:
    (tmp_path / "multi.tar").write_bytes(archive(multi.layout("docker.io/library/multi:1")))
    assert daemon.docker("load", "-i", str(tmp_path / "multi.tar")).out == "Loaded image: multi:1\n"
    return multi


def inspected(daemon: Engine, name: str, **query: str) -> Any:
    answer = daemon.http("GET", f"/images/{name}/json?" + "&".join(f"{key}={value}" for key, value in query.items()))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def test_one_name_and_each_platform(daemon: Engine, loaded: Multi) -> None:
    amd, arm = (digest(loaded.configs[name]) for name in ("amd64", "arm64"))
    assert daemon.docker("images", "-q", "--no-trunc", "multi").out.split() == [amd]
    for platform, image in (("linux/amd64", amd), ("linux/arm64", arm)):
        seen = json.loads(daemon.docker("image", "inspect", "--platform", platform, "multi:1").out)[0]
        assert (seen["Id"], seen["RepoTags"]) == (image, ["multi:1"])
        assert daemon.cove("image", "inspect", "--platform", platform, "-f", "{{.Id}}", "multi:1").out.strip() == image
        for client in (daemon.docker, daemon.cove):
            assert f"made for {platform[6:]}" in client("history", "--platform", platform, "multi:1").out
    for client in (daemon.docker, daemon.cove):
        done = client("image", "inspect", "--platform", "linux/s390x", "multi:1", check=False)
        assert done.code == 1 and "does not provide the specified platform (linux/s390x)" in done.err


def test_containers_of_each_platform(daemon: Engine, loaded: Multi) -> None:
    for name in ("amd64", "arm64"):
        daemon.docker("create", "--name", f"box-{name}", "--platform", f"linux/{name}", "multi:1", "none")
        daemon.docker("cp", f"box-{name}:/etc/arch", "-")
        assert daemon.docker("ps", "-a", "--filter", f"name=box-{name}", "--format", "{{.Image}}").out == "multi:1\n"
        assert daemon.docker("inspect", "-f", "{{.Image}}", f"box-{name}").out.strip() == digest(loaded.configs[name])
    answer = daemon.http("POST", "/containers/create?platform=linux/s390x", {"Image": "multi:1", "Cmd": ["none"]})
    assert answer.status == 404 and b"does not provide the specified platform" in answer.body
    done = daemon.docker("rmi", "multi:1", check=False)
    assert done.code == 1 and "is using its referenced image" in done.err
    daemon.docker("rm", "box-amd64")
    done = daemon.docker("rmi", "multi:1", check=False)
    assert done.code == 1 and "is using its referenced image" in done.err, "the other platform's container counts"


def test_manifests(daemon: Engine, loaded: Multi) -> None:
    (listed,) = [
        image
        for image in json.loads(daemon.http("GET", "/images/json?manifests=1").body)
        if "multi:1" in image["RepoTags"]
    ]
    seen = inspected(daemon, "multi:1", manifests="1")
    for shown in (listed, seen):
        assert shown["Descriptor"]["digest"] == digest(loaded.index)
        assert [(each["Kind"], each["Available"]) for each in shown["Manifests"]] == [
            ("image", True),
            ("image", True),
            ("image", False),
            ("attestation", True),
        ]
        first, proof = shown["Manifests"][0], shown["Manifests"][3]
        assert first["ImageData"]["Platform"] == {"architecture": "amd64", "os": "linux"}
        assert proof["AttestationData"] == {"For": first["ID"]} and first["ID"] == digest(loaded.manifests["amd64"])
        assert first["Size"]["Total"] == first["Size"]["Content"] + first["ImageData"]["Size"]["Unpacked"]
    assert "Manifests" not in inspected(daemon, "multi:1")
    answer = daemon.http("GET", "/images/multi:1/json?manifests=1&platform=linux/amd64")
    assert answer.status == 400 and b"platform options cannot both be set" in answer.body


def test_attestations(daemon: Engine, loaded: Multi) -> None:
    (found,) = json.loads(daemon.http("GET", "/images/multi:1/attestations?statement=1").body)
    assert found["Descriptor"]["digest"] == digest(loaded.statement)
    assert found["Statement"] == json.loads(loaded.statement)
    assert json.loads(daemon.http("GET", "/images/multi:1/attestations?type=other").body) == []
    platform = '{"os":"linux","architecture":"arm64"}'
    assert json.loads(daemon.http("GET", f"/images/multi:1/attestations?platform={quote(platform)}").body) == []


def names_in(path: Path) -> set[str]:
    with tarfile.open(path) as tar:
        return {name.rpartition("/")[2] for name in tar.getnames()}


@pytest.mark.parametrize("client", ["docker", "cove"])
def test_saved_whole_and_in_part(daemon: Engine, loaded: Multi, tmp_path: Path, client: str) -> None:
    run, saved = getattr(daemon, client), tmp_path / "saved.tar"
    run("save", "-o", str(saved), "multi:1")
    everything = {
        digest(data)[7:] for data in (*loaded.layers.values(), loaded.index, loaded.attestation, loaded.statement)
    }
    assert everything <= names_in(saved)
    daemon.docker("rmi", "multi:1")
    run("load", "-i", str(saved))
    assert inspected(daemon, "multi:1")["Descriptor"]["digest"] == digest(loaded.index)
    run("save", "-o", str(saved), "--platform", "linux/arm64", "multi:1")
    assert digest(loaded.layers["amd64"])[7:] not in names_in(saved)
    done = run("save", "-o", str(tmp_path / "none"), "--platform", "linux/s390x", "multi:1", check=False)
    assert done.code == 1 and "does not provide the specified platform" in done.err
    daemon.docker("rmi", "multi:1")
    assert run("load", "-i", str(saved)).out == "Loaded image: multi:1\n"
    assert inspected(daemon, "multi:1")["Architecture"] == "arm64"
    done = run("load", "-i", str(saved), "--platform", "linux/amd64", check=False)
    assert done.code == 1 and "no image for linux/amd64 is in the archive" in done.err


def test_several_platforms_saved_and_removed(daemon: Engine, loaded: Multi, tmp_path: Path) -> None:
    daemon.cove("save", "-o", str(tmp_path / "saved.tar"), "--platform", "linux/amd64,linux/arm64", "multi:1")
    out = daemon.docker("rmi", "--platform", "linux/amd64", "multi:1").out.splitlines()
    assert out[0] == f"Deleted: {digest(loaded.configs['amd64'])}" and len(out) == 2
    assert inspected(daemon, "multi:1")["Architecture"] == "arm64"
    assert daemon.docker("rmi", "--platform", "linux/arm64", "multi:1").out.startswith("Untagged: multi:1\nDeleted: ")
    daemon.cove("load", "-i", str(tmp_path / "saved.tar"), "--platform", "linux/amd64")
    assert inspected(daemon, "multi:1")["Architecture"] == "amd64"
    daemon.cove("load", "-i", str(tmp_path / "saved.tar"))
    found = inspected(daemon, "multi:1", manifests="1")["Manifests"]
    assert [each["Available"] for each in found[:2]] == [True, True]


def test_tree(daemon: Engine, loaded: Multi) -> None:
    """As Docker's own command line draws it, in its newest look."""
    daemon.docker("create", "--name", "box", "multi:1", "none")
    lines = daemon.cove("images", "--tree").out.splitlines()
    assert lines[0].split() == ["IMAGE", "ID", "DISK", "USAGE", "CONTENT", "SIZE", "EXTRA"]
    at = next(number for number, line in enumerate(lines) if line.startswith("multi:1 "))
    assert lines[at].split()[-1] == "U"
    assert lines[at + 1].split()[:3] == ["├─", "linux/amd64", digest(loaded.manifests["amd64"])[7:19]]
    assert lines[at + 2].split()[:2] == ["├─", "linux/arm64"]
    assert lines[at + 3].split()[:2] == ["└─", "linux/s390x"]
    assert "multi:1" in daemon.docker("images", "--tree").out
