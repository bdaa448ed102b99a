"""Rows about files: ``cp`` both ways, ``commit``, ``export`` and ``system df``."""

import os
import shutil
import tempfile
from pathlib import Path

from bench.measure import Row, docker
from harness.engine import Engine

LARGE = int(os.environ.get("COVE_BENCH_LARGE_MB", "1000"))
"""Megabytes of the one large file."""

SMALL = 20_000
CHANGED = 200
CONTAINERS, IMAGES, VOLUMES = 100, 50, 50
PIECE = 1 << 20


def _place(engine: Engine) -> Path:
    """Where an engine's client finds and leaves files; /tmp of this machine."""
    return Path(tempfile.gettempdir()) / f"{engine.name}-bench-files"


def _box(engine: Engine) -> None:
    docker(engine, "run", "-d", "--name", "box", "busybox", "sleep", "86400")
    _place(engine).mkdir(exist_ok=True)


def _gone(engine: Engine) -> None:
    docker(engine, "rm", "-f", "box")
    shutil.rmtree(_place(engine), ignore_errors=True)


def _large(engine: Engine) -> None:
    _box(engine)
    piece = os.urandom(PIECE)
    with (_place(engine) / "large").open("wb") as file:
        for number in range(LARGE):
            file.write(number.to_bytes(4, "big") + piece[4:])


def _small(engine: Engine) -> None:
    _box(engine)
    for number in range(SMALL):
        folder = _place(engine) / "small" / f"{number // 200:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number}").write_bytes(b"some content of a small file\n" * (number % 100))


def _copy_in(engine: Engine, name: str) -> None:
    docker(engine, "cp", "-q", str(_place(engine) / name), f"box:/root/{name}")


def _copy_out(engine: Engine, name: str) -> None:
    docker(engine, "cp", "-q", f"box:/root/{name}", str(_place(engine) / "back"))


def _forget_inside(engine: Engine) -> None:
    docker(engine, "exec", "box", "sh", "-c", "rm -rf /root/*")


def _forget_outside(engine: Engine) -> None:
    back = _place(engine) / "back"
    if back.is_dir():
        shutil.rmtree(back)
    else:
        back.unlink()


def _changed(engine: Engine) -> None:
    """A container with changes: half of them in one file that does not compress, half in many that do."""
    _box(engine)
    script = (
        f"head -c {CHANGED // 2}000000 /dev/urandom > /root/random; for d in $(seq 50); do mkdir -p /root/d$d; "
        f"for f in $(seq 20); do yes $d $f | head -c {CHANGED // 2 * 1000} > /root/d$d/$f; done; done; sync"
    )
    docker(engine, "exec", "box", "sh", "-c", script)


def _many(engine: Engine) -> None:
    for number in range(IMAGES):
        name = f"image{number}"
        docker(engine, "run", "--name", name, "busybox", "sh", "-c", f"echo {number} > /root/new")
        docker(engine, "commit", name, name)
        docker(engine, "rm", name)
    for number in range(CONTAINERS):
        image, volume = f"image{number % IMAGES}", f"volume{number % VOLUMES}"
        script = f"head -c {number}000 /dev/urandom > /root/file; cp -a /bin /data/bin"
        docker(engine, "run", "--name", f"container{number}", "-v", f"{volume}:/data", image, "sh", "-c", script)


def _many_gone(engine: Engine) -> None:
    docker(engine, "rm", "-f", *(f"container{number}" for number in range(CONTAINERS)))
    docker(engine, "rmi", *(f"image{number}" for number in range(IMAGES)))
    docker(engine, "volume", "rm", *(f"volume{number}" for number in range(VOLUMES)))


def _both_ways(name: str, shown: str, before: Row, target: float) -> tuple[Row, Row]:
    def filled(engine: Engine) -> None:
        before.before(engine)
        _copy_in(engine, name)

    return (
        before._replace(
            name=f"cp of {shown} in", timed=lambda engine: _copy_in(engine, name), reset=_forget_inside, target=target
        ),
        before._replace(
            name=f"cp of {shown} out",
            timed=lambda engine: _copy_out(engine, name),
            before=filled,
            reset=_forget_outside,
            target=target,
        ),
    )


ROWS = (
    *_both_ways("large", f"{LARGE} MB", Row("", _box, before=_large, after=_gone), 0.7),
    *_both_ways("small", f"{SMALL} files", Row("", _box, before=_small, after=_gone), 0.5),
    Row(
        f"commit of {CHANGED} MB",
        lambda engine: docker(engine, "commit", "box", "bench-commit"),
        before=_changed,
        reset=lambda engine: docker(engine, "rmi", "bench-commit"),
        after=_gone,
        target=0.7,
    ),
    Row(
        f"export of {CHANGED} MB",
        lambda engine: docker(engine, "export", "box"),
        before=_changed,
        after=_gone,
        target=0.8,
    ),
    Row(
        f"system df of {CONTAINERS} containers",
        lambda engine: docker(engine, "system", "df"),
        before=_many,
        after=_many_gone,
        target=0.3,
    ),
)
