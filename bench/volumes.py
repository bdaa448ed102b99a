"""Rows of volumes."""

import io
import itertools
import tarfile
import tempfile
from pathlib import Path

from bench.measure import Row, docker
from harness.engine import Engine

FILES = 20_000
IMAGE = "bench-files"

_numbers = itertools.count()


def _archive() -> Path:
    """An image that is a directory of many small files, a hundred in each."""
    path = Path(tempfile.gettempdir()) / f"cove-bench-files-{FILES}.tar"
    if not path.exists():
        with tarfile.open(path, "w") as tar:
            for number in range(FILES):
                entry = tarfile.TarInfo(f"data/{number // 100}/{number}")
                entry.size = 1000 + number % 3000
                tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    return path


def _import(engine: Engine) -> None:
    docker(engine, "import", "-c", 'CMD ["true"]', str(_archive()), IMAGE)


def _copy_up(engine: Engine) -> None:
    """Into a new volume. Those of earlier rounds stay: ext4 passes over inodes that were deleted in the last minutes,
    one by one, which would be most of what is measured (recently_deleted in the kernel's fs/ext4/ialloc.c).
    """
    docker(engine, "create", "--name", f"one-{next(_numbers)}", "-v", "/data", IMAGE)


def _remove(engine: Engine) -> None:
    names = engine.docker("ps", "-aq", "--filter", f"ancestor={IMAGE}").out.split()
    docker(engine, "rm", "-v", *names)
    docker(engine, "rmi", IMAGE)


ROWS = (
    Row(
        f"copy-up of {FILES} files",
        _copy_up,
        before=_import,
        after=_remove,
        target=0.5,
    ),
)
