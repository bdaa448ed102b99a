"""``docker login``: whether a registry takes a user's credentials."""

import json

import pytest

from harness.engine import BIN, Engine
from harness.login_server import login_server
from harness.terminal import on_terminal


@pytest.mark.parametrize("kind", ["basic", "bearer", "open"])
def test_credentials_that_are_good(daemon: Engine, kind: str) -> None:
    with login_server(daemon, kind) as host:
        done = daemon.docker("login", "-u", "u", "--password-stdin", host, input="p")
        assert "Login Succeeded" in done.out
        daemon.docker("logout", host)


@pytest.mark.parametrize("command", ["docker", "cove"])
def test_a_person_types_name_and_password(daemon: Engine, command: str) -> None:
    program = "docker" if command == "docker" else str(BIN / "cove")
    with login_server(daemon, "basic") as host:
        for password, outcome, code in (("wrong", "401 Unauthorized", 1), ("p", "Login Succeeded", 0)):
            with on_terminal([program, "login", host], daemon.client_environment()) as terminal:
                terminal.expect("Username: ")
                terminal.send("u\r")
                terminal.expect("Password: ")
                terminal.send(f"{password}\r")
                terminal.expect(outcome)
                assert terminal.wait() == code
                assert password == "p" or password not in terminal.seen, "what is typed is not shown"
        getattr(daemon, command)("logout", host)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("basic", "login attempt to http://{}/v2/ failed with status: 401 Unauthorized"),
        ("bearer", 'Get "http://{}/v2/": unauthorized: wrong user or password'),
        ("broken", "login attempt to http://{}/v2/ failed with status: 500 Internal Server Error"),
    ],
)
def test_credentials_that_are_refused(daemon: Engine, kind: str, message: str) -> None:
    with login_server(daemon, kind) as host:
        answer = daemon.http("POST", "/auth", {"username": "u", "password": "bad", "serveraddress": host})
        assert answer.status >= 400
        assert answer.json()["message"] == message.format(host)


def test_a_registry_that_is_not_there(daemon: Engine) -> None:
    answer = daemon.http("POST", "/auth", {"username": "u", "password": "p", "serveraddress": "127.0.0.1:1"})
    assert answer.status >= 500
    assert answer.json()["message"].startswith('Get "http://127.0.0.1:1/v2/": ')


@pytest.mark.needs("cove")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"serveraddress": "x y", "username": "u"}, "invalid registry address"),
        ({"serveraddress": "localhost:1"}, "username"),
    ],
)
def test_what_cannot_be_asked(daemon: Engine, body: dict[str, str], field: str) -> None:
    answer = daemon.http("POST", "/auth", body)
    assert answer.status == 400 and field in json.dumps(answer.json())
