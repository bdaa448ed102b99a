"""containerd of the distribution, with roots of its own, and its command line ``ctr``."""

import os
import subprocess
from pathlib import Path

from harness.oci import PROGRAM, Done
from harness.waiting import eventually

NO_PLUGINS = """version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[plugins."io.containerd.internal.v1.restart"]
interval = "1h"
"""
_SECONDS = 60


class Containerd:
    """``group``: the control group that containers are below. Our runtime is the one that is called."""

    def __init__(self, directory: Path, group: str) -> None:
        self._directory = directory
        self._group = group
        self._socket = directory / "containerd.sock"
        self._environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        (directory / "config.toml").write_text(NO_PLUGINS)
        self._log = (directory / "log").open("wb")
        roots = ("--root", directory / "root", "--state", directory / "state", "--address", self._socket)
        self._process = subprocess.Popen(
            ["containerd", "--config", directory / "config.toml", *roots],
            stdout=self._log,
            stderr=self._log,
            env=self._environment,
        )
        eventually(lambda: self._socket.exists() and self("version", check=False).code == 0)

    def __call__(self, *words: object, check: bool = True, timeout: float = _SECONDS) -> Done:
        """One call of ctr."""
        argv = ["ctr", "--address", str(self._socket), *map(str, words)]
        done = subprocess.run(argv, capture_output=True, timeout=timeout, env=self._environment)
        if check and done.returncode:
            raise AssertionError(f"{words}: {done}\n{(self._directory / 'log').read_text()[-2000:]}")
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def run(self, root: Path, name: str, *command: str, flags: tuple[str, ...] = (), check: bool = True) -> Done:
        """``ctr run`` of a directory as root. With ``-d`` in ``flags`` its output goes nowhere."""
        ours = ("--runc-binary", PROGRAM, "--runc-root", self._directory / "runtime")
        where = ("--cgroup", f"/{self._group}/{name}", "--env", "PATH=/bin", "--rootfs")
        return self("run", *ours, *where, *flags, root, name, *command, check=check)

    def task(self, *words: str, check: bool = True) -> Done:
        return self("task", *words, check=check)

    def status(self, name: str) -> str:
        """As ``ctr task ls`` has it, "" for none."""
        rows = [line.split() for line in self.task("ls").out.splitlines()[1:]]
        return next((row[2] for row in rows if row[0] == name), "")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=_SECONDS)
        self._log.close()
