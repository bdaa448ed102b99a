"""Authorization plug-ins: real ones, over a unix socket, which the daemon asks about each request."""

import base64
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.json_plugin import JsonPlugin
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static")


class Warden(JsonPlugin):
    """Allows everything but what ``refuses`` says. ``calls``: what was asked, in order."""

    def __init__(self, socket: Path) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.socket = socket
        super().__init__(socket, self._answer)

    def refuses(self, method: str, body: dict[str, Any]) -> str:
        """Why; "" for what may be."""
        if method == "AuthZPlugin.AuthZReq" and b'"Privileged":true' in shown(body):
            return "nobody is privileged"
        if method == "AuthZPlugin.AuthZRes" and body["RequestURI"].endswith("/containers/secret/json"):
            return "that is secret"
        return "networks stay" if body["RequestMethod"] == "DELETE" and "/networks/" in body["RequestURI"] else ""

    def _answer(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((method, body))
        if body["RequestURI"].endswith("/info"):
            return {"Err": "out of order"}
        why = self.refuses(method, body)
        return {"Allow": not why, "Msg": why}

    def of(self, part: str) -> list[tuple[str, dict[str, Any]]]:
        return [(method, body) for method, body in self.calls if part in body["RequestURI"]]


def shown(body: dict[str, Any], field: str = "RequestBody") -> bytes:
    return base64.b64decode(body.get(field, ""))


@pytest.fixture
def name() -> str:
    return f"cove-test-{os.getpid()}"


@pytest.fixture
def warden(fresh_daemon: Daemon, name: str) -> Iterator[Warden]:
    made = Warden(fresh_daemon.exec_root / "plugins" / f"{name}.sock")
    fresh_daemon.restart_with(f"--authorization-plugin={name}")
    yield made
    fresh_daemon.stop()
    fresh_daemon.flags = fresh_daemon.flags[:-1]
    fresh_daemon.start()
    made.close()


def test_what_a_plugin_allows_and_refuses(fresh_daemon: Daemon, warden: Warden, name: str) -> None:
    daemon = fresh_daemon
    assert daemon.docker("run", "--rm", "busybox", "echo", "allowed").out == "allowed\n"
    [(first, asked), (second, answered)] = warden.of("/containers/create")
    assert (first, second) == ("AuthZPlugin.AuthZReq", "AuthZPlugin.AuthZRes")
    assert asked["RequestMethod"] == "POST" and asked["RequestURI"].startswith("/v1.")
    assert asked["RequestHeaders"]["Content-Type"] == "application/json" and "User" not in asked
    assert json.loads(shown(asked))["Cmd"] == ["echo", "allowed"]
    assert answered["ResponseStatusCode"] == 201 and "Id" in json.loads(shown(answered, "ResponseBody"))

    refused = daemon.docker("run", "--privileged", "--name", "big", "busybox", "true", check=False)
    assert refused.code == 125
    assert f"authorization denied by plugin {name}: nobody is privileged" in refused.err
    assert daemon.docker("ps", "-aq").out == ""
    daemon.docker("network", "create", "kept")
    assert "networks stay" in daemon.docker("network", "rm", "kept", check=False).err
    assert "kept" in daemon.docker("network", "ls").out

    daemon.docker("create", "--name", "secret", "-e", "KEY=hidden", "busybox")
    reply = daemon.http("GET", "/containers/secret/json")
    assert reply.status == 403 and b"hidden" not in reply.body
    assert reply.json() == {"message": f"authorization denied by plugin {name}: that is secret"}
    reply = daemon.http("GET", "/info")
    assert reply.status == 500
    assert reply.json() == {"message": f"plugin {name} failed with error: out of order"}
    last = (daemon.data_root / "audit.log").read_text().splitlines()
    assert any("nobody is privileged" in line for line in last)


def test_no_body_is_taken_that_was_not_shown(fresh_daemon: Daemon, warden: Warden, name: str) -> None:
    """Without a type it would be JSON to us, and a stream to who asks plug-ins."""
    body = {"Image": "busybox", "HostConfig": {"Privileged": True}}
    text = json.dumps(body, separators=(",", ":")).encode()
    for kind in ({}, {"Content-Type": "text/plain"}, {"Content-Type": ""}):
        reply = fresh_daemon.http("POST", "/containers/create", text, kind)
        assert reply.status == 400, kind
        assert "unsupported Content-Type header" in reply.json()["message"]
    for kind in ("application/json", "APPLICATION/JSON; charset=utf-8"):
        reply = fresh_daemon.http("POST", "/containers/create", text, {"Content-Type": kind})
        assert reply.status == 403, kind
    large = b" " * (4 << 20) + text
    assert fresh_daemon.http("POST", "/containers/create", large, {"Content-Type": "application/json"}).status == 400
    assert fresh_daemon.docker("ps", "-aq").out == ""
    fresh_daemon.http("POST", "/auth", {"username": "me", "password": "word"})
    assert warden.of("/auth")
    assert not any(shown(asked) or shown(asked, "ResponseBody") for _, asked in warden.of("/auth"))
    fresh_daemon.http("GET", "/distribution/nowhere.test/x/json", headers={"X-Registry-Auth": "c2VjcmV0"})
    assert not any("x-registry-auth" in map(str.lower, asked["RequestHeaders"]) for _, asked in warden.calls)


def test_the_path_that_is_shown_is_the_one_that_is_taken(fresh_daemon: Daemon, warden: Warden) -> None:
    path = "/v1.41/version"
    for target, status in ((f"http://h{path}", 200), (f"http://h?u={path}", 404)):
        assert fresh_daemon.http("GET", target).status == status, target
        assert (warden.calls[-1][1]["RequestURI"] == path) == (status == 200)


def test_streams_go_on_as_they_do(fresh_daemon: Daemon, warden: Warden, tmp_path: Path) -> None:
    daemon = fresh_daemon
    daemon.docker("run", "-d", "--name", "it", "busybox", "sleep", "600")
    assert daemon.docker("exec", "-i", "it", "cat", input="through\n").out == "through\n"
    (tmp_path / "file").write_text("copied\n")
    daemon.docker("cp", str(tmp_path / "file"), "it:/file")
    assert daemon.docker("exec", "it", "cat", "/file").out == "copied\n"
    saved = tmp_path / "saved.tar"
    daemon.docker("save", "-o", str(saved), "busybox")
    assert "Loaded image" in daemon.docker("load", "-i", str(saved)).out
    daemon.docker("rm", "-f", "it")


def test_a_plugin_that_is_gone_allows_nothing(fresh_daemon: Daemon, warden: Warden, name: str) -> None:
    daemon = fresh_daemon
    warden.close()
    reply = daemon.http("GET", "/_ping")
    assert reply.status == 500
    assert f'plugin "{name}" not found' in reply.json()["message"]
    again = Warden(warden.socket)
    assert daemon.http("GET", "/_ping").status == 200
    again.close()


def test_a_plugin_that_is_not_there_stops_the_start(fresh_daemon: Daemon) -> None:
    fresh_daemon.stop()
    argv = [*fresh_daemon.argv(), "--authorization-plugin=nonesuch"]
    done = fresh_daemon.netns.run(argv, check=False)
    assert done.returncode == 1
    assert 'error validating authorization plugin: plugin "nonesuch" not found' in done.stderr
    fresh_daemon.start()


def test_plugins_change_with_a_reload(fresh_daemon: Daemon, name: str) -> None:
    daemon = fresh_daemon
    file = daemon.base / "daemon.json"
    file.write_text("{}")
    daemon.restart_with(f"--config-file={file}")

    def asked_now(names: list[str]) -> None:
        file.write_text(json.dumps({"authorization-plugins": names}))
        os.kill(daemon.pid, signal.SIGHUP)

    made = Warden(daemon.exec_root / "plugins" / f"{name}.sock")
    try:
        asked_now([name])
        eventually(lambda: daemon.http("GET", "/info").status == 500)
        asked_now(["nonesuch"])
        eventually(lambda: "not reloaded: error validating authorization plugin" in daemon.log.read_text())
        assert daemon.http("GET", "/info").status == 500
        asked_now([])
        eventually(lambda: daemon.http("GET", "/info").status == 200)
    finally:
        made.close()
