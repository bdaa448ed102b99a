"""What the checks of a Dockerfile say when it is built: to our client, to the stock one, and as the end of a build."""

import json
from pathlib import Path

import pytest

from harness.engine import Engine

ERROR = "# check=error=true\n"
CASING = "FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line {})"
UNDEFINED = "UndefinedVar: Usage of undefined variable '$NONE' (line {})"
DOCKERFILE = "FROM busybox as base\nRUN echo built >/built\nLABEL none=$NONE\n"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def test_warnings_come_at_the_end_of_a_build(daemon: Engine, context: Path) -> None:
    done = daemon.cove("build", "--progress", "plain", str(context))
    said = f"\n 2 warnings found (use cove --debug to expand):\n - {CASING.format(1)}\n - {UNDEFINED.format(3)}\n"
    assert done.err.endswith(said)
    (context / "Dockerfile").write_text("FROM busybox as base\nRUN false\n")
    done = daemon.cove("build", "--progress", "plain", str(context), check=False)
    assert f" 1 warning found (use cove --debug to expand):\n - {CASING.format(1)}\n" in done.err


def test_a_copy_of_what_is_left_out(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nCOPY left.* kept /\n")
    for name in ("left.a", "kept"):
        (context / name).touch()
    (context / ".dockerignore").write_text("left.*\n")
    said = 'CopyIgnoredFile: Attempting to Copy file "left.*" that is excluded by .dockerignore (line 2)'
    assert said in daemon.cove("build", "--progress", "plain", str(context)).err
    assert said in daemon.docker("build", str(context), check=False).out
    (context / "Dockerfile.dockerignore").write_text("other\n")  # which counts for our command line
    assert "CopyIgnoredFile" not in daemon.cove("build", "--progress", "plain", str(context)).err


def test_debug_shows_where(daemon: Engine, context: Path) -> None:
    done = daemon.cove("--debug", "build", "--progress", "plain", str(context))
    assert f" - {UNDEFINED.format(3)}\nVariables should be defined before their use\nDockerfile:3\n" in done.err
    assert "   3 | >>> LABEL none=$NONE\n" in done.err and "to expand" not in done.err


def test_quiet_builds_say_nothing_and_json_says_it_as_json(daemon: Engine, context: Path) -> None:
    for flags in (("-q",), ("--progress", "quiet")):
        assert daemon.cove("build", *flags, str(context)).err == ""
    told = [json.loads(line) for line in daemon.cove("build", "--progress", "rawjson", str(context)).err.splitlines()]
    (warnings,) = [status["warnings"] for status in told if "warnings" in status]
    assert [warning["range"] for warning in warnings] == [
        [{"start": {"line": line}, "end": {"line": line}}] for line in (1, 3)
    ]


def test_a_base_image_has_the_variables(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nENV NONE=some\n")
    daemon.cove("build", "-q", "-t", "made:variables", str(context))
    (context / "Dockerfile").write_text("FROM made:variables\nLABEL none=$NONE\n")
    assert "warning" not in daemon.cove("build", "--progress", "plain", str(context)).err


def test_stages_that_are_not_needed_are_not_checked(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox AS unused\nLABEL none=$NONE\nFROM busybox\nRUN true\n")
    assert "warning" not in daemon.cove("build", "--progress", "plain", str(context)).err


def test_an_error_ends_the_build_before_its_first_step(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text(ERROR + DOCKERFILE)
    done = daemon.cove("build", "--progress", "plain", "-t", "made:none", str(context), check=False)
    assert done.code == 1
    assert " 2 warnings found" in done.err and "echo built" not in done.err
    assert done.err.endswith("lint violation found for rules: FromAsCasing, UndefinedVar\n")
    assert daemon.docker("images", "-q", "made").out == ""


def test_what_is_skipped_is_no_error(daemon: Engine, context: Path) -> None:
    for directive in ("skip=all;error=true", "skip=FromAsCasing,UndefinedVar;error=true"):
        (context / "Dockerfile").write_text(f"# check={directive}\n{DOCKERFILE}")
        assert "warning" not in daemon.cove("build", "--progress", "plain", str(context)).err
    argument = ("--build-arg", "BUILDKIT_DOCKERFILE_CHECK=skip=FromAsCasing;error=true")
    (context / "Dockerfile").write_text(DOCKERFILE)
    done = daemon.cove("build", *argument, str(context), check=False)
    assert done.err.endswith("lint violation found for rules: UndefinedVar\n")


def test_advice_of_our_own_is_no_error(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text(ERROR + "FROM busybox:latest\nRUN true\nRUN true\n")
    assert daemon.cove("build", "--check", str(context), check=False).code == 1
    assert daemon.cove("build", "-q", str(context)).code == 0


def test_the_stock_client_is_told(daemon: Engine, context: Path) -> None:
    lines = daemon.docker("build", str(context)).out.splitlines()
    assert lines[-4:-1] == [" 2 warnings found:", f" - {CASING.format(1)}", f" - {UNDEFINED.format(3)}"]
    assert lines[-1].startswith("Successfully built ")
    assert daemon.docker("build", "-q", str(context)).out.count("\n") == 1
    (context / "Dockerfile").write_text(ERROR + DOCKERFILE)
    done = daemon.docker("build", str(context), check=False)
    assert done.code == 1
    assert " 2 warnings found:" in done.out and "Step" not in done.out
    assert "lint violation found for rules: FromAsCasing, UndefinedVar" in done.err
