"""The build cache: what it is keyed by, how long it lives, what it takes, and what it says of itself."""

import json
import os
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.registries import served

DOCKERFILE = """\
FROM busybox AS base
ARG WORD=one
RUN echo $WORD >/word
FROM base
COPY src /src
RUN cat /src/* >/all
LABEL a=b
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a").write_text("a\n")
    (tmp_path / "src" / "b").write_text("b\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def explained(engine: Engine, context: Path, *flags: str) -> list[str]:
    """What ``--explain`` says, without the image's id."""
    return engine.cove("build", "-q", "--explain", *flags, str(context)).out.splitlines()[:-1]


def hits(lines: list[str]) -> list[str]:
    """HIT or MISS of every step."""
    return [line.split()[0] for line in lines if not line.startswith(" ")]


def test_it_says_what_differs(daemon: Engine, context: Path) -> None:
    assert hits(explained(daemon, context)) == ["MISS"] * 3
    assert hits(explained(daemon, context)) == ["HIT"] * 3
    os.utime(context / "src" / "a", (1, 1))
    (context / "unused").write_text("no matter")
    assert hits(explained(daemon, context)) == ["HIT"] * 3
    (context / "src" / "a").write_text("changed\n")
    lines = explained(daemon, context)
    assert hits(lines) == ["HIT", "MISS", "MISS"]
    assert "file a differs: sha256:87428fc52280 → sha256:" in lines[2]
    (context / "src" / "a").rename(context / "src" / "c")
    lines = explained(daemon, context)
    assert [line.strip().split(":")[0] for line in lines[2:4]] == ["file a is gone", "file c is new"]
    lines = explained(daemon, context, "--build-arg", "WORD=two")
    assert hits(lines) == ["MISS"] * 3
    assert '       argument WORD differs: "one" → "two"' in lines
    lines = explained(daemon, context, "--no-cache-filter", "stage-1")
    assert hits(lines) == ["HIT", "MISS", "MISS"]


def test_it_says_that_the_base_or_an_option_differs(daemon: Engine, context: Path) -> None:
    for content in ("one", "two"):
        (context / "Dockerfile").write_text(f"FROM busybox\nRUN echo {content} >/base\n")
        daemon.cove("build", "-q", "-t", "made:base", str(context))
        (context / "Dockerfile").write_text("FROM made:base\nRUN echo x >/x\nCOPY src/a /a\n")
        lines = explained(daemon, context)
    assert lines[1].strip().startswith("what it is built on differs: sha256:")
    assert hits(explained(daemon, context)) == ["HIT"] * 2
    lines = explained(daemon, context, "--network", "none")
    assert hits(lines)[0] == "MISS"
    assert lines[1].strip() == 'option --network is new: "none"'
    (context / "Dockerfile").write_text("FROM made:base\nRUN echo x >/x\nCOPY --chmod=600 src/a /a\n")
    assert explained(daemon, context)[2].strip() == 'option --chmod is new: "600"'


def test_a_renamed_source_of_the_same_content_is_the_same(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nCOPY src/a /file\n")
    explained(daemon, context)
    (context / "src" / "a").rename(context / "other")
    (context / "Dockerfile").write_text("FROM busybox\nCOPY other /file\n")
    assert hits(explained(daemon, context)) == ["HIT"]
    (context / "other").write_text("changed\n")
    assert "file other differs: sha256:" in explained(daemon, context)[-1]


def test_it_survives_restarts_and_the_removal_of_images(fresh_daemon: Daemon, context: Path) -> None:
    first = fresh_daemon.cove("build", "-q", "-t", "made", str(context)).out
    fresh_daemon.docker("rmi", "made")
    fresh_daemon.restart()
    assert hits(explained(fresh_daemon, context)) == ["HIT"] * 3
    assert fresh_daemon.cove("build", "-q", "-t", "made", str(context)).out == first
    assert fresh_daemon.docker("run", "--rm", "made", "cat", "/all", "/word").out == "a\nb\none\n"
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert hits(explained(fresh_daemon, context)) == ["HIT"] * 3


def test_usage_and_prune(daemon: Engine, context: Path) -> None:
    daemon.cove("build", "-q", "-t", "made", str(context))
    (context / "src" / "a").write_bytes(bytes(200_000))
    daemon.cove("build", "-q", "--build-arg", "WORD=x", str(context))
    usage = json.loads(daemon.http("GET", "/v1.41/system/df?type=build-cache").body)
    regular = [record for record in usage["BuildCache"] if record["Type"] == "regular"]
    assert len(regular) == 6
    assert (
        daemon.docker("system", "df", "--format", "{{.Type}}|{{.TotalCount}}").out.splitlines()[-1].startswith("Build")
    )
    assert daemon.docker("builder", "prune", "-f", "--filter", "until=24h").out.strip() == "Total reclaimed space: 0B"
    kept = daemon.cove("builder", "prune", "-f", "--keep-storage", "1gb").out
    assert "Deleted" not in kept
    daemon.docker("image", "prune", "-f")
    out = daemon.cove("builder", "prune", "-f").out
    assert "Deleted build cache objects:" in out
    assert "Total reclaimed space: 400kB" in out
    daemon.cove("builder", "prune", "-a", "-f")
    assert json.loads(daemon.http("GET", "/v1.41/system/df?type=build-cache").body)["BuildCache"] in (None, [])
    assert daemon.docker("run", "--rm", "made", "cat", "/word").out == "one\n"


def test_caches_travel(daemon: Engine, context: Path, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    daemon.cove("build", "-q", "--cache-to", f"type=local,dest={place},mode=max", str(context))
    daemon.cove("build", "-q", "-t", "made:inline", "--cache-to", "type=inline", str(context))
    daemon.cove("builder", "prune", "-a", "-f")
    assert hits(explained(daemon, context, "--cache-from", "made:inline")) == ["HIT"] * 3
    daemon.docker("rmi", "-f", "made:inline")
    daemon.cove("builder", "prune", "-a", "-f")
    assert hits(explained(daemon, context, "--cache-from", f"type=local,src={place}")) == ["HIT"] * 3
    assert "cove-build-cache" not in daemon.docker("images").out


def test_a_step_whose_files_differ_from_an_imported_record_is_built(daemon: Engine, context: Path) -> None:
    daemon.cove("build", "-q", "-t", "made:inline", "--cache-to", "type=inline", str(context))
    daemon.cove("builder", "prune", "-a", "-f")
    (context / "src" / "a").write_text("changed\n")
    lines = explained(daemon, context, "--cache-from", "made:inline")
    assert hits(lines) == ["HIT", "MISS", "MISS"]
    assert lines[2].strip().startswith("files differ: ")


def test_caches_and_images_go_to_registries(daemon: Engine, context: Path) -> None:
    with served(daemon, "cove") as registry:
        image, cache = f"{registry.host}/team/app:1", f"{registry.host}/team/app:cache"
        to = f"type=registry,ref={cache},mode=max"
        made = daemon.cove("build", "-q", "-t", image, "--push", "--cache-to", to, str(context)).out
        daemon.docker("rmi", "-f", image, cache)
        daemon.cove("builder", "prune", "-a", "-f")
        assert hits(explained(daemon, context, "--cache-from", f"type=registry,ref={cache}")) == ["HIT"] * 3
        daemon.docker("pull", "-q", image)
        assert daemon.docker("inspect", "-f", "{{.Id}}", image).out == made
