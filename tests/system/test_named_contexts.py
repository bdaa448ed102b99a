"""``--build-context``: directories, images, OCI layouts, URLs and repositories by a name of the Dockerfile's."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.oci_layout import Layout, tar


def built(engine: Engine, context: Path, dockerfile: str, *named: str, check: bool = True) -> str:
    """Build with these named contexts; what the command line says on stderr."""
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(dockerfile)
    flags = [word for name in named for word in ("--build-context", name)]
    done = engine.cove("build", "--progress", "plain", "--no-cache", *flags, str(context), check=check)
    return done.err


def test_directories_and_images(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("from a directory\n")
    text = "FROM base\nCOPY --from=files file /\nRUN cat /file\n"
    named = (f"files={tmp_path}/other", "base=docker-image://busybox")
    assert "from a directory" in built(daemon, tmp_path / "context", text, *named)


def test_they_stand_in_for_stages(daemon: Engine, tmp_path: Path) -> None:
    """For what COPY, a mount and FROM mean by the name, or the number, of a stage; which is not built then."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("from the context\n")
    text = "FROM busybox AS files\nRUN echo from the stage >/file\nFROM busybox\n"
    for source in ("files", "Files", "0"):
        copied = f"{text}COPY --from={source} /file /f\nRUN cat /f\n"
        said = built(daemon, tmp_path / "context", copied, f"files={tmp_path}/other")
        assert "from the context" in said and "RUN echo from the stage" not in said
    mounted = f"{text}RUN --mount=from=files,target=/m cat /m/file\n"
    assert "from the context" in built(daemon, tmp_path / "context", mounted, f"files={tmp_path}/other")
    based = "FROM scratch AS base\nFROM base\nRUN echo has a shell\n"
    assert "has a shell" in built(daemon, tmp_path / "context", based, "base=docker-image://busybox")
    copied = f"{text}COPY --from=files /file /f\nRUN cat /f\n"
    assert "from the stage" in built(daemon, tmp_path / "context", copied, f"others={tmp_path}/other")


def test_a_layout(daemon: Engine, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    mine = os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64")
    layers = {name: [tar({"word": name.encode()})] for name in ("one", "two")}
    layout.tag("one", layout.image(layers["one"], mine))
    layout.tag("two", layout.index([layout.image(layers["two"], mine), layout.image(layers["one"], "s390x")]))
    for name in layers:
        text = "FROM busybox\nCOPY --from=given /word /\nRUN echo it is $(cat /word)\n"
        where = f"given=oci-layout://{tmp_path}/layout:{name}"
        assert f"it is {name}" in built(daemon, tmp_path / "context", text, where)
    text = "FROM given AS below\nFROM busybox\nCOPY --from=below /word /\nRUN echo below is $(cat /word)\n"
    assert "below is two" in built(daemon, tmp_path / "context", text, f"given=oci-layout://{tmp_path}/layout:two")
    assert "cove-build-context" not in daemon.docker("images", "-a").out
    for place, words in (
        ("layout", "2 images are called so"),
        ("layout:none", "0 images are called so"),
        ("nothing", "No such file or directory"),
    ):
        err = built(daemon, tmp_path / "context", text, f"given=oci-layout://{tmp_path}/{place}", check=False)
        assert words in err


@pytest.mark.parametrize("place", ["missing", "ftp://host/file"])
def test_what_is_no_context(daemon: Engine, tmp_path: Path, place: str) -> None:
    err = built(daemon, tmp_path / "context", "FROM busybox\n", f"given={place}", check=False)
    assert "not found" in err


def test_a_directory_is_a_base(daemon: Engine, tmp_path: Path) -> None:
    """Its files are the first layer, and it says nothing of the configuration; by all names of an image too."""
    other = tmp_path / "other"
    (other / "sub").mkdir(parents=True)
    (other / "sub/file").write_text("from a directory\n")
    (other / ".dockerignore").write_text("hidden\n")
    (other / "hidden").write_text("x")
    (other / "sub/file").chmod(0o600)
    os.chown(other / "sub/file", 7, 8)
    text = "FROM files AS one\nFROM one\nENV A=b\nCOPY --from=busybox /bin /bin\n"
    text += "RUN find /sub /hidden -type f; cat /sub/file\n"
    said = built(daemon, tmp_path / "context", text, f"files={other}")
    assert "from a directory" in said and "/sub/file" in said and "/hidden: No such file" in said
    for name in ("busybox", "busybox:latest", "docker.io/library/busybox"):
        (tmp_path / "context/Dockerfile").write_text(f"FROM {name}\nENV A=b\n")
        flags = ("--build-context", f"busybox={other}", "-t", "made:based")
        daemon.cove("build", "-q", *flags, str(tmp_path / "context"))
        image = daemon.sdk.images.get("made:based")
        assert len(image.attrs["RootFS"]["Layers"]) == 1 and image.attrs["Config"]["Env"][1:] == ["A=b"]
        assert not image.attrs["Config"].get("Cmd")
        assert [step["Size"] > 0 for step in image.history()] == [False, True]
    files = exported(daemon, "made:based")
    assert files == {".dockerignore": (0, 0, 0o644), "sub": (0, 0, 0o755), "sub/file": (0, 0, 0o600)}
    assert "CACHED" in daemon.cove("build", "--progress", "plain", *flags, str(tmp_path / "context")).err


def exported(engine: Engine, image: str) -> dict[str, tuple[int, int, int]]:
    """Owner, group and mode of what an image has, without what every container gets."""
    container = engine.docker("create", image, "x").out.strip()
    data = b"".join(engine.sdk.containers.get(container).export())
    engine.docker("rm", container)
    with tarfile.open(fileobj=io.BytesIO(data)) as members:
        found = {member.name.removeprefix("./").strip("/") or ".": member for member in members}
    given = (".", "dev", "etc", "proc", "sys")
    return {
        name: (member.uid, member.gid, member.mode & 0o7777)
        for name, member in found.items()
        if name.split("/")[0] not in given and name != ".dockerenv"
    }


def test_only_what_is_there_is_copied(daemon: Engine, tmp_path: Path) -> None:
    """A directory that nobody has a Dockerfile for has none, and no ignore file that is not its own."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("x")
    text = "FROM scratch\nCOPY --from=files . /\n"
    for _ in range(2):
        (tmp_path / "context").mkdir(exist_ok=True)
        (tmp_path / "context/Dockerfile").write_text(text)
        flags = ("--build-context", f"files={tmp_path}/other", "-t", "made:only")
        said = daemon.cove("build", "--progress", "plain", *flags, str(tmp_path / "context")).err
    assert exported(daemon, "made:only") == {"file": (0, 0, 0o644)}
    assert "CACHED" in said


def test_a_target_is_what_stands_in_for_it(daemon: Engine, tmp_path: Path) -> None:
    """Nothing of its stage is built."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("x")
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text("FROM busybox AS base\nRUN false\nFROM busybox\n")
    for target in ("base", "0"):
        for place, files in ((f"{tmp_path}/other", {"file"}), ("docker-image://busybox", {"bin", "etc"})):
            out = tmp_path / f"out-{target}-{len(files)}"
            flags = ("--target", target, "--build-context", f"base={place}", "-o", str(out))
            daemon.cove("build", "-q", *flags, str(tmp_path / "context"))
            assert files <= {path.name for path in out.iterdir()}
