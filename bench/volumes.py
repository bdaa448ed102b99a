"""Rows of volumes."""

import io
import tarfile
import tempfile
from pathlib import Path

from bench.measure import Row, docker
from harness.engine import Engine

FILES = 20_000
IMAGE = "bench-files"


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
    docker(engine, "create", "--name", "one", "-v", "bench-volume:/data", IMAGE)


def _reset(engine: Engine) -> None:
    docker(engine, "rm", "one")
    docker(engine, "volume", "rm", "bench-volume")


ROWS = (
    Row(
        f"copy-up of {FILES} files",
        _copy_up,
        before=_import,
        reset=_reset,
        after=lambda engine: docker(engine, "rmi", IMAGE),
        target=0.5,
    ),
)
