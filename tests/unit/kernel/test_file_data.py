"""Runs of data in files that somebody else may be writing to."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.kernel import file_data


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(descriptor, b"a" * 4096, 0)
    os.pwrite(descriptor, b"b" * 4096, 1 << 20)
    yield descriptor
    os.close(descriptor)


def test_holes_are_between_the_runs(file: int) -> None:
    assert list(file_data.runs(file, (1 << 20) + 4096)) == [(0, 4096), (1 << 20, 4096)]


def test_a_file_that_is_cut_meanwhile_has_no_more(file: int) -> None:
    runs = file_data.runs(file, (1 << 20) + 4096)
    assert next(runs) == (0, 4096)
    os.ftruncate(file, 0)
    assert list(runs) == []


def test_a_file_that_is_cut_between_two_looks_has_no_more(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seek = os.lseek

    def cut_first(descriptor: int, offset: int, whence: int) -> int:
        if whence == os.SEEK_HOLE:
            os.ftruncate(descriptor, 0)
        return seek(descriptor, offset, whence)

    monkeypatch.setattr(os, "lseek", cut_first)
    assert list(file_data.runs(file, (1 << 20) + 4096)) == []
