"""Where a build's result goes: files and archives, of one platform or several, on the disk or on stdout."""

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from harness.engine import BIN, Engine
from harness.terminal import on_terminal

DOCKERFILE = 'FROM scratch\nARG TARGETARCH\nCOPY f /d/$TARGETARCH\nCOPY f /f\nCMD ["/f"]\n'
BOTH = "--platform=linux/amd64,linux/arm/v7"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / "f").write_text("hello\n")
    (tmp_path / "context" / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path / "context"


def files_below(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


def images(engine: Engine) -> str:
    return engine.docker("images", "-a", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").out


def to_stdout(engine: Engine, *words: str) -> bytes:
    """What a build writes to stdout, which is not a terminal."""
    with engine.spawned(str(BIN / "cove"), "build", *words, stderr=subprocess.PIPE) as client:
        out, err = client.communicate(timeout=60)
        assert client.returncode == 0, err
        return bytes(out)


def names_in(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        return sorted(member.name for member in members if member.isreg())


def test_files_of_one_platform(daemon: Engine, context: Path, tmp_path: Path) -> None:
    daemon.cove("build", "-q", "-o", str(tmp_path / "out"), str(context))
    assert files_below(tmp_path / "out") == ["d/amd64", "f"]
    daemon.cove("build", "-q", "-o", f"type=local,dest={tmp_path}/split,platform-split=true", BOTH[:22], str(context))
    assert files_below(tmp_path / "split") == ["linux_amd64/d/amd64", "linux_amd64/f"]


def test_files_of_several_platforms(daemon: Engine, context: Path, tmp_path: Path) -> None:
    daemon.cove("build", "-q", BOTH, "-o", str(tmp_path / "out"), str(context))
    both = ["linux_amd64/d/amd64", "linux_amd64/f", "linux_arm_v7/d/arm", "linux_arm_v7/f"]
    assert files_below(tmp_path / "out") == both
    daemon.cove("build", "-q", BOTH, "-o", f"type=tar,dest={tmp_path}/out.tar", str(context))
    assert names_in((tmp_path / "out.tar").read_bytes()) == both
    daemon.cove("build", "-q", BOTH, "-o", f"type=local,dest={tmp_path}/one,platform-split=false", str(context))
    assert files_below(tmp_path / "one") == ["d/amd64", "d/arm", "f"]


def test_hard_links_stay_inside_their_platform(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN echo x >/one && ln /one /two && ln -s one /three\n")
    archive = to_stdout(daemon, "-q", "--platform=linux/amd64", "-o", "type=tar,platform-split=true", str(context))
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        found = {member.name: member for member in members}
        one, two = found["linux_amd64/one"], found["linux_amd64/two"]
        link = two if two.islnk() else one
        assert link.linkname in ("linux_amd64/one", "linux_amd64/two")
        assert found["linux_amd64/three"].linkname == "one"


def test_stdout_has_the_archive_and_nothing_else(daemon: Engine, context: Path) -> None:
    assert names_in(to_stdout(daemon, "-q", "-o", "-", str(context))) == ["d/amd64", "f"]
    assert names_in(to_stdout(daemon, "--explain", "-o", "type=tar", str(context))) == ["d/amd64", "f"]
    for kind in ("type=oci", "type=docker,dest=-", "type=oci,dest=-"):
        archive = to_stdout(daemon, "-q", "-o", kind, str(context))
        assert {"index.json", "manifest.json", "oci-layout"} <= set(names_in(archive))


@pytest.mark.parametrize("output", ["-", "type=tar", "type=oci", "type=docker,dest=-"])
def test_a_terminal_gets_no_archive(daemon: Engine, context: Path, output: str) -> None:
    argv = [str(BIN / "cove"), "build", "-o", output, str(context)]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("refusing to write to console")
        assert terminal.wait() == 1


def test_what_is_written_elsewhere_stays_nowhere_else(daemon: Engine, context: Path, tmp_path: Path) -> None:
    before = images(daemon)
    for output in (f"type=oci,dest={tmp_path}/a", f"type=docker,dest={tmp_path}/b", f"type=tar,dest={tmp_path}/c"):
        daemon.cove("build", "-q", "-t", "made:away", "-o", output, str(context))
        assert images(daemon) == before
    daemon.cove("build", "-q", BOTH, "-o", str(tmp_path / "out"), str(context))
    assert images(daemon) == before


def test_what_is_here_already_is_left_alone(daemon: Engine, context: Path, tmp_path: Path) -> None:
    daemon.cove("build", "-q", "-t", "made:here", str(context))
    before = images(daemon)
    for output in (f"type=oci,dest={tmp_path}/a", str(tmp_path / "out")):
        daemon.cove("build", "-q", "-t", "made:here", "-o", output, str(context))
        daemon.cove("build", "-q", "-o", output, str(context))
        assert images(daemon) == before


def test_load_keeps_the_image_as_well(daemon: Engine, context: Path, tmp_path: Path) -> None:
    daemon.cove("build", "-q", "-t", "made:both", "--load", "-o", str(tmp_path / "out"), str(context))
    assert files_below(tmp_path / "out") == ["d/amd64", "f"]
    assert "made:both" in images(daemon)
    daemon.cove("build", "-q", "-t", "made:load", "--load", "--compress", str(context))
    daemon.cove("build", "-q", "-t", "made:docker", "-o", "type=docker", str(context))
    assert "made:load" in images(daemon) and "made:docker" in images(daemon)


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_archive_has_the_names(daemon: Engine, context: Path, tmp_path: Path, kind: str) -> None:
    place = f"type={kind},dest={tmp_path}/a.tar,name=made:third"
    daemon.cove("build", "-q", "-t", "made:one", "-t", "made:two", "-o", place, str(context))
    with tarfile.open(tmp_path / "a.tar") as archive:
        index: dict[str, Any] = json.loads(_read(archive, "index.json"))
        manifest = json.loads(_read(archive, "manifest.json"))
    names = [each["annotations"]["io.containerd.image.name"] for each in index["manifests"]]
    assert names == [f"docker.io/library/made:{tag}" for tag in ("one", "two", "third")]
    assert manifest[0]["RepoTags"] == ["made:one", "made:two", "made:third"]
    loaded = daemon.docker("load", "-q", "-i", str(tmp_path / "a.tar")).out
    assert loaded.splitlines() == [f"Loaded image: made:{tag}" for tag in ("one", "two", "third")]


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()
