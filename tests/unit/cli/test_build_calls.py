"""``cove build --call``: what a Dockerfile offers, in tables and as JSON, without a daemon."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCKERFILE = """\
# UNUSED is of no stage
ARG UNUSED=1
ARG REPOSITORY=lib
# BASE is what it begins with
ARG BASE=${REPOSITORY}/busybox:1
FROM ${BASE} AS base
# THIS is said
# LEVEL how much is optimised
ARG LEVEL=$REPOSITORY-2 OTHER TARGETARCH
RUN --mount=type=secret,id=token,required --mount=type=ssh true

# builder compiles
FROM --platform=$BUILDPLATFORM base AS builder
RUN --mount=type=secret,id=other --mount=type=ssh,id=deploy,required true

FROM scratch AS lonely
ARG ALONE=x

FROM busybox
COPY --from=builder / /
"""

Cove = Callable[..., Any]


@pytest.fixture
def context(tmp_path: Path) -> str:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return str(tmp_path)


def table(text: str) -> list[str]:
    """Lines without the spaces at their ends."""
    return [line.rstrip() for line in text.splitlines()]


def test_targets(cove: Cove, context: str) -> None:
    assert table(cove("build", "--call=targets", context).out) == [
        "TARGET    DESCRIPTION",
        "base",
        "builder   compiles",
        "lonely",
        "(default)",
    ]


def test_targets_for_a_program(cove: Cove, context: str) -> None:
    told = json.loads(cove("build", "--call=targets,format=json", context).out)
    assert base64.b64decode(told["sources"][0]).decode() == DOCKERFILE
    assert told["targets"][1] == {
        "name": "builder",
        "description": "compiles",
        "base": "base",
        "platform": "$BUILDPLATFORM",
        "location": {"ranges": [{"start": {"line": 13}, "end": {"line": 13}}]},
    }
    assert [target.get("default", False) for target in told["targets"]] == [False, False, False, True]


def test_the_outline_has_what_the_target_needs(cove: Cove, context: str) -> None:
    out = cove("build", "--call=outline", "--target=builder", "--build-arg", "OTHER=given", context).out
    assert table(out) == [
        "TARGET:        builder",
        "DESCRIPTION:   compiles",
        "",
        "BUILD ARG    VALUE           DESCRIPTION",
        "REPOSITORY   lib",
        "BASE         lib/busybox:1   is what it begins with",
        "LEVEL        -2              how much is optimised",
        "OTHER        given",
        "",
        "SECRET   REQUIRED",
        "token    true",
        "other",
        "",
        "SSH       REQUIRED",
        "default",
        "deploy    true",
    ]


def test_the_outline_of_the_last_stage_has_that_of_the_others(cove: Cove, context: str) -> None:
    told = json.loads(cove("build", "--call=outline,format=json", context).out)
    assert "name" not in told
    assert [argument["name"] for argument in told["args"]] == ["REPOSITORY", "BASE", "LEVEL", "OTHER"]
    assert told["args"][1]["location"] == {"ranges": [{"start": {"line": 5}, "end": {"line": 5}}]}
    assert [secret["name"] for secret in told["secrets"] if secret.get("required")] == ["token"]
    lonely = json.loads(cove("build", "--call=outline,format=json", "--target=lonely", context).out)
    assert [argument["name"] for argument in lonely["args"]] == ["ALONE"]


def test_a_check_for_a_program(cove: Cove, context: str) -> None:
    (Path(context) / "Dockerfile").write_text("FROM busybox:1 as base\nUSER 1\n")
    done = cove("build", "--call=check,format=json", context)
    told = json.loads(done.out)
    assert done.code == 1
    assert [warning["ruleName"] for warning in told["warnings"]] == ["FromAsCasing"]
    assert told["warnings"][0]["location"] == {"ranges": [{"start": {"line": 1}, "end": {"line": 1}}]}
    assert cove("build", "--call=lint,format=json,ignorestatus=true", context).code == 0


def test_the_code_of_a_check(cove: Cove, context: str) -> None:
    for text, code in (
        ("FROM busybox:1\nUSER 1\n", 0),
        ("FROM busybox\n", 0),
        ("# check=error=true\nFROM busybox\n", 1),
        ("FROM busybox as base\n", 1),
        ("FROM busybox\nRUN --wrong true\n", 1),
    ):
        (Path(context) / "Dockerfile").write_text(text)
        assert cove("build", "--check", context).code == code, text


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("wrong", '"wrong" is not one of build, check, outline, targets'),
        ("targets,format=xml", "format=xml is neither"),
        ("targets,other=1", "other=1 is neither"),
        ("check,ignorestatus=perhaps", "ignorestatus=perhaps is neither"),
    ],
)
def test_what_there_is_not(cove: Cove, context: str, call: str, said: str) -> None:
    done = cove("build", f"--call={call}", context)
    assert done.code == 1 and said in done.err


def test_a_dockerfile_that_is_wrong(cove: Cove, context: str) -> None:
    (Path(context) / "Dockerfile").write_text("FROM busybox\nRUM x\n")
    for call in ("targets", "outline"):
        done = cove("build", f"--call={call}", context)
        assert done.code == 1 and "2 | >>> RUM x" in done.err and "did you mean RUN" in done.err
    assert "needs a Dockerfile in a directory" in cove("build", "--call=targets", "https://host/x.git").err
