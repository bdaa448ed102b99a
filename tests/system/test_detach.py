"""Detach keys, typed at a terminal: the client goes, the program stays."""

import json

import pytest

from harness.engine import BIN, Engine
from harness.terminal import on_terminal

CLIENTS = {"docker": "docker", "cove": str(BIN / "cove")}
DEFAULT = "\x10\x11"
OWN = "\x18x"

clients = pytest.mark.parametrize("client", CLIENTS)
keys = pytest.mark.parametrize(("flags", "typed"), [((), DEFAULT), (("--detach-keys", "ctrl-x,x"), OWN)])


def running(engine: Engine, name: str = "box") -> str:
    return engine.docker("inspect", "-f", "{{.State.Running}}", name).out.strip()


@clients
@keys
def test_run(daemon: Engine, client: str, flags: tuple[str, ...], typed: str) -> None:
    argv = [CLIENTS[client], "run", "-it", "--name", "box", *flags, "busybox", "sh"]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("# ")
        terminal.send(typed)
        assert terminal.wait() == 0
    assert running(daemon) == "true"


@clients
@keys
def test_attach(daemon: Engine, client: str, flags: tuple[str, ...], typed: str) -> None:
    daemon.docker("run", "-dit", "--name", "box", "busybox", "sh")
    argv = [CLIENTS[client], "attach", *flags, "box"]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.send("echo $((6*7))\r")
        terminal.expect("42")
        terminal.send(typed)
        terminal.expect("read escape sequence")
        assert terminal.wait() == 1
    assert running(daemon) == "true"


@clients
@keys
def test_exec(daemon: Engine, client: str, flags: tuple[str, ...], typed: str) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    argv = [CLIENTS[client], "exec", "-it", *flags, "box", "sh"]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("# ")
        terminal.send(typed)
        terminal.expect("read escape sequence")
        assert terminal.wait() == 1
    (left,) = json.loads(daemon.docker("inspect", "-f", "{{json .ExecIDs}}", "box").out)
    assert daemon.http("GET", f"/exec/{left}/json").json()["Running"] is True


@clients
def test_start(daemon: Engine, client: str) -> None:
    daemon.docker("create", "-it", "--name", "box", "busybox", "sh")
    argv = [CLIENTS[client], "start", "-ai", "--detach-keys", "ctrl-x,x", "box"]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("# ")
        terminal.send(OWN)
        assert terminal.wait() == 0
    assert running(daemon) == "true"


@clients
def test_part_of_them_goes_to_the_program(daemon: Engine, client: str) -> None:
    script = "stty raw -echo; echo ready; exec head -c 3 | od -An -tx1"
    argv = [CLIENTS[client], "run", "--rm", "-it", "--detach-keys", "ctrl-x,x", "busybox", "sh", "-c", script]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("ready")
        terminal.send("\x18ab")
        terminal.expect("18 61 62")
        assert terminal.wait() == 0


@clients
def test_of_the_user_s_configuration(daemon: Engine, client: str) -> None:
    file = daemon.base / "config" / "config.json"
    file.write_text(json.dumps({"detachKeys": "ctrl-x,x"}))
    try:
        argv = [CLIENTS[client], "run", "-it", "--name", "box", "busybox", "sh"]
        with on_terminal(argv, daemon.client_environment()) as terminal:
            terminal.expect("# ")
            terminal.send(OWN)
            assert terminal.wait() == 0
    finally:
        file.unlink()
    assert running(daemon) == "true"


def test_that_are_none(daemon: Engine) -> None:
    daemon.docker("run", "-dit", "--name", "box", "busybox", "sh")
    exec_body = {"Cmd": ["true"], "DetachKeys": "ctrl-nonesuch"}
    made = daemon.http("POST", "/containers/box/exec", exec_body)
    assert made.json() == {"message": "Invalid escape keys (ctrl-nonesuch) provided"}
    attached = daemon.http("POST", "/containers/box/attach?stream=1&stdin=1&detachKeys=ctrl-nonesuch")
    assert attached.status == 400
    assert attached.json() == {"message": "Invalid detach keys (ctrl-nonesuch) provided"}
