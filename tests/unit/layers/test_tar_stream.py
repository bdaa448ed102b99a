"""Bytes of a pipe that go to files past this process."""

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cove.layers.tar.stream import FAR, PipeStream, Truncated


@contextmanager
def _piped(data: bytes, first: int = 0) -> Iterator[PipeStream]:
    """A stream of the data, of which so many bytes have been read already."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb", buffering=0) as pipe:
            chance, at = random.Random(1), first
            while at < len(data):
                at += pipe.write(data[at : at + chance.randrange(1, 100_000)])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield PipeStream(reading, data[:first], lambda read: None)
    finally:
        os.close(reading)
        thread.join()


@pytest.mark.parametrize("flags", [0, os.O_APPEND])  # the kernel does not splice to files that are appended to
@pytest.mark.parametrize("first", [0, 7, 600])
def test_reads_and_files_in_turns(tmp_path: Path, first: int, flags: int) -> None:
    data = random.Random(2).randbytes(1_500_000)
    with _piped(data, first) as stream:
        at = 0
        for number, size in enumerate((0, 1, FAR, 700_000, 3 * FAR + 5)):
            assert stream.take(512) == data[at : at + 512]
            file = os.open(tmp_path / str(number), os.O_CREAT | os.O_WRONLY | flags)
            stream.send(size, file)
            os.close(file)
            assert (tmp_path / str(number)).read_bytes() == data[at + 512 : at + 512 + size]
            at += 512 + size
            assert stream.position == at
        assert b"".join(map(bytes, stream.pieces(len(data) - at))) == data[at:]


def test_an_end_in_a_file(tmp_path: Path) -> None:
    with _piped(bytes(200_000)) as stream, open(tmp_path / "file", "wb") as file, pytest.raises(Truncated):
        stream.send(200_001, file.fileno())
