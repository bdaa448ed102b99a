"""Archives go to and from skopeo, which knows the formats and not us."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.engine import Engine
from harness.registry import Registry
from unit.images.samples import Multi, archive, digest, docker_archive, tar

pytestmark = pytest.mark.needs("cove", "skopeo")


def skopeo(*arguments: str) -> str:
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def saved(daemon: Engine, tmp_path: Path) -> Path:
    """What we save of two images, of two layers and of one, each with a name."""
    base, top = tar(a=b"1" * 5000), tar(b=b"2" * 5000)
    (tmp_path / "in.tar").write_bytes(docker_archive((["one:1"], [base, top]), (["two:1"], [base])))
    daemon.docker("load", "-i", str(tmp_path / "in.tar"))
    daemon.docker("save", "-o", str(tmp_path / "saved.tar"), "one:1", "two:1")
    return tmp_path / "saved.tar"


def layers(daemon: Engine, name: str) -> str:
    """Of what is copied to another format, the configuration is written anew."""
    return daemon.docker("inspect", "-f", "{{json .RootFS.Layers}}", name).out.strip()


def test_it_inspects_what_we_save(daemon: Engine, saved: Path) -> None:
    for transport in (f"docker-archive:{saved}:docker.io/library/one:1", f"oci-archive:{saved}:1"):
        if transport.startswith("oci"):
            daemon.docker("save", "-o", str(saved), "one:1")
        seen: dict[str, Any] = json.loads(skopeo("inspect", transport))
        assert (seen["Os"], len(seen["Layers"])) == ("linux", 2)
        configuration = json.loads(skopeo("inspect", "--config", transport))
        assert configuration["config"] == {"Cmd": ["sh"]}


@pytest.mark.parametrize("origin", ["docker-archive:{}:docker.io/library/two:1", "oci-archive:{}:1"])
@pytest.mark.parametrize("target", ["docker-archive", "oci-archive"])
def test_copied_by_it_and_loaded_again(daemon: Engine, saved: Path, tmp_path: Path, origin: str, target: str) -> None:
    if origin.startswith("oci"):
        daemon.docker("save", "-o", str(saved), "two:1")
    copied, before = tmp_path / "copied.tar", layers(daemon, "two:1")
    skopeo("copy", origin.format(saved), f"{target}:{copied}:docker.io/library/back:2")
    daemon.docker("rmi", "one:1", "two:1")
    assert daemon.docker("load", "-i", str(copied)).out == "Loaded image: back:2\n"
    assert layers(daemon, "back:2") == before
    assert daemon.cove("image", "verify", "back:2").code == 0


def test_all_platforms_by_way_of_it(daemon: Engine, tmp_path: Path) -> None:
    multi, saved, copied = Multi(), tmp_path / "saved.tar", tmp_path / "copied.tar"
    (tmp_path / "in.tar").write_bytes(archive(multi.complete("docker.io/library/multi:1")))
    daemon.docker("load", "-i", str(tmp_path / "in.tar"))
    daemon.docker("save", "-o", str(saved), "multi:1")
    skopeo(
        "copy",
        "--all",
        "--preserve-digests",
        f"oci-archive:{saved}:1",
        f"oci-archive:{copied}:docker.io/library/multi:2",
    )
    daemon.docker("rmi", "multi:1")
    daemon.docker("load", "-i", str(copied))
    seen = json.loads(daemon.http("GET", "/images/multi:2/json?manifests=1").body)
    assert seen["Descriptor"]["digest"] == digest(multi.whole_index)
    assert [each["Available"] for each in seen["Manifests"]] == [True, True, True]


def test_synchronised_by_it(daemon: Engine, saved: Path, tmp_path: Path) -> None:
    """``sync`` knows registries and directories: what we save goes to each, and comes back."""
    before, registry = layers(daemon, "two:1"), Registry(tmp_path / "registry").start()
    try:
        skopeo("copy", f"docker-archive:{saved}:docker.io/library/two:1", f"dir:{tmp_path}/two:1")
        there = ("--dest-tls-verify=false", str(tmp_path / "two:1"), f"{registry.host}/synced")
        skopeo("sync", "--src=dir", "--dest=docker", *there)
        back = ("--src-tls-verify=false", f"{registry.host}/synced/two", str(tmp_path / "back"))
        skopeo("sync", "--src=docker", "--dest=dir", *back)
    finally:
        registry.close()
    skopeo("copy", f"dir:{tmp_path}/back/two:1", f"oci-archive:{tmp_path}/back.tar:docker.io/library/two:3")
    daemon.docker("rmi", "two:1")
    daemon.docker("load", "-i", str(tmp_path / "back.tar"))
    assert layers(daemon, "two:3") == before
