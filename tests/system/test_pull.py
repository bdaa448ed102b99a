"""``docker pull`` from a real registry, as a user sees it."""

import gzip
import hashlib
import json
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from harness.daemon import Daemon
from harness.debian_registry import debian_registry
from harness.engine import Engine
from harness.oci_layout import CONFIG, INDEX, LAYER, MANIFEST, Layout, busybox_layers, digest, tar
from harness.registries import KINDS, Served, served

pytestmark = pytest.mark.needs("root", "docker-registry", "skopeo", "busybox-static")

SKIPPED_FRAME = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
"""Of zstd: where zstd:chunked has its table of contents."""


@pytest.fixture(params=KINDS)
def registry(daemon: Engine, request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(daemon, request.param) as found:
        yield found


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def _layers(count: int) -> list[bytes]:
    return busybox_layers(Path(shutil.which("busybox") or "").read_bytes(), count)


def _publish(daemon: Engine, registry: Served, layout: Layout, name: str, count: int = 3) -> str:
    """An image of so many layers at the registry; its whole name."""
    tag = name.rpartition(":")[2]
    layout.tag(tag, layout.image(_layers(count), Cmd=["/bin/sh", "-c", "echo hello"]))
    layout.push(daemon.netns, tag, f"{registry.host}/{name}")
    return f"{registry.host}/{name}"


def test_a_pulled_image_runs(daemon: Engine, registry: Served, layout: Layout) -> None:
    name = _publish(daemon, registry, layout, "team/app:1")
    done = daemon.docker("pull", name)
    lines = done.out.splitlines()
    assert lines[0] == "1: Pulling from team/app"
    assert lines[-3].startswith("Digest: sha256:")
    assert lines[-2:] == [f"Status: Downloaded newer image for {name}", name]
    assert [line.partition(": ")[2] for line in lines if "Pull complete" in line] == ["Pull complete"] * 3
    assert daemon.docker("run", "--rm", name).out == "hello\n"
    again = daemon.docker("pull", name).out.splitlines()
    assert again[0] == "1: Pulling from team/app" and again[2] == f"Status: Image is up to date for {name}"
    digests = json.loads(daemon.docker("image", "inspect", name).out)[0]["RepoDigests"]
    assert digests == [f"{registry.host}/team/app@{lines[-3].removeprefix('Digest: ')}"]


def test_layers_of_every_kind(daemon: Engine, registry: Served, layout: Layout) -> None:
    """Plain, gzip and zstd; of several members, as estargz and zstd:chunked have them for who pulls lazily."""
    program, *notes = _layers(6)
    halves = [(note[:700], note[700:]) for note in notes]
    packed = [
        ("+gzip", gzip.compress(program)),
        ("", notes[0]),
        ("+gzip", gzip.compress(halves[1][0]) + gzip.compress(halves[1][1]) + gzip.compress(b"")),
        ("+zstd", zstd.compress(notes[2])),
        ("+zstd", zstd.compress(halves[3][0]) + zstd.compress(halves[3][1]) + SKIPPED_FRAME),
        ("+gzip", gzip.compress(notes[4])),
    ]
    name = f"{registry.host}/team/kinds:1"
    look = ["/bin/busybox", "sh", "-c", "/bin/busybox md5sum /layer* | /bin/busybox wc -l"]
    layout.tag("kinds", layout.image([program, *notes], packed=packed, Cmd=look))
    layout.push(daemon.netns, "kinds", name)
    daemon.docker("pull", name)
    assert daemon.docker("run", "--rm", name).out == "5\n"
    daemon.docker("rmi", name)


def test_a_host_that_is_not_there(daemon: Engine) -> None:
    done = daemon.docker("pull", "nowhere.invalid/team/app:1", check=False)
    words = 'Get "https://nowhere.invalid/v2/": dial tcp: lookup nowhere.invalid: '
    assert done.code == 1 and done.err.startswith(f"Error response from daemon: {words}")


def test_schema_2_of_docker(daemon: Engine, registry: Served, layout: Layout) -> None:
    layout.tag("docker", layout.image(_layers(2), Cmd=["/bin/sh", "-c", "echo hello"]))
    name = f"{registry.host}/team/docker:1"
    layout.push(daemon.netns, "docker", name, "--format=v2s2")
    daemon.docker("pull", name)
    kind = json.loads(daemon.docker("inspect", name).out)[0]["Descriptor"]["mediaType"]
    assert kind == "application/vnd.docker.distribution.manifest.v2+json"
    assert daemon.docker("run", "--rm", name).out == "hello\n"
    daemon.docker("rmi", name)


def test_the_largest_layer_is_asked_for_first(fresh_daemon: Daemon, layout: Layout) -> None:
    fresh_daemon.restart_with("--max-concurrent-downloads=1")
    sizes = (100, 40_000, 2_000, 300_000)
    layers = [tar({f"file{size}": random.Random(size).randbytes(size)}) for size in sizes]
    layout.tag("sizes", layout.image(layers))
    with debian_registry(fresh_daemon) as registry:
        layout.push(fresh_daemon.netns, "sizes", f"{registry.host}/team/sizes:1")
        fresh_daemon.docker("pull", f"{registry.host}/team/sizes:1")
        manifest = json.loads(fresh_daemon.cove("manifest", "inspect", f"{registry.host}/team/sizes:1").out)
        asked = re.findall(r"GET /v2/team/sizes/blobs/(\S+) ", registry.log)
        order = list(dict.fromkeys(asked))
    wanted = sorted(manifest["layers"], key=lambda layer: -layer["size"])
    assert order == [each["digest"] for each in (manifest["config"], *wanted)]


def test_all_tags(daemon: Engine, layout: Layout) -> None:
    with served(daemon, "cove") as registry:
        for number, tag in enumerate(("one", "two"), 1):
            _publish(daemon, registry, layout, f"team/app:{tag}", number)
        name = f"{registry.host}/team/app"
        out = daemon.docker("pull", "--all-tags", name).out
        assert out.index("one: Pulling from team/app") < out.index("two: Pulling from team/app")
        assert out.splitlines()[-2:] == [f"Status: Downloaded newer image for {name}", name]
        listed = daemon.docker("images", "--format", "{{.Tag}}", name).out.split()
        assert sorted(listed) == ["one", "two"]
        assert "Status: Image is up to date" in daemon.docker("pull", "-a", name).out
        layout.tag("note", layout.artifact("application/vnd.example.note"))
        layout.push(daemon.netns, "note", f"{name}:signature")
        out = daemon.docker("pull", "-a", name).out
        assert 'signature: Skipped: unsupported media type "application/vnd.oci.empty.v1+json"' in out
        assert "two: Pulling from team/app" in out
        daemon.docker("rmi", f"{name}:one", f"{name}:two")
        layout.push(daemon.netns, "note", f"{registry.host}/team/notes:1")
        refused = daemon.docker("pull", "-a", f"{registry.host}/team/notes", check=False)
        assert refused.code == 1 and "this is no image" in refused.err


def test_blobs_of_another_algorithm(fresh_daemon: Daemon, tmp_path: Path) -> None:
    """Layers with SHA-512 digests, packed and plain: pulled, kept, verified, saved, loaded and pushed as they are."""
    engine, (program, note) = fresh_daemon, _layers(2)
    with served(engine, "cove") as registry:
        url = f"http://{registry.host}/v2/team/long"
        blobs = [(gzip.compress(program), f"{LAYER}+gzip"), (note, LAYER)]
        layers = [_put(engine, url, data, media_type, "sha512", tmp_path) for data, media_type in blobs]
        rootfs = {"type": "layers", "diff_ids": [digest(program), digest(note)]}
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}, "rootfs": rootfs})
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _put(engine, url, config.encode(), CONFIG, "sha256", tmp_path),
            "layers": layers,
        }
        (tmp_path / "manifest").write_text(json.dumps(manifest))
        _curl(engine, "-T", str(tmp_path / "manifest"), "-H", f"Content-Type: {MANIFEST}", f"{url}/manifests/1")
        name = f"{registry.host}/team/long:1"
        engine.docker("pull", name)
        engine.restart_with()
        assert engine.docker("run", "--rm", name, "sh", "-c", "echo here").out == "here\n"
        assert engine.cove("image", "verify", name).out.startswith("Verified 1 image")
        kept = {f"sha512:{path.name}" for path in (engine.data_root / "blobs/sha512").iterdir()}
        assert kept == {layer["digest"] for layer in layers}
        engine.docker("save", "-o", str(tmp_path / "saved.tar"), name)
        engine.docker("rmi", name)
        assert not list((engine.data_root / "blobs/sha512").iterdir())
        engine.docker("load", "-i", str(tmp_path / "saved.tar"))
        assert engine.docker("run", "--rm", name, "sh", "-c", "echo again").out == "again\n"
        long = f"sha512:{hashlib.sha512(json.dumps(manifest).encode()).hexdigest()}"
        _curl(engine, "-T", str(tmp_path / "manifest"), "-H", f"Content-Type: {MANIFEST}", f"{url}/manifests/{long}")
        whole = f"{registry.host}/team/long@{long}"
        assert f"Digest: {long}\nStatus: Downloaded newer image for {whole}" in engine.docker("pull", whole).out
        assert "Status: Image is up to date" in engine.docker("pull", whole).out
        assert engine.docker("run", "--rm", whole, "sh", "-c", "echo long").out == "long\n"
        other = {**manifest, "config": _put(engine, url, config.encode(), CONFIG, "sha512", tmp_path)}
        (tmp_path / "manifest").write_text(json.dumps(other))
        _curl(engine, "-T", str(tmp_path / "manifest"), "-H", f"Content-Type: {MANIFEST}", f"{url}/manifests/other")
        refused = engine.docker("pull", f"{registry.host}/team/long:other", check=False)
        assert refused.code == 1 and "the configuration must have a sha256 digest: sha512:" in refused.err
        engine.docker("tag", name, f"{registry.host}/team/other:1")
        engine.docker("push", f"{registry.host}/team/other:1")
        entry = {"mediaType": MANIFEST, "digest": long, "size": len(json.dumps(manifest))}
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
        (tmp_path / "manifest").write_text(json.dumps(index))
        _curl(engine, "-T", str(tmp_path / "manifest"), "-H", f"Content-Type: {INDEX}", f"{url}/manifests/index")
        refused = engine.docker("pull", f"{registry.host}/team/long:index", check=False)
        assert refused.code == 1 and f"a manifest in an index must have a sha256 digest: {long}" in refused.err
        assert "Pulling fs layer" not in refused.out


def _put(engine: Engine, url: str, data: bytes, media_type: str, algorithm: str, scratch: Path) -> dict[str, Any]:
    """A blob to a repository; its descriptor."""
    name = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    (scratch / "blob").write_bytes(data)
    headers = ["-H", "Content-Type: application/octet-stream"]
    _curl(
        engine, "-X", "POST", "--data-binary", f"@{scratch / 'blob'}", *headers, f"{url}/blobs/uploads/?digest={name}"
    )
    return {"mediaType": media_type, "digest": name, "size": len(data)}


def _curl(engine: Engine, *arguments: str) -> None:
    engine.netns.run(["curl", "-fsS", "-o", "/dev/null", *arguments])
