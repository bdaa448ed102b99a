"""The size of a terminal before anybody has resized it: the program's first look already finds it."""

import pytest

from harness.engine import BIN, Engine
from harness.terminal import on_terminal

CLIENTS = {"docker": "docker", "cove": str(BIN / "cove")}
SIZE = {"Tty": True, "Cmd": ["stty", "size"]}


def test_of_a_container(daemon: Engine) -> None:
    body = {**SIZE, "Image": "busybox", "HostConfig": {"ConsoleSize": [31, 91]}}
    daemon.http("POST", "/containers/create?name=box", body)
    daemon.http("POST", "/containers/box/start")
    daemon.docker("wait", "box")
    assert daemon.docker("logs", "box").out == "31 91\n"
    assert daemon.http("GET", "/containers/box/json").json()["HostConfig"]["ConsoleSize"] == [31, 91]


@pytest.mark.needs("cove")  # of API 1.42
@pytest.mark.parametrize("given", ["creation", "start"])
def test_of_an_exec(daemon: Engine, given: str) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    size = {"ConsoleSize": [33, 77]}
    body = {**SIZE, "AttachStdout": True, **(size if given == "creation" else {})}
    made = daemon.http("POST", "/containers/box/exec", body).json()["Id"]
    start = {"Tty": True, **(size if given == "start" else {})}
    assert daemon.http("POST", f"/exec/{made}/start", start).body == b"33 77\r\n"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("command", ["run", "exec"])
def test_of_the_client_s_terminal(daemon: Engine, client: str, command: str) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    where = ("run", "--rm", "-t", "busybox") if command == "run" else ("exec", "-t", "box")
    with on_terminal(
        [CLIENTS[client], *where, "stty", "size"], daemon.client_environment(), rows=35, columns=101
    ) as terminal:
        terminal.expect("35 101")
        assert terminal.wait() == 0


def test_is_that_of_the_terminal_of_the_next_start_too(daemon: Engine) -> None:
    """A resize lasts for one run."""
    body = {"Tty": True, "Image": "busybox", "Cmd": ["sh", "-c", "stty size; exec sleep 600"]}
    daemon.http("POST", "/containers/create?name=box", {**body, "HostConfig": {"ConsoleSize": [31, 91]}})
    daemon.docker("start", "box")
    assert daemon.http("POST", "/containers/box/resize?h=40&w=50").status == 200
    daemon.docker("restart", "-t", "0", "box")
    daemon.docker("kill", "box")
    assert daemon.docker("logs", "box").out == "31 91\n31 91\n"
