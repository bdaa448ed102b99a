"""Shims around programs of this machine, without privileges."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.shims import RunningShim

Start = Callable[..., RunningShim]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[RunningShim] = []

    def begin(*args: str, **changes: object) -> RunningShim:
        directory = tmp_path / f"{len(running)}-{'x' * 120}"  # longer than a socket address
        directory.mkdir()
        running.append(RunningShim(directory, list(args), **changes))  # type: ignore[arg-type]
        return running[-1]

    yield begin
    for shim in running:
        shim.close()
