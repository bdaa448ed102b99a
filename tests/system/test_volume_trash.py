"""Volumes that were removed go to the trash, and ``cove undo`` brings them back."""

import os
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine

pytestmark = pytest.mark.needs("cove")


def _fill(engine: Engine, name: str, text: str) -> None:
    engine.docker("run", "--rm", "-v", f"{name}:/d", "busybox", "sh", "-c", f"echo {text} > /d/file; chown 5 /d/file")


def _read(engine: Engine, name: str) -> str:
    return engine.cove("volume", "browse", name, "cat", "/file").out


def test_it_comes_back_as_it_was(daemon: Engine) -> None:
    daemon.docker("volume", "create", "--label", "a=b", "data")
    _fill(daemon, "data", "kept")
    daemon.cove("volume", "snapshot", "data", "one")
    before = daemon.http("GET", "/volumes/data").json()
    daemon.docker("volume", "rm", "data")
    assert daemon.docker("volume", "ls", "-q").out == ""
    assert daemon.cove("trash", "ls", "--format", "{{.Kind}} {{.Name}}").out == "volume data\n"
    assert daemon.cove("undo").out == "data\n"
    assert daemon.http("GET", "/volumes/data").json() == before
    assert _read(daemon, "data") == "kept\n"
    assert daemon.cove("volume", "snapshots", "-q", "data").out == "one\n"
    assert daemon.cove("trash", "ls", "-q").out == ""


def test_the_name_is_free_at_once(daemon: Engine) -> None:
    _fill(daemon, "data", "old")
    daemon.docker("volume", "rm", "data")
    _fill(daemon, "data", "new")
    done = daemon.cove("undo", "data", check=False)
    assert done.code == 1 and 'volume "data" already exists' in done.err and "--name" in done.err
    assert daemon.cove("undo", "--name", "older", "data").out == "older\n"
    assert (_read(daemon, "older"), _read(daemon, "data")) == ("old\n", "new\n")


def test_prune_and_now(daemon: Engine) -> None:
    for name in ("one", "two"):
        _fill(daemon, name, name)
    daemon.docker("volume", "prune", "-a", "-f")
    assert daemon.docker("volume", "ls", "-q").out == ""
    assert sorted(daemon.cove("trash", "ls", "--format", "{{.Name}}").out.split()) == ["one", "two"]
    daemon.cove("undo", "one")
    daemon.cove("undo", "two")
    daemon.cove("volume", "rm", "--now", "one")
    daemon.cove("volume", "prune", "-a", "-f", "--now")
    assert daemon.cove("trash", "ls", "-q").out == ""
    assert os.listdir(daemon.data_root / "volumes") == []


def test_kill_9_between_here_and_there(fresh_daemon: Daemon) -> None:
    """Wholly here or wholly there, under whatever name."""
    _fill(fresh_daemon, "data", "kept")
    place = fresh_daemon.data_root
    for words in (["volume", "rm", "data"], ["undo", "--name", "other"], ["volume", "rm", "other"], ["undo"]):
        with fresh_daemon.spawned("cove", *words) as client:
            fresh_daemon.kill9()
            client.wait()
        fresh_daemon.start()
        there = fresh_daemon.docker("volume", "ls", "-q").out.split()
        kept = fresh_daemon.cove("trash", "ls", "--format", "{{.Name}}").out.split()
        assert len(there) + len(kept) == 1
        found = [*Path(place, "volumes").glob("*/_data/file"), *Path(place, "trash").glob("*/volumes/*/_data/file")]
        assert [path.read_text() for path in found] == ["kept\n"]
