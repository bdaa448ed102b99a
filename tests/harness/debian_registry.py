"""Debian's ``docker-registry`` (the distribution project's own server) on a loopback: an engine's, or the machine's."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.engine import POLL_SECONDS, READY_SECONDS, Engine
from harness.netns import NetworkNamespace

PORT = 5000


class DebianRegistry:
    """A registry at ``host``, which is ``localhost:PORT`` in the namespace, None for the machine's own.

    ``root``: its directory. ``more``: sections of its configuration.
    """

    def __init__(self, netns: NetworkNamespace | None, root: Path, port: int = PORT, **more: Any) -> None:
        self.host = f"localhost:{port}"
        self.root = root
        self._netns = netns
        self._config = _configuration(root, port, more)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / "config.yml"
        path.write_bytes(msgspec.json.encode(self._config))
        with (self.root / "log").open("wb") as log:
            command = ["docker-registry", "serve", str(path)]
            inside = self._netns.command(command) if self._netns else command
            self._process = subprocess.Popen(inside, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while "listening on" not in self.log:
            assert self._process.poll() is None and time.monotonic() < deadline, self.log
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> "DebianRegistry":
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        return (self.root / "log").read_text()


@contextlib.contextmanager
def debian_registry(engine: Engine, port: int = PORT, **more: Any) -> Iterator[DebianRegistry]:
    """One that runs beside an engine. ``more``: sections of its configuration."""
    with DebianRegistry(engine.netns, engine.base / f"registry-{port}", port, **more) as registry:
        yield registry


def _configuration(root: Path, port: int, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
        **more,
    }
