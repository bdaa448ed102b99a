"""Rows about files: ``cp`` both ways, ``commit``, ``export`` and ``system df``."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.measure import Row, client, docker
from bench.sink import serving
from harness.engine import BIN, Engine

LARGE = int(os.environ.get("COVE_BENCH_LARGE_MB", "1000"))
"""Megabytes of the one large file."""

SMALL = 20_000
CHANGED = 200
CONTAINERS, IMAGES, VOLUMES = 100, 50, 50
PIECE = 1 << 20

_numbers = itertools.count()


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


Copy = Callable[[Engine, str, str], None]
"""Copies from a place to another, one of them in the container."""


def _stock(engine: Engine, source: str, target: str) -> None:
    docker(engine, "cp", "-q", source, target)


def _own(engine: Engine, source: str, target: str) -> None:
    client(engine, str(BIN / "cove") if engine.cli == "cove" else "docker", "cp", "-q", source, target)


def _alone(engine: Engine, source: str, target: str) -> None:
    """In our place nobody: an archive is ready, or is taken and forgotten. So the ratio is the least there can be."""
    if engine.cli != "cove":
        _stock(engine, source, target)
        return
    name = Path(source).name
    archive = _place(engine) / f"{name}.tar" if source.startswith("box:") else None
    if archive is not None and not archive.exists():
        subprocess.run(["tar", "-C", str(_place(engine)), "-cf", str(archive), name], check=True)
    with serving(_place(engine) / "sink", archive, name == "small") as address:
        client(engine, "docker", "-H", address, "cp", "-q", source, target)


def _copy_in(engine: Engine, name: str, copy: Copy) -> None:
    """To a new name. Trees of earlier rounds stay: ext4 passes over inodes that were deleted in the last minutes, one
    by one, which would be most of what is measured (recently_deleted in the kernel's fs/ext4/ialloc.c).
    """
    copy(engine, str(_place(engine) / name), f"box:/root/{name}{next(_numbers)}")


def _copy_out(engine: Engine, name: str, copy: Copy) -> None:
    copy(engine, f"box:/root/{name}", str(_place(engine) / f"back{next(_numbers)}"))


def _forget_large(engine: Engine) -> None:
    """One inode each, and a gigabyte that the next round needs."""
    docker(engine, "exec", "box", "sh", "-c", "rm -f /root/large?*")
    for back in _place(engine).glob("back*"):
        if back.is_file():
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


def _both_ways(name: str, shown: str, before: Row, target: float) -> Iterator[Row]:
    """By the stock command line, by the one that belongs to each engine, and by the stock one with nobody there."""

    def filled(engine: Engine) -> None:
        before.before(engine)
        _stock(engine, str(_place(engine) / name), f"box:/root/{name}")

    for words, copy, least in (
        ("", _stock, target),
        (" (own command line)", _own, target),
        (" (command line alone)", _alone, None),
    ):
        yield before._replace(
            name=f"cp of {shown} in{words}", timed=partial(_copy_in, name=name, copy=copy), target=least
        )
        yield before._replace(
            name=f"cp of {shown} out{words}",
            timed=partial(_copy_out, name=name, copy=copy),
            before=filled,
            target=least,
        )


ROWS = (
    *_both_ways("large", f"{LARGE} MB", Row("", _box, before=_large, reset=_forget_large, after=_gone), 0.7),
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
