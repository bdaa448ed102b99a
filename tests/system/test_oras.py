"""The package ``oras`` beside an engine: artifacts and images in one repository, of both registries."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.engine import Engine
from harness.oci_layout import Layout, busybox_layers
from harness.registries import KINDS, Served, served

pytestmark = pytest.mark.needs("root", "docker-registry", "skopeo", "busybox-static", "cove")

ARTIFACT = "application/vnd.unknown.config.v1+json"
"""The configuration of what oras pushes."""
SCRIPT = """
import json, os, sys
import oras.client, oras.oci

place, call = sys.argv[1], json.loads(sys.argv[2])
os.chdir(place)
client = oras.client.OrasClient(insecure=True)
if call.get("subject"):
    call["subject"] = oras.oci.Subject(**call["subject"])
print(json.dumps(getattr(client, call.pop("do"))(**call), default=lambda answer: answer.status_code))
"""


@pytest.fixture(params=KINDS)
def registry(daemon: Engine, request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(daemon, request.param) as found:
        yield found


def oras(engine: Engine, place: Path, do: str, **arguments: object) -> Any:
    """What a method of oras' client returns, called in the directory ``place`` beside the engine; 201 for an answer."""
    call = json.dumps({"do": do, **arguments})
    done = engine.netns.run([sys.executable, "-c", SCRIPT, str(place), call])
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("chunked", [False, True])
def test_artifacts_go_up_and_come_back(daemon: Engine, registry: Served, tmp_path: Path, chunked: bool) -> None:
    (tmp_path / "note.txt").write_bytes(b"an artifact\n" * 100_000)
    target = f"{registry.host}/team/notes:1"
    more = {"do_chunked": True, "chunk_size": 500_000} if chunked else {}
    assert oras(daemon, tmp_path, "push", target=target, files=["note.txt"], **more) == 201
    assert oras(daemon, tmp_path, "get_tags", container=target) == ["1"]
    assert oras(daemon, tmp_path, "pull", target=target, outdir="out") == [str(tmp_path / "out/note.txt")]
    assert (tmp_path / "out/note.txt").read_bytes() == (tmp_path / "note.txt").read_bytes()


def test_an_artifact_about_an_image_of_the_engine(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    """It is beside the image, which is pulled as ever, and is refused where an image is asked for."""
    (tmp_path / "sbom.json").write_text("{}")
    image, artifact = f"{registry.host}/team/app:1", f"{registry.host}/team/app:sbom"
    daemon.docker("tag", "busybox", image)
    daemon.docker("push", image)
    daemon.docker("rmi", image)
    looked = json.loads(daemon.cove("manifest", "inspect", "-v", image).out)["Descriptor"]
    subject = {key: looked[key] for key in ("mediaType", "digest", "size")}
    assert oras(daemon, tmp_path, "push", target=artifact, files=["sbom.json"], subject=subject) == 201
    assert sorted(oras(daemon, tmp_path, "get_tags", container=image)) == ["1", "sbom"]
    before = set((daemon.data_root / "blobs/sha256").iterdir())
    refused = daemon.docker("pull", artifact, check=False)
    assert refused.code == 1 and f'unsupported media type "{ARTIFACT}": this is no image' in refused.err
    assert set((daemon.data_root / "blobs/sha256").iterdir()) == before
    daemon.docker("pull", image)
    assert daemon.docker("run", "--rm", image, "echo", "an image").out == "an image\n"
    daemon.docker("rmi", image)


def test_an_index_with_an_artifact_in_it(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    layout, name = Layout(tmp_path / "layout"), f"{registry.host}/team/both:1"
    busybox = busybox_layers(Path(shutil.which("busybox") or "").read_bytes())
    image = layout.image(busybox, Cmd=["/bin/busybox", "echo", "the image"])
    artifact = {**layout.artifact("application/vnd.example.note"), "artifactType": "application/vnd.example.note"}
    layout.tag("both", layout.index([artifact, image]))
    layout.push(daemon.netns, "both", name)
    daemon.docker("pull", name)
    assert daemon.docker("run", "--rm", name).out == "the image\n"
    assert daemon.docker("images", "-q", name).out.count("\n") == 1
    daemon.docker("rmi", name)
