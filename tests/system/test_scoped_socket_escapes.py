"""Ways out of a scoped socket, each tried: objects of others, privileges in other words, paths in other spellings."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from harness import rawhttp
from harness.daemon import Daemon
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")


class Team:
    """A socket for what has the label team=a, and one container of another team's beside it."""

    def __init__(self, daemon: Daemon, *flags: str) -> None:
        self.daemon = daemon
        self.path = Path(daemon.cove("socket", "create", *flags, "team").out.strip().removeprefix("unix://"))

    def call(self, method: str, target: str, body: Any = None) -> rawhttp.Response:
        return rawhttp.request(self.path, method, target, body)

    def raw(self, *parts: bytes, pause: float = 0) -> bytes:
        """The answer to what is sent in these parts, with so many seconds between them."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(self.path))
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))

    def create(self, host: dict[str, Any] | None = None, name: str = "", **config: Any) -> rawhttp.Response:
        wish = {"Image": "busybox", "Cmd": ["sleep", "600"], "HostConfig": host or {}, **config}
        return self.call("POST", f"/containers/create?name={name}" if name else "/containers/create", wish)


@pytest.fixture
def team(daemon: Daemon) -> Iterator[Team]:
    daemon.docker("run", "-d", "--net", "none", "--name", "theirs", "--label", "team=b", "busybox", "sleep", "600")
    yield Team(daemon, "--label", "team=a", "--deny", "exec,privileged,bind,host")
    daemon.cove("socket", "rm", "team")


@pytest.fixture
def denied(daemon: Daemon) -> Iterator[Team]:
    """Of any team, without privileges."""
    yield Team(daemon, "--deny", "exec,privileged,bind,host")
    daemon.cove("socket", "rm", "team")


SPELLINGS = (
    "/containers/theirs/json",
    "/v1.41/containers/theirs/json",
    "/containers//theirs/json",
    "//containers/theirs/json",
    "/containers/%74heirs/json",
    "/containers/%2Ftheirs/json",
    "/containers/own%2F..%2Ftheirs/json",
    "/containers/own/../theirs/json",
    "/v1.41/v1.41/containers/theirs/json",
    "/v1.41//containers/theirs/json",
    "/%63ontainers/theirs/json",
    "/containers/theirs/json?id=own",
    "/containers/theirs/json?x=/containers/own/json",
    "/containers/theirs/json#/containers/own/json",
    "http://x/containers/theirs/json",
    "/containers/theirs%00own/json",
)


def test_no_spelling_of_a_path_shows_what_is_others(team: Team) -> None:
    identifier = team.daemon.docker("inspect", "-f", "{{.Id}}", "theirs").out.strip()
    assert team.create(name="own").status == 201
    for spelling in (*SPELLINGS, f"/containers/{identifier}/json", f"/containers/{identifier[:12]}/json"):
        answer = team.raw(f"GET {spelling} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert b" 200 " not in answer.split(b"\r\n")[0], spelling
        assert identifier.encode() not in answer, spelling


@pytest.mark.parametrize("headers", [b"X-HTTP-Method-Override: GET", b"X-Original-URL: /containers/own/json"])
def test_no_header_is_believed(team: Team, headers: bytes) -> None:
    name, value = headers.decode().split(": ")
    answer = rawhttp.request(team.path, "GET", "/containers/theirs/json", headers={name: value})
    assert answer.status == 404


def test_a_second_request_in_a_body_is_none(team: Team) -> None:
    hidden = b"DELETE /containers/theirs?force=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    for head in (
        b"POST /containers/prune HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden),
        b"POST /containers/own/attach?stream=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    ):
        team.raw(head + hidden)
    assert team.daemon.docker("inspect", "-f", "{{.State.Running}}", "theirs").out == "true\n"


@pytest.mark.parametrize(
    ("target", "content"),
    [
        ("/containers/{}/update", {"Memory": 32 << 20, "MemorySwap": 32 << 20}),
        ("/commit?container={}&repo=stolen", {}),
    ],
)
def test_a_name_that_changes_hands_while_a_request_comes_in(team: Team, target: str, content: dict[str, Any]) -> None:
    """One's own container has as name what another's id begins with, until the request has been let in."""
    team.daemon.docker("exec", "theirs", "sh", "-c", "echo secret >/secret")
    identifier = team.daemon.docker("inspect", "-f", "{{.Id}}", "theirs").out.strip()
    name = identifier[:16]
    assert team.create(name=name).status == 201
    body = json.dumps(content).encode()
    head = f"POST {target.format(name)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(team.path))
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n")
        time.sleep(0.5)  # so that it has been let in
        assert team.call("POST", f"/containers/{name}/rename?name=other").status == 204
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    assert answer
    assert team.daemon.docker("inspect", "-f", "{{.HostConfig.Memory}}", "theirs").out == "0\n"
    if team.daemon.docker("image", "inspect", "stolen", check=False).code == 0:
        assert team.daemon.docker("run", "--rm", "--net", "none", "stolen", "ls", "/").out.count("secret") == 0
        team.daemon.docker("rmi", "stolen")


def test_a_network_that_is_named_as_the_id_of_another_begins(team: Team) -> None:
    """With it gone, a container that was made on it would start on the other one."""
    team.daemon.docker("network", "create", "hidden")
    name = team.daemon.docker("network", "inspect", "-f", "{{.Id}}", "hidden").out[:12]
    if team.call("POST", "/networks/create", {"Name": name}).status == 201:
        team.create({"NetworkMode": name}, name="own")
        team.call("DELETE", f"/networks/{name}")
        team.call("POST", "/containers/own/start")
        assert "own" not in team.daemon.docker("network", "inspect", "hidden").out
    assert team.call("POST", "/networks/create", {"Name": "cafe-net"}).status == 201
    team.daemon.docker("network", "rm", "hidden", "cafe-net")


def _made(daemon: Daemon, name: str, **more: Any) -> str:
    """The id of a network that the administrator makes."""
    answer = daemon.http("POST", "/networks/create", {"Name": name, **more})
    assert answer.status == 201, answer
    return str(answer.json()["Id"])


def _members(daemon: Daemon, network: str) -> list[str]:
    return [item["Name"] for item in daemon.http("GET", f"/networks/{network}").json()["Containers"].values()]


def test_a_part_of_an_id_that_another_s_network_has_later(team: Team) -> None:
    begins = [item["Id"][0] for item in team.daemon.http("GET", "/networks").json()]
    while (mine := team.call("POST", "/networks/create", {"Name": "mine"}).json()["Id"])[0] in begins:
        team.call("DELETE", "/networks/mine")
    assert team.create({"NetworkMode": mine[0]}, name="own").status == 201
    assert team.call("DELETE", "/networks/mine").status == 204
    while (hidden := _made(team.daemon, "hidden"))[0] != mine[0]:
        team.daemon.http("DELETE", "/networks/hidden")
    started = team.call("POST", "/containers/own/start")
    assert _members(team.daemon, hidden) == []
    assert started.status == 404 and "network mine not found" in started.json()["message"]
    team.daemon.docker("network", "rm", "hidden")


@pytest.mark.parametrize("way", ["mode", "endpoint", "default", "connect"])
def test_a_name_that_another_s_network_has_later(team: Team, way: str) -> None:
    """However the container came to the network, by no start does it come to one of others with the same name."""
    daemon = team.daemon
    assert team.call("POST", "/networks/create", {"Name": "shop_default"}).status == 201
    host = {"NetworkMode": "bridge" if way == "connect" else "shop_default"}
    endpoints = {"mode": {}, "endpoint": {"shop_default": {}}, "default": {"default": {}}, "connect": {}}[way]
    made = team.create(host, name="own", NetworkingConfig={"EndpointsConfig": endpoints})
    assert made.status == 201, made
    if way == "connect":
        assert team.call("POST", "/networks/shop_default/connect", {"Container": "own"}).status == 200
    assert team.call("DELETE", "/networks/shop_default").status == 204
    _made(daemon, "shop_default", Labels={"team": "b"})
    started = team.call("POST", "/containers/own/start")
    assert _members(daemon, "shop_default") == []
    assert started.status == 404 and "network shop_default not found" in started.json()["message"]
    assert daemon.http("POST", "/containers/own/restart").status == 404, "nor does anybody else's request"
    daemon.docker("network", "rm", "shop_default")
    assert team.call("POST", "/networks/create", {"Name": "shop_default"}).status == 201
    assert team.call("POST", "/containers/own/start").status == 204, "another of its own it does come to"
    assert _members(daemon, "shop_default") == ["own"]
    assert "shop_default" in team.call("GET", "/containers/own/json").json()["NetworkSettings"]["Networks"]
    daemon.docker("rm", "-f", "own")
    daemon.docker("network", "rm", "shop_default")


def test_what_the_administrator_connects_stays_connected(team: Team) -> None:
    _made(team.daemon, "shared")
    assert team.create(name="own").status == 201
    team.daemon.docker("network", "connect", "shared", "own")
    assert team.call("POST", "/containers/own/restart").status == 204
    assert _members(team.daemon, "shared") == ["own"]
    team.daemon.docker("rm", "-f", "own")
    team.daemon.docker("network", "rm", "shared")


def test_a_restart_of_the_daemon_joins_no_network_of_others(team: Team) -> None:
    daemon = team.daemon
    assert team.call("POST", "/networks/create", {"Name": "shop_default"}).status == 201
    for name, network in (("own", "shop_default"), ("beside", "bridge")):
        always = {"NetworkMode": network, "RestartPolicy": {"Name": "always"}}
        assert team.create(always, name=name).status == 201
        assert team.call("POST", f"/containers/{name}/start").status == 204
        assert team.call("POST", f"/containers/{name}/stop?t=0").status == 204
    assert team.call("DELETE", "/networks/shop_default").status == 204
    _made(daemon, "shop_default")
    daemon.restart()
    eventually(lambda: daemon.docker("inspect", "-f", "{{.State.Running}}", "beside").out == "true\n")
    eventually(lambda: "not found" in daemon.docker("inspect", "-f", "{{.State.Error}}", "own").out)
    assert _members(daemon, "shop_default") == []
    daemon.docker("rm", "-f", "own", "beside")
    daemon.docker("network", "rm", "shop_default")


@pytest.mark.parametrize("by_id", [False, True])
def test_a_name_that_a_container_of_others_is_to_start_on(team: Team, by_id: bool) -> None:
    daemon = team.daemon
    identifier = _made(daemon, "shop_default")
    asked = identifier[:12] if by_id else "shop_default"
    daemon.docker("create", "--name", "victim", "--net", asked, "busybox", "sleep", "600")
    daemon.docker("network", "prune", "-f")
    answer = team.call("POST", "/networks/create", {"Name": "shop_default"})
    assert answer.status == 403, answer
    assert "shop_default: the name of a network" in answer.json()["message"]
    assert "is not one of the socket team" in answer.json()["message"]
    daemon.docker("rm", "victim")
    assert team.call("POST", "/networks/create", {"Name": "shop_default"}).status == 201
    daemon.docker("network", "rm", "shop_default")


def test_a_network_by_the_configuration_of_others(team: Team) -> None:
    _made(team.daemon, "plan", ConfigOnly=True, IPAM={"Config": [{"Subnet": "10.77.0.0/24"}]})
    asked = {"Name": "mine", "ConfigFrom": {"Network": "plan"}}
    answer = team.call("POST", "/networks/create", asked)
    assert answer.status == 404 and answer.json()["message"] == "network plan not found", answer
    team.daemon.docker("network", "rm", "plan")
    assert team.call("POST", "/networks/create", {"Name": "plan", "ConfigOnly": True}).status == 201
    assert team.call("POST", "/networks/create", asked).status == 201, "its own it may"
    team.daemon.docker("network", "rm", "mine", "plan")


MAKING_WEAKER: tuple[tuple[dict[str, Any], str], ...] = (
    ({"MaskedPaths": []}, "privileged"),
    ({"MaskedPaths": ["/nonesuch"]}, "privileged"),
    ({"ReadonlyPaths": []}, "privileged"),
    ({"ReadonlyPaths": ["/nonesuch"]}, "privileged"),
    ({"OomScoreAdj": -1000}, "privileged"),
    ({"SecurityOpt": ["apparmor:unconfined"]}, "privileged"),
    ({"SecurityOpt": ["writable-cgroups=true"]}, "privileged"),
    ({"CgroupParent": "/"}, "privileged"),
    ({"Runtime": "/bin/sh"}, "privileged"),
    ({"Sysctls": {"net.ipv4.ip_forward": "1"}}, "privileged"),
    ({"DeviceCgroupRules": ["a *:* rwm"]}, "privileged"),
    ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["vendor.com/class=x"]}]}, "privileged"),
    ({"Binds": ["/etc:/x:ro"]}, "bind"),
    ({"Binds": ["//etc:/x"]}, "bind"),
    ({"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/x"}]}, "bind"),
    ({"mounts": [{"type": "bind", "source": "/etc", "target": "/x"}]}, "bind"),
    ({"Mounts": [{"Type": "volume", "Target": "/x", "VolumeOptions": {"DriverConfig": {"Name": "local"}}}]}, "bind"),
    ({"CgroupnsMode": "host"}, "host"),
    ({"UTSMode": "host"}, "host"),
    ({"NetworkMode": "host"}, "host"),
)


@pytest.mark.parametrize(("host", "word"), MAKING_WEAKER, ids=lambda value: str(value)[:40])
def test_privileges_in_other_words(team: Team, host: dict[str, Any], word: str) -> None:
    answer = team.create(host)
    assert answer.status == 403 and f"{word} is denied on the socket team" in answer.json()["message"], answer


def test_a_key_that_comes_twice(team: Team) -> None:
    """Of two that mean the same the engine takes the last, and that is the one that is judged."""
    for first, last in (("false", "true"), ("true", "false")):
        body = b'{"Image":"busybox","HostConfig":{"Privileged":%s,"Privileged":%s}}' % (first.encode(), last.encode())
        answer = rawhttp.request(
            team.path, "POST", "/containers/create", body, headers={"Content-Type": "application/json"}
        )
        if answer.status == 201:
            privileged = team.daemon.http("GET", f"/containers/{answer.json()['Id']}/json").json()["HostConfig"]
            assert privileged["Privileged"] is False


def test_an_endpoint_on_the_host_s_network(team: Team) -> None:
    """Whatever it is named, the container has links of its own."""
    made = team.create(NetworkingConfig={"EndpointsConfig": {"host": {}}})
    started = team.call("POST", f"/containers/{made.json()['Id']}/start") if made.status == 201 else made
    if started.status == 204:
        pid = team.daemon.docker("inspect", "-f", "{{.State.Pid}}", made.json()["Id"]).out.strip()
        assert Path(f"/proc/{pid}/ns/net").readlink() != Path(f"/proc/{team.daemon.pid}/ns/net").readlink()
    assert team.call("POST", "/networks/host/connect", {"Container": "own"}).status in (403, 404)


def test_labels_are_the_socket_s_whatever_is_said(team: Team) -> None:
    made = team.create(Labels={"team": "b"}, name="own")
    assert team.daemon.sdk.containers.get(made.json()["Id"]).labels["team"] == "a"
    for filters in ({"label": ["team=b"]}, {"label": {"team=b": True}}, {"label!": ["team=a"]}):
        query = f"filters={quote(json.dumps(filters))}"
        for target in (f"/containers/json?all=1&{query}", f"/containers/json?all=1&filters={{}}&{query}"):
            shown = team.call("GET", target)
            assert shown.status >= 400 or "theirs" not in shown.body.decode()
        team.call("POST", f"/containers/prune?{query}")
        team.call("POST", f"/volumes/prune?{query}")
    team.daemon.docker("inspect", "theirs")


def test_what_is_others_is_not_changed(team: Team) -> None:
    team.daemon.docker("volume", "create", "kept")
    assert team.create(name="own").status == 201
    for method, target, body in (
        ("POST", "/containers/theirs/rename?name=mine", None),
        ("POST", "/containers/own/rename?name=theirs", None),
        ("POST", "/containers/theirs/update", {"Memory": 32 << 20}),
        ("POST", "/containers/theirs/attach?stream=1&stdin=1", None),
        ("GET", "/containers/theirs/attach/ws?stream=1", None),
        ("PUT", "/containers/theirs/archive?path=/", b""),
        ("GET", "/containers/theirs/archive?path=/etc/passwd", None),
        ("GET", "/containers/theirs/export", None),
        ("GET", "/containers/theirs/top?ps_args=-ef", None),
        ("POST", "/containers/theirs/exec", {"Cmd": ["true"]}),
        ("POST", "/cove/containers/theirs/ports", {}),
        ("GET", "/containers/theirs/why", None),
        ("DELETE", "/containers/theirs?force=1", None),
        ("DELETE", "/containers/own/../theirs?force=1", None),
        ("POST", "/commit?container=theirs", None),
        ("POST", "/containers/own/update", {"MountAdd": [{"Type": "volume", "Source": "kept", "Target": "/x"}]}),
        ("POST", "/volumes/create", {"Name": "kept"}),
        ("DELETE", "/volumes/kept", None),
        ("GET", "/cove/volumes/kept/backup", None),
        ("POST", "/cove/volumes/kept/rename?name=mine", None),
        ("POST", "/networks/bridge/connect", {"Container": "theirs"}),
        ("DELETE", "/networks/bridge", None),
        ("POST", "/plugins/create?name=x", b""),
        ("POST", "/plugins/pull?remote=x", []),
        ("POST", "/swarm/init", {"ListenAddr": "0.0.0.0"}),
        ("POST", "/build?networkmode=host", b""),
        ("POST", "/images/load", b""),
        ("POST", "/images/prune", None),
        ("POST", "/images/busybox/tag?repo=other", None),
        ("DELETE", "/images/busybox", None),
        ("POST", "/trash/restore", {}),
        ("POST", "/cove/sockets/create", {"Name": "more", "Allow": ["* /**"]}),
        ("POST", "/session", None),
        ("POST", "/grpc", None),
    ):
        answer = team.call(method, target, body)
        assert answer.status in (403, 404, 409), (method, target, answer)
    state = team.daemon.docker("inspect", "-f", "{{.Name}} {{.State.Running}} {{.HostConfig.Memory}}", "theirs").out
    assert state == "/theirs true 0\n"
    team.daemon.docker("volume", "rm", "kept")


def test_an_image_of_others_keeps_its_name(team: Team) -> None:
    """What others run by a name is not replaced by what this socket makes."""
    before = team.daemon.docker("image", "inspect", "-f", "{{.Id}}", "busybox").out
    assert team.create(name="own").status == 201
    assert team.call("POST", "/commit?container=own&repo=busybox&tag=latest").status == 403
    assert team.call("POST", "/commit?container=own&repo=busybox").status == 403
    assert team.call("POST", "/images/create?fromSrc=-&repo=busybox&tag=latest", b"").status == 403
    assert team.daemon.docker("image", "inspect", "-f", "{{.Id}}", "busybox").out == before
    for _ in range(2):  # its own it may
        assert team.call("POST", "/commit?container=own&repo=team-a&tag=x").status == 201
        assert team.call("POST", "/images/create?fromSrc=-&repo=team-a&tag=x&changes=LABEL%20team=a", b"").status != 403
    team.daemon.docker("image", "prune", "-af")


def test_a_build_without_privileges(denied: Team, tmp_path: Path) -> None:
    for query, word in (
        ("networkmode=host", "host"),
        ("allow=network.host", "host"),
        ("allow=x&allow=security.insecure", "privileged"),
        ("allow=device", "privileged"),
        ("cgroupparent=/", "privileged"),
        ("securityopt=%5B%22seccomp=unconfined%22%5D", "privileged"),
    ):
        answer = denied.call("POST", f"/build?{query}", b"")
        assert answer.status == 403 and f"{word} is denied" in answer.json()["message"], (query, answer)
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN true\n")
    environment = {**denied.daemon.client_environment(), "DOCKER_HOST": f"unix://{denied.path}", "DOCKER_BUILDKIT": "0"}
    subprocess.run(["docker", "build", "-q", "-t", "built", str(tmp_path)], env=environment, check=True)
    denied.daemon.docker("rmi", "-f", "built")
