"""The build cache: what it is keyed by, how long it lives, what it takes, and what it says of itself."""

import itertools
import json
import os
import re
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
    """HIT or MISS of every step that changes files."""
    return [line.split()[0] for line in lines if re.match(r"(HIT |MISS) \[.*\d/\d+\]", line)]


def why(lines: list[str], words: str) -> list[str]:
    """The reasons that the step with these words is built for."""
    place = next(number for number, line in enumerate(lines) if words in line and not line.startswith(" "))
    rest = itertools.takewhile(lambda line: line.startswith(" "), lines[place + 1 :])
    return [line.strip() for line in rest]


def test_it_says_what_differs(daemon: Engine, context: Path) -> None:
    assert hits(explained(daemon, context)) == ["MISS"] * 3
    assert hits(explained(daemon, context)) == ["HIT"] * 3
    os.utime(context / "src" / "a", (1, 1))
    (context / "unused").write_text("no matter")
    assert hits(explained(daemon, context)) == ["HIT"] * 3
    (context / "src" / "a").write_text("changed\n")
    lines = explained(daemon, context)
    assert hits(lines) == ["HIT", "MISS", "MISS"]
    assert "file a differs: sha256:87428fc52280 → sha256:" in why(lines, "COPY src")[0]
    (context / "src" / "a").rename(context / "src" / "c")
    lines = explained(daemon, context)
    assert [line.split(":")[0] for line in why(lines, "COPY src")] == ["file a is gone", "file c is new"]
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
    assert why(lines, "RUN echo x")[0].startswith("base image made:base differs: sha256:")
    assert why(lines, "COPY")[0].startswith("what it is built on differs: sha256:")
    assert hits(explained(daemon, context)) == ["HIT"] * 2
    lines = explained(daemon, context, "--network", "none")
    assert hits(lines)[0] == "MISS"
    assert lines[1].strip() == 'option --network is new: "none"'
    (context / "Dockerfile").write_text("FROM made:base\nRUN echo x >/x\nCOPY --chmod=600 src/a /a\n")
    assert explained(daemon, context)[2].strip() == 'option --chmod is new: "600"'


DIFFERENCES = [
    (
        "RUN echo a",
        "RUN echo b",
        "echo b",
        'command differs: "["/bin/sh","-c","echo a"]" → "["/bin/sh","-c","echo b"]"',
    ),
    ("RUN echo a", 'SHELL ["/bin/ash", "-c"]\nRUN echo a', "RUN", 'command differs: "["/bin/sh",'),
    ("ENV A=1\nRUN echo a", "ENV A=2\nRUN echo a", "RUN", 'variable A differs: "1" → "2"'),
    ("ARG A=1\nRUN echo a", "ARG A=2\nRUN echo a", "RUN", 'argument A differs: "1" → "2"'),
    ("RUN echo a", "ARG A=2\nRUN echo a", "RUN", 'argument A is new: "2"'),
    ("USER 1\nRUN echo a", "USER 2\nRUN echo a", "RUN", 'user differs: "1" → "2"'),
    ("ARG A=1\nWORKDIR /a", "ARG A=1\nWORKDIR /b", "WORKDIR", 'path differs: "/a" → "/b"'),
    ("RUN --mount=type=tmpfs,target=/t echo", "RUN --mount=type=tmpfs,target=/u echo", "RUN", "mount 0 differs: "),
    ("COPY src/a /a", "COPY src/b /a", "COPY", "file src/b differs: sha256:87428fc52280 → sha256:0263829989b6"),
    ("COPY src/a /a", "COPY src/a /b", "COPY", 'destination differs: "/a" → "/b"'),
    ("COPY src/a /a", "COPY --chown=1:1 src/a /a", "COPY", 'option --chown is new: "1:1"'),
    ("COPY src /a/", "COPY --exclude=b src /a/", "COPY", "file b is gone: it was sha256:0263829989b6"),
    ("LABEL a=1", "LABEL a=2", "LABEL", 'instruction differs: "LABEL a=1" → "LABEL a=2"'),
    ("ENV A=1\nCMD a", "ENV A=2\nCMD a", "CMD", "what it is built on differs: sha256:"),
]
"""Steps, others, words of the step in question, and what is said to differ."""


@pytest.mark.parametrize(("before", "after", "words", "said"), DIFFERENCES, ids=lambda text: text[:30])
def test_each_kind_of_difference(daemon: Engine, context: Path, before: str, after: str, words: str, said: str) -> None:
    daemon.cove("builder", "prune", "-a", "-f")
    for lines in (before, after):
        (context / "Dockerfile").write_text(f"FROM busybox AS named\n{lines}\n")
        told = explained(daemon, context)
    assert why(told, words)[0].startswith(said), told


def test_steps_without_files_are_listed_in_their_places(daemon: Engine, context: Path) -> None:
    daemon.cove("builder", "prune", "-a", "-f")
    (context / "Dockerfile").write_text('FROM busybox\nENV A=1\nRUN true\nLABEL b=2\nCMD ["x"]\n')
    steps = ["ENV A=1", "[2/2] RUN true", "LABEL b=2", 'CMD ["x"]']
    for verdict in ("MISS", "HIT "):
        told = explained(daemon, context)
        assert [line for line in told if not line.startswith(" ")] == [f"{verdict} {step}" for step in steps]


def test_nothing_is_said_of_another_step(daemon: Engine, context: Path) -> None:
    daemon.cove("builder", "prune", "-a", "-f")
    (context / "Dockerfile").write_text("FROM busybox AS one\nRUN echo a\n")
    explained(daemon, context)
    (context / "Dockerfile").write_text("FROM busybox AS other\nRUN true\nRUN echo b\n")
    assert why(explained(daemon, context), "RUN echo b") == ["no step like this has been built here"]


def test_a_step_that_moved_is_compared_with_itself(daemon: Engine, context: Path) -> None:
    """Not with what had its number."""
    daemon.cove("builder", "prune", "-a", "-f")
    steps = "RUN echo second\nUSER 1\nRUN echo third\n"
    (context / "Dockerfile").write_text(f"FROM busybox\n{steps}")
    explained(daemon, context)
    (context / "Dockerfile").write_text("FROM busybox\nUSER 2\nRUN echo third\n")
    assert why(explained(daemon, context), "RUN echo third") == ['user differs: "1" → "2"']


def test_a_renamed_source_of_the_same_content_is_the_same(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nCOPY src/a /file\n")
    explained(daemon, context)
    (context / "src" / "a").rename(context / "other")
    (context / "Dockerfile").write_text("FROM busybox\nCOPY other /file\n")
    assert hits(explained(daemon, context)) == ["HIT"]
    (context / "other").write_text("changed\n")
    assert "file other differs: sha256:" in explained(daemon, context)[-1]


MOUNTS = {
    "MISS": [
        ("type=secret,id=s,env=A", "type=secret,id=s,env=B"),
        ("type=secret,id=s", "type=secret,id=s,required"),
        ("type=secret,id=s,target=/s", "type=secret,id=s,target=/s,mode=0444,uid=1,gid=2"),
        ("type=ssh", "type=ssh,mode=0666"),
        ("type=cache,target=/c", "type=cache,target=/c,ro"),
        ("type=cache,target=/c,mode=0700", "type=cache,target=/c,mode=0777"),
        ("type=cache,target=/c,from=base,source=/word", "type=cache,target=/c,from=base,source=/other"),
        ("type=tmpfs,target=/t,size=1m", "type=tmpfs,target=/t,size=2m"),
        ("target=/m", "target=/m,rw"),
        ("target=/m,source=src", "target=/m,source=src/a"),
        ("target=/m,from=base,source=/word", "target=/m,from=base,source=/other"),
    ],
    "HIT": [
        ("type=cache,target=/c,id=one", "type=cache,target=/c,id=two,sharing=locked"),
        ("type=secret,id=t", "type=secret,id=t"),
    ],
}
"""Options of a mount, and others; whether the step is in the cache then."""


def test_options_of_mounts_and_not_what_is_in_caches_and_secrets(daemon: Engine, context: Path, tmp_path: Path) -> None:
    mounts = [(before, after, verdict) for verdict, pairs in MOUNTS.items() for before, after in pairs]
    secret = tmp_path / "secret"
    lent = ("--secret", f"id=s,src={secret}", "--secret", f"id=t,src={secret}")
    for round in (0, 1):
        text = "FROM busybox AS base\nRUN mkdir /word /other && echo >/other/file\n"
        text += "".join(f"FROM base AS s{n}\nRUN --mount={mount[round]} true\n" for n, mount in enumerate(mounts))
        text += (
            "FROM base AS end\nRUN " + "".join(f"--mount=from=s{n},target=/{n} " for n in range(len(mounts))) + "true\n"
        )
        secret.write_text(f"secret {round}")
        (context / "Dockerfile").write_text(text)
        lines = explained(daemon, context, *lent)
    found = {line.split()[1]: line.split()[0] for line in lines if line.split()[1][:2] == "[s"}
    assert found == {f"[s{n}": verdict for n, (_, _, verdict) in enumerate(mounts)}


def test_files_that_are_mounted_and_not_the_others(daemon: Engine, context: Path) -> None:
    stage = "FROM busybox AS seed\nRUN mkdir /d && echo {} >/d/f && echo {} >/other\nFROM busybox\n"
    steps = (
        "RUN --mount=from=seed,source=/d,target=/d true\nRUN --mount=type=cache,from=seed,source=/d,target=/c true\n"
    )
    for used, other, verdicts in (("1", "1", "MISS"), ("1", "2", "HIT"), ("2", "2", "MISS")):
        (context / "Dockerfile").write_text(stage.format(used, other) + steps)
        assert hits(explained(daemon, context)) == ["MISS", verdicts, verdicts]


def test_limits_that_a_program_sees(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM busybox\nRUN true\n")
    explained(daemon, context, "--add-host", "a:10.0.0.1")
    assert hits(explained(daemon, context, "--add-host", "a:10.0.0.2", "-m", "64m", "--cpu-shares", "9")) == ["HIT"]
    for option in (("--ulimit", "nofile=10:20"), ("--shm-size", "1m"), ("--add-host", "b:10.0.0.1")):
        assert f"option {option[0]} " in "".join(explained(daemon, context, *option))


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
    assert why(lines, "COPY src")[0].startswith("files differ: ")


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
