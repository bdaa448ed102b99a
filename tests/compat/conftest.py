"""Running the same command line with ``docker`` and with ``cove`` against one daemon.

The daemon is ours, the one that the tests of a worker share. ``COVE_TEST_HOST``, a socket's path or a URL, names
another, such as Docker's engine with the image busybox.
"""

from __future__ import annotations

import importlib.util
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from harness.compare import Observed, compared, read_differences, unexplained
from harness.daemon import Daemon
from harness.engine import Engine
from harness.leaks import LeakCheck, remove_everything
from harness.needs import COMPARED_HOST

DIFFERENCES = Path(__file__).with_name("differences.toml")
TIMEOUT = 30
PROGRAMS = {"docker": ["docker"], "cove": [sys.executable, "-m", "cove.cli.main"]}
NAME = f"covecompat-{os.getpid()}"


@dataclass
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def host(request: pytest.FixtureRequest) -> str:
    if COMPARED_HOST:
        return COMPARED_HOST if "://" in COMPARED_HOST else f"unix://{COMPARED_HOST}"
    daemon, _leaks = request.getfixturevalue("_shared_daemon")
    return f"unix://{daemon.socket}"


@pytest.fixture(scope="module", autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the tests of a module our daemon has nothing that it did not have before."""
    if COMPARED_HOST:
        yield
        return
    shared: tuple[Daemon, LeakCheck] = request.getfixturevalue("_shared_daemon")
    daemon, leaks = shared
    yield
    remove_everything(daemon, keep_images=True)
    leaks.check()


def environment(host: str) -> dict[str, str]:
    """What both programs see: no configuration of the user's, and a width that does not depend on the terminal."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "COVE_"))}
    return {**kept, "DOCKER_HOST": host, "DOCKER_CONFIG": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}


class Runner:
    """``docker(...)`` and ``cove(...)`` run one command line; ``both`` runs it with each."""

    def __init__(self, host: str) -> None:
        self.host = host

    def run(self, program: str, *words: str, stdin: bytes = b"") -> Outcome:
        done = subprocess.run(
            [*PROGRAMS[program], *words],
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT,
            env=environment(self.host),
            check=False,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def docker(self, *words: str, stdin: bytes = b"") -> Outcome:
        return self.run("docker", *words, stdin=stdin)

    def cove(self, *words: str, stdin: bytes = b"") -> Outcome:
        return self.run("cove", *words, stdin=stdin)

    def both(self, *words: str, stdin: bytes = b"") -> tuple[Outcome, Outcome]:
        return self.docker(*words, stdin=stdin), self.cove(*words, stdin=stdin)

    def start(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*PROGRAMS[program], *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(self.host),
        )

    def terminal(self, program: str, *words: str) -> Terminal:
        return Terminal([*PROGRAMS[program], *words], environment(self.host))


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def expect(self, text: bytes, seconds: float = 20) -> None:
        """Read until ``text`` has been shown."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            if not select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"{text!r} was not shown in {self.seen!r}")
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                piece = b""
            if not piece:
                raise AssertionError(f"ended before {text!r} was shown in {self.seen!r}")
            self.seen += piece

    def end(self) -> int:
        """Read to the end and give the exit code."""
        while True:
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                break
            if not piece:
                break
            self.seen += piece
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture(scope="session")
def runner(host: str) -> Iterator[Runner]:
    made = Runner(host)
    yield made
    left = made.docker("ps", "-aq", "--filter", f"name={NAME}").out.split()
    if left:
        made.docker("rm", "-f", "-v", *left)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A container name of this test's own."""
    return f"{NAME}-{re.sub(r'[^a-zA-Z0-9]+', '-', request.node.name)[:40].strip('-')}"


def as_cove(text: str) -> str:
    """Docker's words with the names that differ by design replaced, and one slip of its keyboard mended."""
    text = re.sub(r"\bdocker\b", "cove", text).replace("SRun '", "Run '")
    return text.replace("Cannot connect to the Docker daemon at", "Cannot connect to the Cove daemon at").replace(
        "Is the cove daemon running?", "Is it running? Start it with: cove daemon"
    )


@pytest.fixture
def same(runner: Runner) -> Callable[..., Outcome]:
    """Run with both, require the same output and exit code, and return what cove gave."""

    def check(*words: str, stdin: bytes = b"", scrub: str = "") -> Outcome:
        docker, cove = runner.both(*words, stdin=stdin)
        for outcome in (docker, cove):
            outcome.out, outcome.err = (
                re.sub(scrub, "…", text) if scrub else text for text in (outcome.out, outcome.err)
            )
        assert (cove.code, cove.out, cove.err) == (docker.code, docker.out, as_cove(docker.err))
        return cove

    return check


@pytest.fixture(scope="session")
def fake() -> ModuleType:
    """The engine that is only a socket, shared with the unit tests."""
    path = Path(__file__).parents[1] / "unit" / "cli" / "fake_engine.py"
    spec = importlib.util.spec_from_file_location("cove_tests_fake_engine", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def alike(request: pytest.FixtureRequest) -> Callable[[str, Callable[[Engine], Observed]], None]:
    """Run a case on our engine and on Docker's; they are alike but for what ``differences.toml`` explains."""
    ours: Engine = request.getfixturevalue("daemon")
    docker: Engine = request.getfixturevalue("peer")

    def check(case: str, observe: Callable[[Engine], Observed]) -> None:
        try:
            found = compared(observe, ours, docker)
        finally:
            remove_everything(docker, keep_images=True)
        rows = [row for row in read_differences(DIFFERENCES) if row.case == case]
        left = unexplained(found, rows)
        assert not left, f"{len(left)} in {case}:\n" + "\n".join(left)

    return check
