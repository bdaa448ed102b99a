"""Dockerfiles that both engines build: the same configuration, history and files; and what each says of wrong ones."""

import hashlib
import io
import re
import shutil
import tarfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from compat.dockerfiles import ERRORS, FILES, METADATA, STAGES, Case, lay_context
from harness.compare import Observed, ask
from harness.engine import Completed, Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

AT_ONCE = 4
_SUMS = re.compile(r"(file|dir|multi):[0-9a-f]{64}|multi:")
_AROUND = ("DEPRECATED", "BuildKit is", "environment-variable", "Sending build", "Step ", "--->", "Removing ")
_WORDS = re.compile(
    r"Error response from daemon: |dockerfile parse error (on )?line \d+: |failed to parse Dockerfile: "
    r"| \(did you mean .*\?\)|\(Dockerfile\) |failed to create task for container: "
)
"""What Docker's engine 20.10 words in another way than its successors, and what the command line says of itself."""


def test_there_are_enough() -> None:
    assert len(METADATA) + len(FILES) + len(STAGES) >= 60


@pytest.mark.parametrize(
    ("case", "cases"),
    [("dockerfile metadata", METADATA), ("dockerfile files", FILES), ("dockerfile stages", STAGES)],
    ids=lambda value: value.split()[-1] if isinstance(value, str) else "",
)
def test_images(alike: Any, tmp_path: Path, case: str, cases: Mapping[str, Case]) -> None:
    alike(case, lambda engine: _all(engine, tmp_path, cases, _image))


def test_errors(alike: Any, tmp_path: Path) -> None:
    alike("dockerfile errors", lambda engine: _all(engine, tmp_path, ERRORS, _error))


def test_triggers_run_in_the_build_of_the_next_image(alike: Any, tmp_path: Path) -> None:
    alike("dockerfile onbuild", lambda engine: _triggered(engine, tmp_path))


Observe = Callable[[Engine, Path, str, Case, dict[str, Any]], Any]


@pytest.mark.needs("buildkit")
@pytest.mark.parametrize("name", ["metadata", "files", "stages"])
def test_images_as_buildkit_makes_them(alike: Any, tmp_path: Path, name: str) -> None:
    """``cove build`` beside the BuildKit in Docker's engine."""
    cases = {"metadata": METADATA, "files": FILES, "stages": STAGES}[name]
    alike(f"buildkit {name}", lambda engine: _all(engine, tmp_path, cases, partial(_image, build=_with_buildkit)))


def _with_buildkit(engine: Engine, *words: str) -> Completed:
    if engine.cli == "cove":
        return engine.cove("build", *words, check=False)
    return engine.buildkit(*words)


def _classic(engine: Engine, *words: str) -> Completed:
    return engine.docker("build", *words, check=False)


def _all(engine: Engine, place: Path, cases: Mapping[str, Case], observe: Observe) -> Observed:
    base = _tree(engine, "busybox")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = {name: pool.submit(_one, engine, place, name, case, observe, base) for name, case in cases.items()}
        return {name: future.result() for name, future in started.items()}


def _one(engine: Engine, place: Path, name: str, case: Case, observe: Observe, base: dict[str, Any]) -> Any:
    context = place / f"{id(engine)}-{name}"
    context.mkdir()
    lay_context(context)
    (context / "Dockerfile").write_text(case.text)
    if case.ignore:
        (context / ".dockerignore").write_text(case.ignore)
    try:
        return observe(engine, context, name, case, base)
    finally:
        shutil.rmtree(context)


def _image(
    engine: Engine,
    context: Path,
    name: str,
    case: Case,
    base: dict[str, Any],
    build: Callable[..., Completed] = _classic,
) -> Any:
    tag = f"compat-{name}"
    done = build(engine, "-q", "-t", tag, *case.flags, str(context))
    if done.code:
        return {"failed": done.err}
    image = ask(engine, "GET", f"/images/{tag}/json").json()
    return {
        "config": _configuration(image["Config"]),
        "author": image["Author"],
        "layers": len(image["RootFS"]["Layers"]),
        "history": [_step(step) for step in ask(engine, "GET", f"/images/{tag}/history").json()],
        "files": {path: what for path, what in _tree(engine, tag).items() if base.get(path) != what}
        if case.files
        else {},
    }


def _configuration(config: dict[str, Any]) -> dict[str, Any]:
    """What a container is made with; nothing and empty are the same to it."""
    return {key: value for key, value in config.items() if value and key not in ("Hostname", "Image", "OnBuild")} | {
        "OnBuild": config.get("OnBuild") or []
    }


def _step(step: dict[str, Any]) -> list[Any]:
    return [_SUMS.sub("sum", step["CreatedBy"]), step["Comment"], step["Size"] > 0]


def _error(engine: Engine, context: Path, name: str, case: Case, base: dict[str, Any]) -> Any:
    done = engine.docker("build", "-q", *case.flags, str(context), check=False)
    said = [line for line in done.err.splitlines() if line and not line.lstrip().startswith(_AROUND)]
    return {"code": done.code, "says": _WORDS.sub("", " ".join(said))}


def _tree(engine: Engine, image: str) -> dict[str, list[Any]]:
    """Every file of an image: kind, mode, owner, target or content."""
    container = engine.docker("create", image, "x").out.strip()
    archive = ask(engine, "GET", f"/containers/{container}/export").body
    engine.docker("rm", container)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            file = members.extractfile(member) if member.isreg() else None
            content = hashlib.sha256(file.read()).hexdigest() if file else member.linkname
            kind = member.type.decode() if not member.islnk() else "0"
            found[member.name.strip("./")] = [kind, oct(member.mode), member.uid, member.gid, content]
    return found


def _triggered(engine: Engine, place: Path) -> Observed:
    context = place / str(id(engine))
    context.mkdir()
    lay_context(context)
    (context / "Dockerfile").write_text(
        "FROM busybox\nONBUILD COPY a.txt /t/\nONBUILD RUN cp /t/a.txt /t/b\nONBUILD ENV A=b\n"
    )
    engine.docker("build", "-q", "-t", "compat-triggers", str(context))
    (context / "Dockerfile").write_text("FROM compat-triggers\nENV C=$A\n")
    return {"image": _image(engine, context, "triggered", Case("", files=True), _tree(engine, "busybox"))}
