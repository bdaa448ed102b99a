"""Pull, push, look and search at a registry of Debian's: what each engine says, and how it fails."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.compare import Observed, answer, ask, scrubbed
from harness.debian_registry import debian_registry
from harness.engine import Engine
from harness.oci_layout import Layout, busybox_layers

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static", "docker-registry", "skopeo")

HOST = "localhost:5000"
_MOVES = ("Downloading", "Extracting", "Pushing", "Waiting", "Verifying", "Download complete", "Preparing")
"""How far something is, which depends on the moment; the engines tell what comes of it alike."""


def _publish(engine: Engine) -> None:
    """Images of one and of two platforms."""
    with tempfile.TemporaryDirectory() as directory:
        layout = Layout(Path(directory) / "layout")
        layers = busybox_layers(Path(shutil.which("busybox") or "").read_bytes(), 3)
        one = layout.image(layers, Cmd=["sh"])
        layout.tag("one", one)
        layout.tag("arm", layout.index([layout.image(layers, "arm64"), layout.image(layers, "s390x")]))
        layout.tag("two", layout.index([one, layout.image(layers, "arm64")]))
        for tag in ("one", "arm", "two"):
            layout.push(engine.netns, tag, f"{HOST}/team/app:{tag}")


def _told(engine: Engine, *words: str) -> list[str]:
    """What the stock command line prints, without what depends on the moment, and its errors."""
    done = engine.docker(*words, check=False)
    lines = [re.sub(r"[0-9.]+ ?[kM]?B\b", "SIZE", scrubbed(line)) for line in done.out.splitlines()]
    kept = [re.sub(r"size: \d+", "size: N", line) for line in lines if not line.partition(": ")[2].startswith(_MOVES)]
    return [f"exit {done.code}", *kept, *(scrubbed(line) for line in done.err.splitlines())]


def _case(observe: Callable[[Engine], Observed]) -> Callable[[Engine], Observed]:
    def with_registry(engine: Engine) -> Observed:
        with debian_registry(engine) as registry:
            try:
                _publish(engine)
                return observe(engine)
            finally:
                shutil.rmtree(registry.root / "data")

    return with_registry


def test_pulls(alike: Any) -> None:
    alike("pulls", _case(_pulls))


def _progress(engine: Engine, target: str) -> Observed:
    """Of each stage that a layer goes through, what a message of it has; in the order of the stages.

    Without those that a layer may skip.
    """
    lines = [json.loads(line) for line in ask(engine, "POST", target).body.splitlines()]
    found: dict[str, set[str]] = {}
    for line in lines:
        if line["status"] not in ("Waiting", "Verifying Checksum", "Download complete"):
            details = [f"progressDetail.{key}" for key in line.get("progressDetail", {})]
            found.setdefault(scrubbed(line["status"]), set()).update([*line, *details])
    return {stage: sorted(keys) for stage, keys in found.items()}


def _pulls(engine: Engine) -> Observed:
    name = f"{HOST}/team/app"
    return {
        "progress": _progress(engine, f"/images/create?fromImage={name}&tag=one"),
        "gone": engine.docker("rmi", f"{name}:one").code,
        "one": _told(engine, "pull", f"{name}:one"),
        "again": _told(engine, "pull", f"{name}:one"),
        "index": _told(engine, "pull", f"{name}:two"),
        "quiet": _told(engine, "pull", "-q", f"{name}:one"),
        "other platforms": _told(engine, "pull", f"{name}:arm"),
        "no such platform": _told(engine, "pull", "--platform", "linux/riscv64", f"{name}:two"),
        "no such tag": _told(engine, "pull", f"{name}:none"),
        "no such repository": _told(engine, "pull", "-a", f"{HOST}/team/none"),
        "no such digest": _told(engine, "pull", f"{name}@sha256:{'0' * 64}"),
        "nobody there": _told(engine, "pull", "localhost:5999/app"),
        "bad name": answer(engine, "POST", f"/images/create?fromImage={HOST}/TEAM/app&tag=one"),
        "status of no tag": answer(engine, "POST", f"/images/create?fromImage={name}&tag=none"),
        "status of nobody": answer(engine, "POST", "/images/create?fromImage=localhost:5999/app&tag=one"),
    }


def test_pushes(alike: Any) -> None:
    alike("pushes", _case(_pushes))


def _pushes(engine: Engine) -> Observed:
    name = f"{HOST}/team/mine"
    for tag in ("b", "a"):
        engine.docker("tag", "busybox", f"{name}:{tag}")
    engine.docker("tag", "busybox", f"{HOST}/team/other:a")
    engine.docker("tag", "busybox", "localhost:5999/app:a")
    return {
        "first": _told(engine, "push", f"{name}:a"),
        "again": _told(engine, "push", f"{name}:a"),
        "all": _told(engine, "push", "-a", name),
        "mounted": _told(engine, "push", f"{HOST}/team/other:a"),
        "quiet": _told(engine, "push", "-q", f"{name}:a"),
        "not here": _told(engine, "push", f"{HOST}/team/none:a"),
        "nobody there": _told(engine, "push", "localhost:5999/app:a"),
    }


def test_what_registries_are_asked(alike: Any) -> None:
    alike("registries", _case(_asked))


def _asked(engine: Engine) -> Observed:
    one = ask(engine, "GET", f"/distribution/{HOST}/team/app:one/json").json()
    two = ask(engine, "GET", f"/distribution/{HOST}/team/app:two/json").json()
    return {
        "one": one,
        "two": two,
        "no tag": answer(engine, "GET", f"/distribution/{HOST}/team/app:none/json"),
        "nobody": answer(engine, "GET", "/distribution/localhost:5999/app:none/json"),
        "limit": answer(engine, "GET", "/images/search?term=x&limit=101"),
        "bad filter": answer(engine, "GET", "/images/search?term=x&filters=%7B%22y%22%3A%5B%22z%22%5D%7D"),
    }
