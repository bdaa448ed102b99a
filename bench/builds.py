"""Builds, by the stock command line and the classic API of both engines."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.measure import Row, client, docker
from harness.engine import BIN, Engine

FILES = 20_000
STAGES = 50
_ROOT = Path(tempfile.gettempdir()) / "cove-bench-builds"
_numbers = itertools.count(1)

CACHED = """\
FROM busybox
ENV A=b
RUN echo one >/one
COPY file /file
RUN echo two >/two
CMD ["cat", "/one"]
"""
STEPS = """\
FROM busybox
RUN echo {0} >/one
RUN echo two >/two
RUN echo three >/three
COPY file /file
"""
SLOW = """\
FROM busybox AS one
RUN sleep 5; echo {0} >/one
FROM busybox AS two
RUN sleep 5; echo {0} >/two
FROM busybox
COPY --from=one /one /
COPY --from=two /two /
"""
GRAPH = "".join(f"FROM busybox AS s{number}\nRUN echo {{0}} >/{number}\n" for number in range(STAGES)) + (
    "FROM busybox\n" + "".join(f"COPY --from=s{number} /{number} /\n" for number in range(STAGES))
)


def _context(name: str) -> Path:
    place = _ROOT / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "file").write_text("hello\n")
    return place


def _build(name: str, dockerfile: str) -> Callable[[Engine], None]:
    """Build; ``{0}`` is another number every time."""

    def timed(engine: Engine) -> None:
        place = _context(name)
        (place / "Dockerfile").write_text(dockerfile.format(next(_numbers)) if "{0}" in dockerfile else dockerfile)
        docker(engine, "build", "-q", "-t", "bench-built", str(place))

    return timed


def _many_files(engine: Engine) -> None:
    """As many small files as a directory of modules has."""
    place = _context("many")
    (place / "Dockerfile").write_text("FROM busybox\nCOPY tree /tree\n")
    if (place / "tree").exists():
        return
    for number in range(FILES):
        directory = place / "tree" / str(number // 100)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{number}.js").write_text(f"module.exports = {number};\n" * 20)


def _copy_all(engine: Engine) -> None:
    """Everything is new: the copy before was forgotten."""
    docker(engine, "build", "-q", "--no-cache", "-t", "bench-built", str(_ROOT / "many"))


def _copy_changed(engine: Engine) -> None:
    (_ROOT / "many" / "tree" / "0" / "0.js").write_text(f"changed {next(_numbers)}\n")
    docker(engine, "build", "-q", "-t", "bench-built", str(_ROOT / "many"))


def _clean(engine: Engine) -> None:
    docker(engine, "rmi", "-f", "bench-built")
    docker(engine, "builder", "prune", "-af")


def _clean_files(engine: Engine) -> None:
    _clean(engine)
    shutil.rmtree(_ROOT, ignore_errors=True)


def _large_context(engine: Engine) -> None:
    """A gibibyte, of which the image takes a few bytes; the first build is not what is measured."""
    place = _context("large")
    (place / "Dockerfile").write_text("FROM busybox\nCOPY file /file\n")
    for number in range(16):
        if not (place / f"{number}.bin").exists():
            (place / f"{number}.bin").write_bytes(os.urandom(1 << 20) * 64)
    _send_context(engine)


def _send_context(engine: Engine) -> None:
    """By the command line that belongs to the engine: what is sent is up to it."""
    program = str(BIN / "cove") if engine.cli == "cove" else "docker"
    client(engine, program, "build", "-q", "-t", "bench-built", str(_ROOT / "large"))


ROWS = (
    Row("build, 6 steps, all cached", _build("cached", CACHED), after=_clean, target=0.8),
    Row("build, context of 1 GiB, unchanged", _send_context, before=_large_context, after=_clean_files, target=0.2),
    Row("build, 3 RUN and a COPY", _build("steps", STEPS), after=_clean, target=0.3),
    Row("build, two stages of 5 s", _build("slow", SLOW), after=_clean, limit=6000),
    Row(f"build, {STAGES} stages", _build("graph", GRAPH), after=_clean, target=0.3),
    Row(f"build, COPY of {FILES} files", _copy_all, before=_many_files, target=0.4),
    Row(
        f"build, COPY of {FILES} files, one changed", _copy_changed, before=_many_files, after=_clean_files, target=0.4
    ),
)
