"""Fixtures for the command line: an engine that is only a socket, and a way to run ``cove`` in this process."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cove.cli.main import main


def load_fake_engine() -> ModuleType:
    """The module beside this file; test directories are not packages."""
    name = "cove_tests_fake_engine"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("fake_engine.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def fake() -> ModuleType:
    return load_fake_engine()


@pytest.fixture
def engine(tmp_path: Path, fake: ModuleType) -> Iterator[Any]:
    with fake.FakeEngine(tmp_path) as running:
        yield running


class Outcome:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


@pytest.fixture
def cove(engine: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a command line against the fake engine."""
    monkeypatch.setenv("COVE_HOST", engine.host)
    monkeypatch.setenv("COVE_CONFIG", str(engine.socket_path.parent / "no-configuration"))
    monkeypatch.setenv("COLUMNS", "80")
    os.environ.pop("DOCKER_HOST", None)

    def run(*words: str) -> Outcome:
        code = main(list(words))
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run
