"""Our own registry as a process, for tests of it and of its clients; and Debian's, as a peer."""

import contextlib
import http.client
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from harness.engine import BIN, Engine


class Answer(NamedTuple):
    """``headers`` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes


class Registry:
    """``cove registry serve`` with this root. ``start`` it, ``close`` it at the end.

    ``engine``: it listens on the loopback of this engine's network namespace, not of the machine.
    """

    def __init__(self, root: Path, *flags: str, engine: Engine | None = None, address: str = "127.0.0.1:0") -> None:
        self.root = root
        self.flags = flags
        self._engine = engine
        self._address = address
        self.process: subprocess.Popen[str] | None = None
        self.log = root.parent / f"{root.name}.log"
        self.host = ""

    def argv(self) -> list[str]:
        return [str(BIN / "cove"), "registry", "serve", "--root", str(self.root), "--addr", self._address, *self.flags]

    def start(self) -> "Registry":
        """Start it, at the same port as before, and wait until it serves."""
        command = self._engine.netns.command(self.argv()) if self._engine else self.argv()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("Serving "), self.log.read_text()[-4000:]
        self.host = line.rsplit("://", 1)[1].strip()
        self._address = self.host
        return self

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Send the signal and wait; the exit code."""
        assert self.process is not None
        self.process.send_signal(signum)
        code = self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)

    def __enter__(self) -> "Registry":
        return self.start()

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def http(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own; only where it listens on the machine's loopback."""
        with contextlib.closing(http.client.HTTPConnection(self.host, timeout=20)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())

    def files(self) -> set[str]:
        """Names of blobs and uploads that are on the disk."""
        return {str(path.relative_to(self.root)) for path in self.root.glob("*/**/*") if path.is_file()}


def free_port() -> int:
    """A port of the loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def skopeo(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run skopeo to its end. Raises CalledProcessError unless ``check`` is False."""
    merged: dict[str, Any] = {"check": True, "capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run(["skopeo", *arguments], **merged)
