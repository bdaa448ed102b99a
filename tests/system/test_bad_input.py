"""Requests that cannot be meant: refused with the field's name, and nothing is left of them."""

from typing import Any

import pytest

from harness.engine import Engine

pytestmark = [pytest.mark.needs("cove")]


def create(engine: Engine, **host: Any) -> tuple[int, str]:
    body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": host}
    answer = engine.http("POST", "/containers/create?name=odd", body)
    return answer.status, answer.body.decode()


@pytest.mark.parametrize("parent", ["../../x", "a/./b", "a\0"])
def test_cgroup_parent_that_is_no_path(daemon: Engine, parent: str) -> None:
    status, message = create(daemon, CgroupParent=parent)
    assert status == 400
    assert "CgroupParent" in message


def test_cgroup_parent_at_the_root(daemon: Engine) -> None:
    assert create(daemon, CgroupParent="/")[0] == 201
    assert daemon.docker("start", "-a", "odd").code == 0


@pytest.mark.parametrize(
    ("option", "words"),
    [({"max-file": "x"}, "x"), ({"max-file": "0"}, "max-file cannot be less than 1"), ({"max-size": "-5"}, "-5")],
)
def test_log_options_that_are_no_numbers(daemon: Engine, option: dict[str, str], words: str) -> None:
    status, message = create(daemon, LogConfig={"Type": "json-file", "Config": option})
    assert status == 400
    assert words in message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"Cmd": ["true", "a\0b"]}, "Cmd[1]"),
        ({"Entrypoint": ["a\0"]}, "Entrypoint[0]"),
        ({"Hostname": "a\0b"}, "Hostname"),
        ({"Domainname": "a\0b"}, "Domainname"),
        ({"WorkingDir": "/a\0b"}, "WorkingDir"),
        ({"User": "ro\0ot"}, "User"),
        ({"Env": ["A=b", "C=\0"]}, "Env[1]"),
        ({"Volumes": {"/a\0": {}}}, "Volumes"),
        ({"Healthcheck": {"Test": ["CMD", "a\0"]}}, "Healthcheck.Test[1]"),
        ({"HostConfig": {"Binds": ["/tmp\0:/x"]}}, "HostConfig.Binds[0]"),
        ({"HostConfig": {"Sysctls": {"a\0": "1"}}}, "HostConfig.Sysctls"),
        ({"HostConfig": {"Tmpfs": {"/x": "size=1\0"}}}, "HostConfig.Tmpfs./x"),
        ({"HostConfig": {"Ulimits": [{"Name": "core\0"}]}}, "HostConfig.Ulimits[0].Name"),
    ],
)
def test_no_zero_byte_reaches_the_kernel(daemon: Engine, body: dict[str, Any], field: str) -> None:
    answer = daemon.http("POST", "/containers/create", {"Image": "busybox", **body})
    assert (answer.status, answer.json()["message"]) == (400, f"invalid value for {field}: it has a NUL character")


def test_no_zero_byte_in_an_exec(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "runs", "busybox", "sleep", "60")
    for body, field in (({"Cmd": ["a\0"]}, "Cmd[0]"), ({"Cmd": ["a"], "WorkingDir": "/\0"}, "WorkingDir")):
        answer = daemon.http("POST", "/containers/runs/exec", body)
        assert (answer.status, answer.json()["message"]) == (400, f"invalid value for {field}: it has a NUL character")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"Image":' + b"[" * 100_000, 400, "invalid JSON"),
        (b'{"Labels":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}", 400, "nested too deeply"),
        (b'{"Cmd":["' + b"a" * (5 << 20) + b'"]}', 400, "larger than"),
        (b'{"Image":"busybox","Nonsense":{"a":[1]}}', 201, ""),
        (b'{"Image":"nothing","Image":"busybox"}', 201, ""),
        (b'{"Image":"busybox","HostConfig":{"Memory":"5"}}', 400, "HostConfig.Memory: expected int, got str"),
        (b'{"Image":"busybox","HostConfig":{"PortBindings":{"80/tcp":{}}}}', 400, "HostConfig.PortBindings"),
        (b'{"Image":"busybox","StopTimeout":1.5}', 400, "StopTimeout: expected int"),
        (b'{"Image":"busybox"} {}', 400, "invalid JSON"),
    ],
)
def test_bodies(daemon: Engine, body: bytes, status: int, words: str) -> None:
    answer = daemon.http("POST", "/containers/create", body, {"Content-Type": "application/json"})
    assert answer.status == status, answer.body
    assert words in answer.body.decode()


@pytest.mark.parametrize("size", [[-1, 5], [5, 70000]])
def test_terminals_that_cannot_be(daemon: Engine, size: list[int]) -> None:
    assert create(daemon, ConsoleSize=size) == (
        400,
        f'{{"message":"invalid value for HostConfig.ConsoleSize: {size} is no number of rows and of columns"}}\n',
    )
    daemon.docker("run", "-d", "--name", "runs", "busybox", "sleep", "60")
    answer = daemon.http("POST", "/containers/runs/exec", {"Cmd": ["true"], "Tty": True, "ConsoleSize": size})
    assert answer.status == 400 and "ConsoleSize" in answer.json()["message"]


def test_a_terminal_with_rows_alone_has_no_size(daemon: Engine) -> None:
    assert create(daemon, ConsoleSize=[5])[0] == 201
    assert daemon.http("POST", "/containers/odd/start").status == 204
