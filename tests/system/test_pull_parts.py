"""What a pull brings beside plain layers, and what it refuses: attestations, foreign layers, artifacts."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.file_server import file_server
from harness.oci_layout import Layout, busybox_layers, tar
from harness.registries import Served, served

pytestmark = pytest.mark.needs("root", "cove", "skopeo", "busybox-static")

STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"name":"everything"}}'


@pytest.fixture
def registry(daemon: Engine) -> Iterator[Served]:
    with served(daemon, "cove") as found:
        yield found


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def _layers(count: int = 1) -> list[bytes]:
    return busybox_layers(Path(shutil.which("busybox") or "").read_bytes(), count)


def _with_attestation(layout: Layout) -> tuple[str, str]:
    """An index of two platforms, one of them attested; the digests of the index and of the attestation."""
    images = [layout.image(_layers(), "amd64", Cmd=["sh", "-c", "echo hello"]), layout.image(_layers(2), "arm64")]
    attestation = layout.attestation(images[0], STATEMENT)
    index = layout.index([*images, attestation])
    layout.tag("all", index)
    return index["digest"], attestation["digest"]


def test_an_attestation_comes_along_and_goes(daemon: Engine, registry: Served, layout: Layout) -> None:
    index, attestation = _with_attestation(layout)
    name = f"{registry.host}/team/attested:1"
    layout.push(daemon.netns, "all", name)
    assert f"Digest: {index}" in daemon.docker("pull", "--platform", "linux/amd64", name).out
    (found,) = json.loads(daemon.http("GET", f"/images/{name}/attestations?statement=1").body)
    assert found["Statement"] == json.loads(STATEMENT)
    shown = json.loads(daemon.http("GET", f"/images/{name}/json?manifests=1").body)["Manifests"]
    assert [(each["Kind"], each["Available"]) for each in shown] == [
        ("image", True),
        ("image", False),
        ("attestation", True),
    ]
    assert daemon.docker("run", "--rm", name).out == "hello\n"
    assert daemon.docker("images", "-q", "--filter", f"reference={name}").out.count("\n") == 1
    blob = daemon.data_root / "blobs/sha256" / attestation[7:]
    assert blob.exists()
    daemon.docker("rmi", name)
    assert not blob.exists()


def test_an_attestation_of_an_image_that_was_here_is_fetched(daemon: Engine, registry: Served, layout: Layout) -> None:
    _, attestation = _with_attestation(layout)
    name = f"{registry.host}/team/attested:1"
    layout.push(daemon.netns, "all", name)
    daemon.docker("pull", name)
    (daemon.data_root / "blobs/sha256" / attestation[7:]).write_bytes(b"rotten")
    assert daemon.cove("image", "verify", name, check=False).code == 1
    assert "Image is up to date" in daemon.docker("pull", name).out
    daemon.cove("image", "verify", name)
    daemon.docker("rmi", name)


def test_an_attestation_that_the_registry_lacks_is_no_hindrance(
    daemon: Engine, registry: Served, layout: Layout
) -> None:
    _, attestation = _with_attestation(layout)
    name = f"{registry.host}/team/attested:1"
    layout.push(daemon.netns, "all", name)
    daemon.netns.run(
        ["skopeo", "delete", "--tls-verify=false", f"docker://{registry.host}/team/attested@{attestation}"]
    )
    daemon.docker("pull", name)
    assert json.loads(daemon.http("GET", f"/images/{name}/attestations").body) == []
    assert daemon.docker("run", "--rm", name).out == "hello\n"


def test_foreign_layers(fresh_daemon: Daemon, layout: Layout) -> None:
    """They come from their URLs, and go nowhere but to registries that are named for it."""
    fresh_daemon.restart_with("--max-download-attempts=1")
    layers = [*_layers(), tar({"foreign": b"from elsewhere\n"})]
    with served(fresh_daemon, "cove") as registry:
        name, copied = f"{registry.host}/team/foreign:1", f"{registry.host}/team/copied:1"
        with file_server(fresh_daemon, layout.directory) as url:
            urls = ["ftp://nowhere.test/layer", f"{url}/none", f"{url}/blobs/sha256/{{digest}}"]
            layout.tag("foreign", layout.image(layers, urls=urls, Cmd=["/bin/busybox", "cat", "/foreign"]))
            layout.push(fresh_daemon.netns, "foreign", name)
            fresh_daemon.docker("pull", name)
            assert fresh_daemon.docker("run", "--rm", name).out == "from elsewhere\n"
        fresh_daemon.docker("tag", name, copied)
        assert "Skipped foreign layer" in fresh_daemon.docker("push", copied).out
        assert "Skipped foreign layer" in fresh_daemon.cove("image", "copy", name, copied).out
        fresh_daemon.restart_with("--allow-nondistributable-artifacts=127.0.0.0/8")
        assert "Skipped" not in fresh_daemon.docker("push", copied).out
        fresh_daemon.docker("rmi", name, copied)
        refused = fresh_daemon.docker("pull", name, check=False)
        assert refused.code == 1 and "connection refused" in refused.err
        fresh_daemon.docker("pull", copied)
        assert fresh_daemon.docker("run", "--rm", copied).out == "from elsewhere\n"


def test_an_artifact_is_no_image(daemon: Engine, registry: Served, layout: Layout) -> None:
    layout.tag("note", layout.artifact("application/vnd.example.note"))
    layout.push(daemon.netns, "note", f"{registry.host}/team/note:1")
    before = set((daemon.data_root / "blobs/sha256").iterdir())
    refused = daemon.docker("pull", f"{registry.host}/team/note:1", check=False)
    assert refused.code == 1
    assert 'unsupported media type "application/vnd.oci.empty.v1+json": this is no image' in refused.err
    assert set((daemon.data_root / "blobs/sha256").iterdir()) == before
