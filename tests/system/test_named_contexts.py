"""``--build-context``: directories, images, OCI layouts, URLs and repositories by a name of the Dockerfile's."""

import os
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
