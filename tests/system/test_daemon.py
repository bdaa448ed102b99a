"""``coved`` itself: its configuration, a reload, and what it refuses at start."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import BIN
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[tuple[Daemon, Path]]:
    """A daemon that reads a configuration file, and the file."""
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps({"log-level": "info"}))
    daemon = Daemon(f"cove-test-{os.getpid()}-configured", f"--config-file={file}")
    try:
        daemon.start()
        yield daemon, file
    finally:
        daemon.close()


def hang_up(daemon: Daemon) -> None:
    assert daemon.pid is not None
    os.kill(daemon.pid, signal.SIGHUP)


def test_a_hang_up_reloads_the_configuration(configured: tuple[Daemon, Path]) -> None:
    daemon, file = configured
    daemon.docker("version")
    assert "/version 200" not in daemon.log.read_text()
    file.write_text(json.dumps({"log-level": "info", "debug": True}))
    hang_up(daemon)
    eventually(lambda: "configuration reloaded" in daemon.log.read_text())
    daemon.docker("version")
    eventually(lambda: "/version 200" in daemon.log.read_text())


def test_a_bad_configuration_is_not_taken(configured: tuple[Daemon, Path]) -> None:
    daemon, file = configured
    file.write_text(json.dumps({"log-level": "loud"}))
    hang_up(daemon)
    eventually(lambda: "not reloaded: invalid logging level" in daemon.log.read_text())
    assert daemon.docker("version").code == 0


def refused(*flags: str) -> str:
    done = subprocess.run([BIN / "coved", *flags], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_be_is_refused_in_a_line(tmp_path: Path) -> None:
    roots = (f"--data-root={tmp_path}/data", f"--exec-root={tmp_path}/run")
    assert "--allow-unauthenticated-tcp" in refused(*roots, "--host=tcp://127.0.0.1:2375")
    assert "invalid bind address (ftp://x)" in refused(*roots, "--host=ftp://x")
    assert "no such file" in refused(*roots, f"--config-file={tmp_path}/nonesuch")
    assert not (tmp_path / "data").exists()


def test_validate_says_so_and_starts_nothing(tmp_path: Path) -> None:
    command = [BIN / "coved", "--validate", f"--data-root={tmp_path}/data", f"--exec-root={tmp_path}/run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "configuration OK\n")
    assert not (tmp_path / "data").exists()


def test_cove_daemon_is_coved() -> None:
    shown = [
        subprocess.run([BIN / name, *more, "--help"], capture_output=True, text=True, timeout=30).stdout
        for name, more in (("cove", ("daemon",)), ("coved", ()))
    ]
    assert shown[0] == shown[1]
    assert "--data-root" in shown[1]
