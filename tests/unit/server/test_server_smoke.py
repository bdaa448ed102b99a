"""The stock clients: the Docker SDK for Python and the docker command line."""

import os
import shutil
import subprocess
from typing import Any

import docker
import pytest


@pytest.fixture
def cli(api: Any, tmp_path: Any) -> Any:
    if shutil.which("docker") is None:
        pytest.skip("needs docker: the stock command line is not installed")

    def run(*arguments: str, input: str = "") -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path / "config")}
        environment.pop("DOCKER_HOST", None)
        return subprocess.run(
            ["docker", "-H", api.url, *arguments],
            input=input,
            text=True,
            capture_output=True,
            timeout=20,
            env=environment,
        )

    return run


def test_run_attaches_waits_and_removes(cli: Any) -> None:
    done = cli("run", "--rm", "a", "echo", "hello")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")
    assert cli("ps", "-aq").stdout == ""


def test_run_gives_the_exit_code(cli: Any) -> None:
    assert cli("run", "a", "exit", "42").returncode == 42


def test_run_feeds_input_to_its_end(cli: Any) -> None:
    done = cli("run", "-i", "--rm", "a", "cat", input="one\ntwo\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\ntwo\n", "end of input\n")


def test_large_input_and_output(cli: Any) -> None:
    text = "0123456789abcdef" * (1 << 16)
    assert cli("run", "-i", "--rm", "a", "cat", input=text).stdout == text


def test_exec_attaches_and_gives_the_exit_code(cli: Any) -> None:
    cli("run", "-d", "--name", "x", "a", "sleep", "1")
    done = cli("exec", "-i", "x", "cat", input="hi\n")
    assert (done.returncode, done.stdout) == (0, "hi\n")
    assert cli("exec", "x", "exit", "3").returncode == 3


def test_exec_of_what_is_missing_says_so(cli: Any) -> None:
    cli("run", "-d", "--name", "x", "a", "sleep", "1")
    done = cli("exec", "x", "missing")
    assert done.returncode == 127
    assert "executable file not found in $PATH" in done.stdout


def test_logs_follow_to_the_end(cli: Any) -> None:
    cli("run", "-d", "--name", "x", "a", "echo", "line")
    done = cli("logs", "-f", "-t", "x")
    assert (done.stdout, done.stderr) == ("2026-01-02T03:04:05.123456789Z line\n", "")


@pytest.mark.parametrize(
    "command",
    ["ps", "images", "info", "version", "network ls", "volume ls", "system df", "container prune -f", "inspect x"],
)
def test_commands_are_content(cli: Any, command: str) -> None:
    cli("run", "-d", "--name", "x", "a", "sleep", "1")
    done = cli(*command.split())
    assert done.returncode == 0, done.stderr


def test_save_load_import(cli: Any) -> None:
    assert cli("save", "a/b:1").stdout == "tar"
    assert "Loaded image: a/b:1" in cli("load", input="archive").stdout
    assert "sha256:2" in cli("import", "-", "x:1", input="tar").stdout


def test_sdk(api: Any) -> None:
    client = docker.DockerClient(base_url=api.url)
    try:
        assert client.ping()
        assert client.version()["ApiVersion"] == "1.56"
        container = client.containers.run("a", ["echo", "hello"], detach=True, ports={"80/tcp": None}, name="n")
        assert container.wait()["StatusCode"] == 0
        assert container.logs() == b"hello\n"
        container.reload()
        assert container.status == "exited"
        assert client.containers.list(all=True)[0].name == "n"
        sleeper = client.containers.run("a", ["sleep"], detach=True)
        _, taken = sleeper.exec_run(["cat"], stdin=True, socket=True)
        connection = taken._sock
        connection.sendall(b"x")
        assert taken.read(9) == b"\x01\0\0\0\0\0\0\x01x"
        taken.close()
        connection.close()
        container.remove()
        with pytest.raises(docker.errors.NotFound, match="No such container"):
            client.containers.get("n")
    finally:
        client.close()


def test_sdk_attach_socket_half_closes(api: Any) -> None:
    client = docker.APIClient(base_url=api.url)
    try:
        made = client.create_container("a", ["cat"], stdin_open=True)
        taken = client.attach_socket(made, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        client.start(made)
        connection = taken._sock
        connection.sendall(b"abc")
        connection.shutdown(1)
        data = b""
        while piece := taken.read(4096):
            data += piece
        assert b"abc" in data
        assert data.endswith(b"end of input\n")
        taken.close()
        connection.close()
    finally:
        client.close()
