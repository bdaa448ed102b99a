"""Files that are kept beside other work: whole, whatever the sizes of their pieces are, on file systems of any kind."""

import os
import random
from pathlib import Path

import pytest

from cove.layers.worker.kept_file import BUFFER, KeptFile


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, BUFFER - 1, BUFFER, BUFFER + 1, 5 * BUFFER + 123])
@pytest.mark.parametrize("directory", ["", "/dev/shm"])
def test_what_is_written_is_there(tmp_path: Path, size: int, directory: str) -> None:
    path = Path(directory or tmp_path) / f"kept-{os.getpid()}-{size}"
    data, rest = random.Random(size).randbytes(size), size
    file = KeptFile(str(path))
    try:
        while rest:
            count = min(rest, random.Random(rest).randrange(1, 300_000))
            file.write(data[size - rest : size - rest + count])
            rest -= count
        file.end()
        file.close()
        assert path.read_bytes() == data
    finally:
        path.unlink()


def test_a_file_that_is_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(FileExistsError):
        KeptFile(str(tmp_path / "a"))
    assert (tmp_path / "a").read_text() == "x"


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    file = _full()
    with pytest.raises(OSError, match="No space left"):
        for _ in range(100):
            file.write(bytes(BUFFER))
        file.end()
        file.close()


def _full() -> KeptFile:
    path = f"/dev/shm/kept-full-{os.getpid()}"
    file = KeptFile(path)
    os.unlink(path)
    descriptor = os.open("/dev/full", os.O_WRONLY)
    os.dup2(descriptor, file._file)
    os.close(descriptor)
    return file
