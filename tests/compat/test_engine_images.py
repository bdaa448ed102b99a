"""Images by name, id and filter, and how they go: the same words and codes on both engines."""

import subprocess
from typing import Any

import pytest

from harness.compare import Observed, scrubbed
from harness.engine import Engine
from unit.images.samples import docker_archive, tar

pytestmark = pytest.mark.needs("root", "dockerd", "docker-cli", "busybox-static")

BASE, TOP = tar(a=b"1" * 5000), tar(b=b"2" * 5000)
OLD = {"created": "2020-01-01T00:00:00Z", "config": {"Cmd": ["sh"], "Labels": {"tier": "web"}}}
STEPS = [{"created": OLD["created"], "created_by": "made"}, {"created": OLD["created"], "created_by": "made again"}]


def test_images(alike: Any) -> None:
    alike("image life", _life)


def _life(engine: Engine) -> Observed:
    _load(engine, docker_archive((["one:1"], [BASE, TOP]), **OLD, history=STEPS))
    _load(engine, docker_archive((["two:1"], [BASE]), **{**OLD, "created": "2021-01-01T00:00:00Z"}))
    image = engine.docker("inspect", "-f", "{{.Id}}", "one:1").out.strip()
    other = engine.docker("inspect", "-f", "{{.Id}}", "two:1").out.strip()
    engine.docker("tag", "one:1", "example.test:5000/team/one:1")
    engine.docker("tag", "one:1", "one:2")
    seen = {f"list {' '.join(words)}": _listed(engine, *words) for words in FILTERS}
    seen |= {f"find {number}": _tried(engine, "inspect", "-f", "{{.Id}}", name) for number, name in enumerate(
        (image, image[7:], image[7:20], image[:20], "one", "one:3", "one@" + image, "sha256:" + "0" * 64, "f" * 64)
    )}  # fmt: skip
    seen["history"] = _tried(engine, "history", "--format", "{{.CreatedBy}} {{.Size}} {{.Comment}}", "one:1")
    engine.docker("create", "--name", "box", "two:1", "sh")
    for step, words in enumerate((
        ("one:1",), (image,), (image[7:19],), ("one:2", "example.test:5000/team/one:1"), (image,), ("two:1",),
        ("-f", "two:1"), (other[7:19],), ("-f", "--no-prune", other), ("two:1",), ("not a name",),
    )):  # fmt: skip
        seen[f"rmi {step}"] = _tried(engine, "rmi", *words)
    engine.docker("rm", "box")
    seen["prune"] = _tried(engine, "image", "prune", "-f")
    _load(engine, docker_archive((["one:1", "one:2"], [tar(c=b"3")])))
    seen["rmi of all tags"] = _tried(engine, "rmi", "-f", engine.docker("images", "-q", "one:1").out.strip())
    return seen


FILTERS = (
    ("--filter", "reference=one"), ("--filter", "reference=one:1"), ("--filter", "reference=*:1"),
    ("--filter", "reference=*/*/one"), ("--filter", "label=tier=web"), ("--filter", "label=tier=db"),
    ("--filter", "before=two:1"), ("--filter", "since=one:1", "--filter", "reference=two"),
    ("--filter", "until=2020-06-01", "--filter", "reference=one:1"), ("--filter", "before=nonesuch"),
    ("--filter", "dangling=true"), ("--filter", "dangling=maybe"), ("--filter", "colour=red"), ("one",),
)  # fmt: skip


def _listed(engine: Engine, *words: str) -> list[str]:
    done = engine.docker("images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}", *words, check=False)
    return [str(done.code), *sorted(scrubbed(done.out + done.err).splitlines())]


def _tried(engine: Engine, *words: str) -> list[str]:
    done = engine.docker(*words, check=False)
    return [str(done.code), *scrubbed(done.out + done.err).splitlines()]


def _load(engine: Engine, data: bytes) -> None:
    environment = engine.client_environment()
    subprocess.run(["docker", "load", "-q"], input=data, env=environment, check=True, capture_output=True)
