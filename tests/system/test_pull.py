"""``docker pull`` from a real registry, as a user sees it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.oci_layout import Layout, busybox_layers
from harness.registries import KINDS, Served, served

pytestmark = pytest.mark.needs("root", "docker-registry", "skopeo", "busybox-static")


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
        daemon.docker("rmi", f"{name}:one", f"{name}:two")
