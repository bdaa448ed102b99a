"""``docker push`` to a real registry, as a user sees it."""

import hashlib
import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.breaking_link import breaking_link
from harness.debian_registry import DebianRegistry, debian_registry
from harness.engine import Engine
from harness.oci_layout import Layout, busybox_layers, tar
from harness.registries import KINDS, Served, served

pytestmark = pytest.mark.needs("root", "docker-registry", "skopeo", "busybox-static")


@pytest.fixture(params=KINDS)
def registry(daemon: Engine, request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(daemon, request.param) as found:
        yield found


def _lines(text: str, *statuses: str) -> list[str]:
    return [line for line in text.splitlines() if line.partition(": ")[2].startswith(statuses)]


def test_what_is_pushed_can_be_pulled(daemon: Engine, registry: Served) -> None:
    name = f"{registry.host}/team/app:1"
    daemon.docker("tag", "busybox", name)
    first = daemon.docker("push", name).out.splitlines()
    assert first[0] == f"The push refers to repository [{registry.host}/team/app]"
    assert first[1].endswith(": Preparing") and first[2].endswith(": Pushed")
    digest = first[-1].split()[2]
    assert first[-1].startswith("1: digest: sha256:") and " size: " in first[-1]
    inspected = json.loads(daemon.docker("image", "inspect", name).out)[0]
    assert f"{registry.host}/team/app@{digest}" in inspected["RepoDigests"]
    daemon.docker("rmi", name)
    assert daemon.docker("run", "--rm", f"{registry.host}/team/app@{digest}", "echo", "hello").out == "hello\n"
    daemon.docker("pull", name)
    pulled = json.loads(daemon.docker("image", "inspect", name).out)[0]
    assert pulled["Id"] == inspected["Id"]


def test_a_second_push_sends_nothing(daemon: Engine, registry: Served) -> None:
    name = f"{registry.host}/team/app"
    daemon.docker("tag", "busybox", f"{name}:1")
    digest = daemon.docker("push", f"{name}:1").out.splitlines()[-1].split()[2]
    again = daemon.docker("push", f"{name}:1").out
    assert len(_lines(again, "Layer already exists")) == 1 and not _lines(again, "Pushed")
    assert digest in again
    daemon.docker("tag", f"{name}:1", f"{registry.host}/team/other:1")
    other = daemon.docker("push", f"{registry.host}/team/other:1").out
    assert len(_lines(other, "Mounted from team/app")) == 1 and digest in other


def test_all_tags_of_a_repository(daemon: Engine, registry: Served) -> None:
    name = f"{registry.host}/team/app"
    for tag in ("b", "a"):
        daemon.docker("tag", "busybox", f"{name}:{tag}")
    out = daemon.docker("push", "--all-tags", name).out
    digests = {line.split()[2] for line in out.splitlines() if ": digest: " in line}
    assert len(digests) == 1 and "\na: digest: " in out and "\nb: digest: " in out
    daemon.docker("rmi", f"{name}:a", f"{name}:b")
    pulled = daemon.docker("pull", "--all-tags", name).out
    assert {line for line in pulled.splitlines() if "Pulling from" in line} == {
        "a: Pulling from team/app",
        "b: Pulling from team/app",
    }
    assert f"Status: Downloaded newer image for {name}" in pulled


def test_tags_go_at_once_and_what_they_share_goes_up_once(daemon: Engine, tmp_path: Path) -> None:
    with debian_registry(daemon) as registry:
        name, tags = f"{registry.host}/team/app", [f"t{number:02}" for number in range(12)]
        for tag in tags:
            daemon.docker("tag", "busybox", f"{name}:{tag}")
        out = daemon.docker("push", "--all-tags", name).out
        assert {line.partition(":")[0] for line in out.splitlines() if ": digest: " in line} == set(tags)
        assert len(_lines(out, "Pushed")) == 1 and len(_lines(out, "Layer already exists")) == len(tags) - 1
        asked = _requests(registry)
        place = "/v2/team/app/manifests/"
        assert asked.index(f"HEAD {place}{tags[4]}") < asked.index(f"PUT {place}{tags[0]}")
        assert asked.count(f"PUT {place}{tags[0]}") == 1
        assert sum(each.startswith("POST ") for each in asked) == 2
        for tag in tags:
            daemon.docker("rmi", f"{name}:{tag}")
        assert daemon.docker("pull", "-q", f"{name}:{tags[-1]}").out == f"{name}:{tags[-1]}\n"
        daemon.docker("rmi", f"{name}:{tags[-1]}")
    shutil.rmtree(registry.root)


def test_the_sdk_sees_the_digest(daemon: Engine, registry: Served) -> None:
    name = f"{registry.host}/team/app"
    daemon.sdk.images.get("busybox").tag(name, "1")
    messages = list(daemon.sdk.images.push(name, "1", stream=True, decode=True))
    (aux,) = [message["aux"] for message in messages if "aux" in message]
    assert aux["Tag"] == "1" and aux["Digest"].startswith("sha256:") and aux["Size"] > 100
    daemon.sdk.images.remove(f"{name}:1")
    assert daemon.sdk.images.pull(name, "1").id == daemon.sdk.images.get("busybox").id


def test_an_image_that_is_not_here(daemon: Engine, registry: Served) -> None:
    done = daemon.docker("push", f"{registry.host}/team/nothing:1", check=False)
    assert done.code == 1
    assert done.err.strip() == f"An image does not exist locally with the tag: {registry.host}/team/nothing"


def test_an_upload_that_breaks_off_goes_on_where_it_was(daemon: Engine, tmp_path: Path) -> None:
    """More comes before the break than the sockets on the way can hold."""
    (tmp_path / "root.tar").write_bytes(tar({"large": random.Random(1).randbytes(20 << 20)}))
    with served(daemon, "cove") as registry, breaking_link(daemon, port_of(registry), 16 << 20) as link:
        name = f"{link.host}/team/large:1"
        daemon.docker("import", str(tmp_path / "root.tar"), name)
        digest = daemon.docker("push", name).out.splitlines()[-1].split()[2]
        begun = [int(found.partition("-")[0]) for found in link.ranges()]
        assert len(begun) == 1 and begun[0] > 0, begun
        daemon.docker("rmi", name)
        daemon.docker("pull", f"{registry.host}/team/large@{digest}")
        daemon.docker("rmi", f"{registry.host}/team/large@{digest}")


def port_of(registry: Served) -> int:
    return int(registry.host.rpartition(":")[2])


def test_a_push_of_what_is_there_asks_once(daemon: Engine) -> None:
    """Whether the tag is this image: the registry took it because it had all that is in it."""
    with debian_registry(daemon) as registry:
        name = f"{registry.host}/team/app:1"
        daemon.docker("tag", "busybox", name)
        first = daemon.docker("push", name).out.splitlines()
        before = len(_requests(registry))
        again = daemon.docker("push", name).out.splitlines()
        assert _requests(registry)[before:] == ["HEAD /v2/team/app/manifests/1"]
        assert again[-1] == first[-1] and again[2].endswith(": Layer already exists")
        blobs = registry.root / "data/docker/registry/v2/repositories/team/app/_layers"
        shutil.rmtree(blobs)
        daemon.docker("tag", "busybox", f"{registry.host}/team/app:2")
        daemon.docker("push", f"{registry.host}/team/app:2")
        daemon.docker("rmi", name, f"{registry.host}/team/app:2")
        daemon.docker("pull", name)
    shutil.rmtree(registry.root)


def test_annotations_go_with_an_image_that_is_compressed(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    """It was built here, so its layers are plain tars."""
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCOPY Dockerfile /\n")
    name = f"{registry.host}/team/noted:1"
    daemon.cove("build", "-q", "-t", name, "--annotation", "org.example.note=kept", str(tmp_path))
    first = daemon.docker("push", name).out.splitlines()[-1]
    manifest = _raw(daemon, name)
    assert manifest["annotations"] == {"org.example.note": "kept"}
    assert all(layer["mediaType"].endswith("+gzip") for layer in manifest["layers"])
    assert daemon.docker("push", name).out.splitlines()[-1] == first


def test_names_that_change_while_they_are_pushed(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    """One is removed and one moved while layers are compressed; what they were is pushed, and here both stay so."""
    name, tags = f"{registry.host}/team/racing", ("a", "b", "c")
    for number, tag in enumerate(tags):
        (tmp_path / "root.tar").write_bytes(tar({"large": random.Random(number).randbytes(20 << 20)}))
        daemon.docker("import", str(tmp_path / "root.tar"), f"{name}:{tag}")
    busybox, changed, said = daemon.sdk.images.get("busybox").id, False, []
    for message in daemon.sdk.api.push(name, stream=True, decode=True):  # without a tag: all
        said.append(message)
        if not changed and message.get("progressDetail", {}).get("total"):
            changed = True
            daemon.sdk.images.remove(f"{name}:b")
            daemon.sdk.images.get("busybox").tag(name, "c")
    assert changed and not [message for message in said if "error" in message]
    assert {message["aux"]["Tag"] for message in said if "aux" in message} == set(tags)
    here = daemon.docker("images", "--no-trunc", "--format", "{{.Tag}} {{.ID}}", name).out.splitlines()
    tagged = dict(line.split() for line in here if not line.startswith("<none>"))
    assert tagged.keys() == {"a", "c"} and tagged["c"] == busybox
    assert all(layer["mediaType"].endswith("+gzip") for layer in _raw(daemon, f"{name}:b")["layers"])
    daemon.docker("rmi", f"{name}:a", f"{name}:c")


def test_where_an_image_comes_from(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    """The build that made it and the registries that have it, whatever it is called; older versions are not told."""
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo made > /here\n")
    name = f"{registry.host}/team/made:1"
    daemon.docker("build", "-q", "-t", name, str(tmp_path))
    (built,) = _shown(daemon, name)["Identity"]["Build"]
    assert set(built) == {"Ref", "CreatedAt"} and built["Ref"] and built["CreatedAt"].endswith("Z")
    assert "Pull" not in _shown(daemon, name)["Identity"]
    daemon.docker("push", name)
    daemon.docker("tag", name, "other")
    known = {"Build": [built], "Pull": [{"Repository": f"{registry.host}/team/made"}]}
    assert _shown(daemon, "other")["Identity"] == known
    assert "Identity" not in _shown(daemon, "other", "/v1.44")
    daemon.docker("rmi", name, "other")
    daemon.docker("pull", name)
    assert _shown(daemon, name)["Identity"] == {"Pull": known["Pull"]}
    daemon.docker("rmi", name)


def _shown(engine: Engine, name: str, version: str = "") -> Any:
    return json.loads(engine.http("GET", f"{version}/images/{name}/json").body)


def test_an_index_that_was_built_here_is_compressed(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    """With all its platforms, and what is said of them speaks of what is pushed; it stays whole here as well."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    name, both = f"{registry.host}/team/both:1", ("linux/amd64", "linux/arm64")
    daemon.cove("build", "-q", "-t", name, "--platform", ",".join(both), "--provenance", "true", str(tmp_path))
    pushed = daemon.docker("push", name).out.splitlines()[-1]
    index = _raw(daemon, name)
    of_registry = [_raw(daemon, f"{name.removesuffix(':1')}@{each['digest']}") for each in index["manifests"]]
    images, attestations = of_registry[:2], of_registry[2:]
    assert [each["platform"]["architecture"] for each in index["manifests"]] == ["amd64", "arm64", "unknown", "unknown"]
    assert all(layer["mediaType"].endswith("tar+gzip") for image in images for layer in image["layers"])
    for image, entry, attestation in zip(index["manifests"][:2], index["manifests"][2:], attestations, strict=True):
        assert entry["annotations"]["vnd.docker.reference.digest"] == image["digest"]
        (layer,) = attestation["layers"]
        statement = json.loads(_blob(daemon, name, layer["digest"]))
        assert [f"sha256:{each['digest']['sha256']}" for each in statement["subject"]] == [image["digest"]]
        config = json.loads(_blob(daemon, name, attestation["config"]["digest"]))
        assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    assert daemon.docker("push", name).out.splitlines()[-1] == pushed
    assert daemon.cove("image", "verify", name).code == 0
    for platform in both:
        daemon.docker("rmi", name)
        daemon.docker("pull", "-q", "--platform", platform, name)
        assert daemon.docker("inspect", "-f", "{{.Os}}/{{.Architecture}}", name).out.strip() == platform
    daemon.docker("rmi", name)


def test_one_platform_of_an_index_that_was_built_here(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    """It goes alone; here the name keeps all."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    name = f"{registry.host}/team/part:1"
    daemon.cove("build", "-q", "-t", name, "--platform", "linux/amd64,linux/arm64", str(tmp_path))
    daemon.docker("push", "--platform", "linux/arm64", name)
    assert [layer["mediaType"].rpartition(".")[2] for layer in _raw(daemon, name)["layers"]] == ["tar+gzip"]
    assert json.loads(_blob(daemon, name, _raw(daemon, name)["config"]["digest"]))["architecture"] == "arm64"
    for architecture in ("amd64", "arm64"):
        shown = daemon.cove(
            "image", "inspect", "--platform", f"linux/{architecture}", "-f", "{{.Architecture}}", name
        ).out
        assert shown == f"{architecture}\n"
    daemon.docker("rmi", name)


def test_an_index_goes_with_all_its_platforms(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    """If all are here; of one with a platform missing, the best that is here goes alone, and the client is told."""
    layout, name = Layout(tmp_path / "layout"), f"{registry.host}/team/all:1"
    busybox = busybox_layers(Path(shutil.which("busybox") or "").read_bytes(), 2)
    images = [layout.image(busybox, architecture) for architecture in ("amd64", "arm64")]
    inner = {**layout.index(images[1:]), "platform": images[1]["platform"]}
    outer = layout.index([images[0], inner], annotations={"org.example.note": "of the index"})
    layout.tag(name, outer)
    subprocess.run(["tar", "-cf", tmp_path / "all.tar", "-C", layout.directory, "."], check=True)
    daemon.docker("load", "-i", str(tmp_path / "all.tar"))
    assert f"1: digest: {outer['digest']} size: {outer['size']}" in daemon.docker("push", name).out
    raw = _raw(daemon, name)
    assert raw["annotations"] == {"org.example.note": "of the index"} and raw["manifests"] == [images[0], inner]
    daemon.docker("rmi", name)
    assert images[1]["digest"] != images[0]["digest"]
    daemon.docker("pull", "--platform", "linux/arm64", name)
    assert daemon.docker("inspect", "-f", "{{.Architecture}}", name).out == "arm64\n"
    part = f"{registry.host}/team/part:1"
    daemon.docker("tag", name, part)
    messages = list(daemon.sdk.images.push(part, stream=True, decode=True))
    (told,) = [each["aux"] for each in messages if "manifestPushedInsteadOfIndex" in each.get("aux", {})]
    assert told["selectedManifest"]["digest"] == images[1]["digest"] == f"sha256:{_digest(daemon, part)}"
    daemon.docker("rmi", name, part)


def _raw(engine: Engine, name: str) -> Any:
    """The manifest or index that a registry has by this name."""
    inspect = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
    return json.loads(engine.netns.run(inspect).stdout)


def _digest(engine: Engine, name: str) -> str:
    inspect = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{name}"]
    return hashlib.sha256(engine.netns.run(inspect).stdout.encode()).hexdigest()


def _requests(registry: DebianRegistry) -> list[str]:
    """``METHOD PATH`` of all that it was asked."""
    return re.findall(r'\] "([A-Z]+ \S+) HTTP', registry.log)


def _blob(engine: Engine, name: str, digest: str) -> bytes:
    """What a registry has by this digest in the repository of a name."""
    host, _, path = name.rpartition(":")[0].partition("/")
    url = f"http://{host}/v2/{path}/blobs/{digest}"
    return engine.netns.run(["curl", "-fsS", url]).stdout.encode()
