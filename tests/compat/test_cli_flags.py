"""Options of ``run`` and ``create`` that are refused by the command line, or act on the user's side."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.engine import Completed

COVE = [sys.executable, "-m", "cove.cli.main"]

NEEDY = (
    "run --cpu-count 1 busybox",
    "create --cpu-count 1 --cpu-percent 5 --io-maxbandwidth 1m --io-maxiops 4 busybox",
    "run --io-maxbandwidth x busybox",
    "run --io-maxiops -1 busybox",
    "run --annotation a=b busybox",
    "create --annotation a=b --health-start-interval 1s busybox",
    "volume prune -a -f",
    "history --platform linux/amd64 busybox",
    "save --platform linux/amd64 busybox",
    "load --platform linux/amd64 -i /dev/null",
    "image inspect --platform linux/amd64 busybox",
    "run -m -1 busybox",
    "run --shm-size -1 busybox",
    "update --memory-reservation -5 busybox",
)


def both(
    line: str, directory: Path, fake: ModuleType, version: str, configuration: str = "/nonexistent"
) -> list[Completed]:
    """What each program says to one command line, with a daemon of this version of the API."""
    found = []
    for argv in (["docker"], COVE):
        (directory / "engine.sock").unlink(missing_ok=True)
        with fake.FakeEngine(directory, version) as engine:
            done = subprocess.run(
                [*argv, "-H", engine.host, *line.split()],
                capture_output=True,
                text=True,
                timeout=30,
                env={**os.environ, "DOCKER_CONFIG": configuration, "COVE_CONFIG": configuration},
                check=False,
            )
        found.append(Completed(done.returncode, done.stdout, done.stderr))
    return found


def as_cove(text: str) -> str:
    return re.sub(r"\bdocker\b", "cove", text).replace("SRun '", "Run '")


@pytest.mark.parametrize("line", NEEDY)
def test_of_other_systems_and_newer_daemons(line: str, tmp_path: Path, fake: ModuleType, host: str) -> None:
    docker, cove = both(line, tmp_path, fake, "1.41")
    assert (cove.code, cove.out, cove.err.rstrip("\n")) == (docker.code, docker.out, as_cove(docker.err).rstrip("\n"))


def test_api_socket(tmp_path: Path, fake: ModuleType, host: str) -> None:
    """The mount is that of the socket in use; the credentials follow into the container."""
    (tmp_path / "config.json").write_text('{"auths": {"r.example": {"auth": "dTpw"}}}')
    bodies, archives = [], []
    for argv in (["docker"], COVE):
        (tmp_path / "engine.sock").unlink(missing_ok=True)
        answers = {f"PUT /containers/{fake.IDENTITY}/archive": fake.Reply()}
        with fake.FakeEngine(tmp_path, "1.50", answers) as engine:
            command = [*argv, "-H", engine.host, "create", "--use-api-socket", "busybox"]
            subprocess.run(command, check=True, timeout=30, env={**os.environ, "DOCKER_CONFIG": str(tmp_path)})
            bodies.append(json.loads(engine.sent("POST", "/containers/create").body))
            archives.append(engine.sent("PUT", f"/containers/{fake.IDENTITY}/archive"))
    assert bodies[1]["HostConfig"]["Mounts"] == bodies[0]["HostConfig"]["Mounts"]
    assert bodies[1]["Env"] == bodies[0]["Env"] == ["DOCKER_CONFIG=/run/secrets/docker"]
    for archive in archives:
        assert archive.body.lstrip(b"/").startswith(b"run/secrets/docker/config.json\0")
        assert b'"r.example"' in archive.body


HELPER = """#!/bin/sh
case $1 in
  list) echo '{"https://index.docker.io/v1/": "me", "t.example": "<token>"}' ;;
  get) read -r registry
    case $registry in
      t.example) echo '{"ServerURL": "t.example", "Username": "<token>", "Secret": "abc"}' ;;
      none.example) echo "credentials not found in native keychain"; exit 1 ;;
      *) echo "{\\"ServerURL\\": \\"$registry\\", \\"Username\\": \\"me\\", \\"Secret\\": \\"s $registry\\"}" ;;
    esac ;;
esac
"""


def test_api_socket_and_programs_that_keep_credentials(tmp_path: Path, fake: ModuleType, host: str) -> None:
    config = {"auths": {"https://index.docker.io/v1/": {}}, "credsStore": "keeper"}
    config["credHelpers"] = {"h.example": "keeper", "none.example": "keeper"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "docker-credential-keeper").write_text(HELPER)
    (tmp_path / "docker-credential-keeper").chmod(0o755)
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    contents = []
    for argv in (["docker"], COVE):
        (tmp_path / "engine.sock").unlink(missing_ok=True)
        answers = {f"PUT /containers/{fake.IDENTITY}/archive": fake.Reply()}
        with fake.FakeEngine(tmp_path, "1.50", answers) as engine:
            command = [*argv, "-H", engine.host, "create", "--use-api-socket", "busybox"]
            subprocess.run(command, check=True, timeout=30, env=environment)
            archive = engine.sent("PUT", f"/containers/{fake.IDENTITY}/archive").body
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            (member,) = [each for each in tar if each.name.endswith("config.json")]
            file = tar.extractfile(member)
            assert file is not None
            contents.append(json.loads(file.read()))
    assert contents[1]["auths"] == contents[0]["auths"]
    assert set(contents[1]["auths"]) >= {"https://index.docker.io/v1/", "t.example", "h.example"}


def test_api_socket_of_a_daemon_elsewhere(runner: Any) -> None:
    for words in (("create",), ("create", "--name", "x")):
        docker, cove = (
            run("-H", "tcp://127.0.0.1:1", *words, "--use-api-socket", "busybox")
            for run in (runner.docker, runner.cove)
        )
        assert (cove.code, cove.err) == (docker.code, docker.err)


@pytest.mark.parametrize("command", ["run", "create"])
def test_id_file(command: str, runner: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / "id"
    for program in ("docker", "cove"):
        words = (command, "--rm", "--name", name, "--cidfile", str(path), "busybox", "true")
        first = runner.run(program, *words)
        assert first.code == 0, first.err
        assert re.fullmatch("[0-9a-f]{64}", path.read_text())
        runner.docker("rm", "-f", name)
        again = runner.run(program, *words)
        assert again.code == (125 if command == "run" else 1)
        path.unlink()
    docker, cove = runner.both(command, "--cidfile", "/nonexistent/id", "busybox", "true")
    assert (cove.code, cove.err) == (docker.code, as_cove(docker.err))
    docker, cove = runner.both(command, "--cidfile", str(path), "--pull", "never", "nothing:here", "true")
    assert (cove.code, cove.err) == (docker.code, as_cove(docker.err))
    assert not path.exists()
