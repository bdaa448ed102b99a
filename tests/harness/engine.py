"""An engine as tests see it: a socket, a network namespace and the clients that talk to it.

``Daemon`` (ours) and ``Peer`` (Docker's) start the process behind it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from docker import DockerClient

from harness import rawhttp
from harness.base_image import busybox_root
from harness.netns import NetworkNamespace

BIN = Path(sys.executable).parent
DOCKER_20 = "/usr/bin/docker"
"""Debian's, whatever other command line comes first."""
SLOWNESS = float(os.environ.get("COVE_TEST_SLOWNESS", "1"))
"""How many times slower than usual the machine is: what bounded waits are multiplied by."""

READY_SECONDS = 20.0 * SLOWNESS
POLL_SECONDS = 0.005
STOP_SECONDS = 30.0 * SLOWNESS
FETCH = """
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.write(opener.open(sys.argv[1], timeout=5).read().decode())
"""


class Completed(NamedTuple):
    """A finished client: its exit code and what it wrote."""

    code: int
    out: str
    err: str


class Engine:
    """One engine process with roots and a network namespace of its own. ``close`` removes all of it."""

    cli = "docker"
    """The command line that is this engine's own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.base = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))
        self.base.chmod(0o755)
        self.data_root = self.base / "data"
        self.exec_root = self.base / "exec"
        self.socket = self.base / "engine.sock"
        self.pidfile = self.base / "engine.pid"
        self.log = self.base / "engine.log"
        self.netns = NetworkNamespace(name)
        self.process: subprocess.Popen[bytes] | None = None
        self._client: DockerClient | None = None
        self.environment: dict[str, str] = {}
        """More variables of the engine's process."""
        (self.base / "config").mkdir()

    # The process

    def argv(self) -> list[str]:
        """The engine's command line."""
        raise NotImplementedError

    def spawn(self) -> None:
        """Start the process, and do not wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.netns.command(self.argv()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )

    def start(self) -> None:
        """Start the process and wait until it answers."""
        self.spawn()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Return once ``/_ping`` is answered. Raises AssertionError with the log's end when that does not happen."""
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            assert self.process is not None
            code = self.process.poll()
            assert code is None, f"the engine ended with {code}:\n{self.log_tail()}"
            assert time.monotonic() < deadline, f"the engine does not answer:\n{self.log_tail()}"
            time.sleep(POLL_SECONDS)

    def answers(self) -> bool:
        try:
            return self.http("GET", "/_ping").status == 200
        except OSError:
            return False

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Send the signal and wait; the process's exit code."""
        assert self.process is not None
        self.process.send_signal(signum)
        return self.process.wait(STOP_SECONDS)

    def kill9(self) -> None:
        """End the process at once, as a crash does."""
        self.stop(signal.SIGKILL)

    def restart(self) -> None:
        """Stop politely and start again on the same roots."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the process and remove its roots and its network namespace."""
        self.disconnect()
        if self.running:
            self.stop()
        self.netns.delete()
        unmount_below(self.base)
        shutil.rmtree(self.base)

    # The clients

    def docker(self, *args: str, input: str | None = None, check: bool = True, timeout: float = 60) -> Completed:
        """Run the stock command line to its end. With ``check``, an exit code other than 0 is an AssertionError."""
        return _run(["docker", *args], self.client_environment(), input, check, timeout)

    def cove(self, *args: str, input: str | None = None, check: bool = True, timeout: float = 60) -> Completed:
        """Run Cove's command line to its end, likewise."""
        return _run([str(BIN / "cove"), *args], self.client_environment(), input, check, timeout)

    def buildkit(self, *args: str, timeout: float = 60) -> Completed:
        """Build with the BuildKit that is in Docker's engine 20.10, as the command line of the same version does."""
        environment = self.client_environment() | {"DOCKER_BUILDKIT": "1"}
        return _run([DOCKER_20, "build", *args], environment, None, False, timeout)

    @contextlib.contextmanager
    def spawned(self, *argv: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """A client that is still running (``docker …`` or ``cove …``), with pipes; killed at the end."""
        program = [str(BIN / "cove")] if argv[0] == "cove" else [argv[0]]
        merged: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        }
        process = subprocess.Popen([*program, *argv[1:]], env=self.client_environment(), **merged)
        with process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def sdk(self) -> DockerClient:
        """Docker's SDK for Python, connected; kept until ``disconnect``."""
        if self._client is None:
            self._client = DockerClient(base_url=f"unix://{self.socket}", timeout=60)
        return self._client

    def disconnect(self) -> None:
        """Close the connections that the SDK keeps open."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def http(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None, timeout: float = 30
    ) -> rawhttp.Response:
        return rawhttp.request(self.socket, method, target, body, headers, timeout * SLOWNESS)

    def fetch(self, url: str, seconds: float = 10) -> str:
        """The page at ``url`` as the engine's namespace sees it, once there is one. Raises AssertionError."""
        deadline = time.monotonic() + seconds
        while True:
            done = self.netns.run([sys.executable, "-I", "-c", FETCH, url], check=False)
            if done.returncode == 0:
                return done.stdout
            assert time.monotonic() < deadline, f"{url}: {done.stderr}"
            time.sleep(POLL_SECONDS)

    def load_base_image(self) -> None:
        """Import busybox:latest, CMD ["sh"]."""
        target = "/images/create?fromSrc=-&repo=busybox&tag=latest&changes=CMD%20%5B%22sh%22%5D"
        answer = self.http("POST", target, busybox_root(), {"Content-Type": "application/x-tar"}, timeout=120)
        assert answer.status == 200, answer.body
        assert b'"error"' not in answer.body, answer.body

    def client_environment(self) -> dict[str, str]:
        """The environment in which both command lines talk to this engine."""
        return self._environment() | {
            "DOCKER_HOST": f"unix://{self.socket}",
            "COVE_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(self.base / "config"),
            "DOCKER_CLI_HINTS": "false",
            "DOCKER_BUILDKIT": "0",
        }

    def _environment(self) -> dict[str, str]:
        path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
        return {
            "PATH": path,
            "HOME": str(self.base),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "TZ": "UTC",
            **self.environment,
        }


def _run(argv: Sequence[str], environment: dict[str, str], input: str | None, check: bool, timeout: float) -> Completed:
    stdin: dict[str, Any] = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=timeout * SLOWNESS, **stdin)
    completed = Completed(done.returncode, done.stdout, done.stderr)
    assert not check or completed.code == 0, f"{' '.join(argv)}: {completed}"
    return completed


def unmount_below(directory: Path) -> None:
    """Unmount what an engine left mounted below its roots, the innermost first."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((point for point in points if point.startswith(f"{directory}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False)
