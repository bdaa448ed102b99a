"""``docker build`` with the classic API: the stock command line against ours."""

import json
from pathlib import Path

import pytest

from harness.engine import Completed, Engine

DOCKERFILE = """\
FROM busybox
ENV A=b
RUN echo "$A" >/x; echo told; echo wrong >&2
COPY f /d/
CMD ["cat", "/x"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "f").write_text("hello\n")
    return tmp_path


def build(engine: Engine, context: Path, dockerfile: str, *flags: str, check: bool = True) -> Completed:
    """Build with the stock command line and the classic builder."""
    (context / "Dockerfile").write_text(dockerfile)
    return engine.docker("build", *flags, str(context), check=check)


def config_of(engine: Engine, image: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(engine.docker("inspect", image).out)[0]["Config"]
    return found


def test_a_simple_image(daemon: Engine, context: Path) -> None:
    out = build(daemon, context, DOCKERFILE, "-t", "made:one", "-t", "made:two").out
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("Step")] == [
        f"Step {number + 1}/5 : {line}" for number, line in enumerate(DOCKERFILE.splitlines())
    ]
    assert "told" in out and "\x1b[91mwrong\n\x1b[0m" in out
    assert lines[-2:] == ["Successfully tagged made:one", "Successfully tagged made:two"]
    assert daemon.docker("run", "--rm", "made:one").out == "b\n"
    assert daemon.docker("run", "--rm", "made:two", "cat", "/d/f").out == "hello\n"
    assert "A=b" in str(config_of(daemon, "made:one")["Env"])


def test_the_second_time_everything_is_cached(daemon: Engine, context: Path) -> None:
    first = build(daemon, context, DOCKERFILE, "-q").out
    (context / "f").touch()
    out = build(daemon, context, DOCKERFILE).out
    assert out.count("---> Using cache") == 4
    assert "Running in" not in out
    assert build(daemon, context, DOCKERFILE, "-q").out == first
    assert "Running in" in build(daemon, context, DOCKERFILE, "--no-cache").out


def test_a_failing_step(daemon: Engine, context: Path) -> None:
    done = build(daemon, context, "FROM busybox\nRUN exit 3\n", "-t", "made:none", check=False)
    assert done.code == 3
    assert "The command '/bin/sh -c exit 3' returned a non-zero code: 3" in done.err
    assert daemon.docker("images", "-q", "made").out == ""


@pytest.mark.needs("cove")
def test_a_check_knows_the_base_images_that_are_here(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text('FROM busybox\nENV WORD=one\nSHELL ["/bin/sh", "-c"]\nUSER 1000\n')
    daemon.cove("build", "-q", "-t", "made:base", str(tmp_path))
    (tmp_path / "Dockerfile").write_text("FROM made:base\nLABEL word=$WORD other=$OTHER\n")
    out = daemon.cove("build", "--check", str(tmp_path), check=False).out
    assert "undefined variable '$OTHER'" in out and "undefined variable '$WORD'" not in out
    (tmp_path / "Dockerfile").write_text("FROM made:none\nLABEL other=$OTHER\n")
    assert "undefined variable" not in daemon.cove("build", "--check", str(tmp_path)).out
    daemon.docker("rmi", "made:base")
