"""Versions, headers, errors, bodies and parameters, byte by byte."""

import base64
import json
import logging
from typing import Any
from urllib.parse import quote

import pytest

from cove import errors
from cove.server.app import _routes
from cove.server.status import STATUS, status_of
from cove.wire.bootstrap import BootstrapOptions
from unit.server.fake_engine import fake_services


def test_ping(api: Any) -> None:
    answer = api.request("GET", "/_ping")
    assert (answer.status, answer.body) == (200, b"OK")
    wanted = {
        "api-version": "1.56",
        "builder-version": "1",
        "docker-experimental": "false",
        "ostype": "linux",
        "swarm": "inactive",
        "content-type": "text/plain; charset=utf-8",
    }
    assert wanted.items() <= answer.headers.items()
    assert answer.headers["server"].startswith("Cove/")
    head = api.request("HEAD", "/v1.24/_ping")
    assert (head.status, head.headers["api-version"]) == (200, "1.56")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1.99/info", "client version 1.99 is too new. Maximum supported API version is 1.56"),
        (
            "/v1.23/info",
            "client version 1.23 is too old. Minimum supported API version is 1.24, "
            "please upgrade your client to a newer version",
        ),
        ("/v2.0/info", "client version 2.0 is too new. Maximum supported API version is 1.56"),
    ],
)
def test_versions_out_of_range(api: Any, path: str, message: str) -> None:
    answer = api.request("GET", path)
    assert (answer.status, answer.json) == (400, {"message": message})


@pytest.mark.parametrize("path", ["/v1.24/info", "/v1.56/info", "/info", "http://docker/v1.30/info?x=1"])
def test_versions_in_range(api: Any, path: str) -> None:
    assert api.request("GET", path).json["Name"] == "here"


def test_older_versions_see_what_they_saw(api: Any) -> None:
    assert "VirtualSize" not in api.request("GET", "/v1.44/images/json").json[0]
    assert api.request("GET", "/v1.43/images/json").json[0]["VirtualSize"] == 5
    api.run("sleep", start=False)
    new = api.request("GET", "/v1.56/containers/c1/json").json["NetworkSettings"]["Networks"]["bridge"]
    old = api.request("GET", "/v1.43/containers/c1/json").json["NetworkSettings"]["Networks"]["bridge"]
    assert set(new) - set(old) == {"DNSNames", "GwPriority"}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing"), ("PUT", "/containers/json"), ("GET", "/v1.41x/info")]
)
def test_unknown_paths(api: Any, method: str, path: str) -> None:
    answer = api.request(method, path)
    assert (answer.status, answer.json) == (404, {"message": "page not found"})


def test_every_kind_of_error_has_a_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and kind is not errors.CoveError]
    assert set(kinds) == set(STATUS)
    assert status_of(type("Special", (errors.Conflict,), {})("x")) == 409
    assert status_of(ValueError()) == 500


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/containers/x/json", 404, "No such container: x"),
        ("POST", "/containers/c1/kill", 409, "Cannot kill container"),
        ("POST", "/containers/c1/pause", 501, "not supported yet"),
        ("POST", "/containers/c1/rename", 400, "Neither old nor new names may be empty"),
        ("GET", "/nodes", 503, "This node is not a swarm manager."),
        ("POST", "/swarm/leave", 503, "This node is not part of a swarm"),
        ("POST", "/swarm/init", 501, "swarm mode is not supported yet"),
        ("POST", "/services/create", 503, "This node is not a swarm manager."),
        ("POST", "/secrets/x/update?version=1", 503, "This node is not a swarm manager."),
        ("GET", "/plugins/a/b/json", 404, 'plugin "a/b" not found'),
        ("POST", "/plugins/a/enable", 404, 'plugin "a" not found'),
        ("POST", "/plugins/pull", 501, "plugins are not supported"),
        ("POST", "/session", 400, "no upgrade proto in request"),
        ("GET", "/distribution/a/b/json", 404, "manifest unknown"),
        ("GET", "/containers/c1/logs", 400, "you must choose at least one stream"),
        ("GET", "/containers/json?limit=x", 400, 'invalid value for limit: "x" is not a number'),
        ("GET", "/containers/json?filters=foo", 400, "invalid filter"),
        ("GET", "/containers/json?filters=%7B%22x%22:%5B%22a%22%5D%7D", 400, "invalid filter 'x'"),
        ("POST", "/containers/c1/wait?condition=never", 400, "never"),
        ("POST", "/containers/c1/resize?h=9", 400, "invalid value for w"),
        ("POST", "/containers/c1/resize?h=9&w=99999", 400, "invalid value for w"),
        ("GET", "/containers/c1/logs?stdout=1&since=whenever", 400, "invalid value for since"),
        ("GET", "/containers/c1/archive", 400, "path"),
        ("POST", "/images/create", 400, "fromImage"),
        ("GET", "/images/search", 400, "term"),
    ],
)
def test_errors(api: Any, method: str, path: str, status: int, message: str) -> None:
    api.run("sleep", start=False)
    answer = api.request(method, path)
    assert answer.status == status
    assert list(answer.json) == ["message"]
    assert message in answer.json["message"]
    assert answer.headers["content-type"] == "application/json"


def test_not_modified_has_no_body(api: Any) -> None:
    container = api.run("sleep")
    with api.client() as client:
        for _ in range(2):
            client.send("POST", f"/containers/{container}/start")
            answer = client.answer()
            assert (answer.status, answer.body) == (304, b"")


def test_a_bug_is_logged_and_the_user_gets_one_line(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    answer = api.request("GET", "/containers/bug/json")
    assert answer.status == 500
    assert answer.json["message"].startswith("internal error: ZeroDivisionError")
    assert "secret" not in answer.body.decode()
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.exc_info is not None
    assert "GET /containers/bug/json" in record.getMessage()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "invalid JSON: got EOF while reading request body"),
        (b"{", "invalid JSON"),
        (b'{"Cmd":[}', "invalid JSON"),
        (b"[]", "expected object, got array"),
        (b'{"Cmd":5}', "invalid JSON: Cmd: expected"),
        (b'{"HostConfig":{"Memory":"1g"}}', "invalid JSON: HostConfig.Memory: expected int, got str"),
        (b'{"HostConfig":{"Memory":99999999999999999999}}', "Memory: the number is out of range"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"Image":"\xff"}', "invalid JSON"),
    ],
)
def test_bad_bodies(api: Any, body: bytes, message: str) -> None:
    answer = api.request("POST", "/containers/create", body)
    assert answer.status == 400
    assert message.lower() in answer.json["message"].lower()
    assert not api.store.containers


def test_a_body_of_another_type_is_refused(api: Any) -> None:
    with api.client() as client:
        client.send("POST", "/containers/create", b"", "Content-Type: text/plain", "Content-Length: 2", more=b"{}")
        answer = client.answer()
    assert answer.status == 400
    assert "must be 'application/json'" in answer.json["message"]


def test_large_bodies_are_refused(api: Any) -> None:
    with api.client() as client:
        client.send("POST", "/containers/create", b"", "Content-Type: application/json", f"Content-Length: {5 << 20}")
        answer = client.answer()
        assert answer.status == 400
        assert "4 MiB" in answer.json["message"]


def test_large_chunked_bodies_are_refused(api: Any) -> None:
    with api.client() as client:
        client.send("POST", "/containers/create", b"", "Content-Type: application/json", "Transfer-Encoding: chunked")
        chunk = b" " * (1 << 20)
        for _ in range(4):
            client.socket.sendall(b"100000\r\n" + chunk + b"\r\n")
        client.socket.sendall(b"1\r\n \r\n0\r\n\r\n")
        assert "4 MiB" in client.answer().json["message"]


def test_what_is_no_http_gets_an_answer(api: Any) -> None:
    with api.client() as client:
        client.socket.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = client.answer()
        assert (answer.status, list(answer.json)) == (400, ["message"])
        assert client.rest() == b""


def test_a_head_in_pieces_and_requests_behind_each_other(api: Any) -> None:
    with api.client() as client:
        for piece in (b"GET /_pi", b"ng HTTP/1.1\r\nHo", b"st: x\r\n\r", b"\n"):
            client.socket.sendall(piece)
        assert client.answer().body == b"OK"
        client.socket.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        assert [client.answer().body for _ in range(3)] == [b"OK"] * 3


def test_a_body_behind_its_head(api: Any) -> None:
    body = json.dumps({"Image": "a", "Cmd": ["sleep"]}).encode()
    with api.client() as client:
        client.send("POST", "/containers/create", b"", "Content-Type: application/json", f"Content-Length: {len(body)}")
        client.socket.sendall(body[:5])
        client.socket.sendall(body[5:])
        assert client.answer().status == 201
        client.send("GET", "/_ping")
        assert client.answer().body == b"OK"


def test_docker_shaped_bodies(api: Any) -> None:
    body = {
        "image": "a",
        "Cmd": "sleep",
        "User": None,
        "Labels": {"a": None},
        "ExposedPorts": {"80/tcp": None},
        "HostConfig": {"PortBindings": {"80/tcp": None}, "Memory": 5, "CapAdd": "ALL", "LogConfig": None},
        "NetworkingConfig": {"EndpointsConfig": {"n": None}},
        "Unknown": {"x": 1},
    }
    assert api.request("POST", "/containers/create?name=n&platform=linux/amd64", body).status == 201
    _, request, name, platform = api.store.calls[-1]
    assert (name, platform, request.image, request.cmd, request.user) == ("n", "linux/amd64", "a", ["sleep"], "")
    assert (request.labels, request.exposed_ports) == ({"a": ""}, {"80/tcp": {}})
    assert request.host_config.port_bindings == {"80/tcp": None}
    assert (request.host_config.memory, request.host_config.cap_add) == (5, ["ALL"])
    assert request.networking_config.endpoints_config == {"n": None}


def test_query_parameters(api: Any) -> None:
    filters = quote(json.dumps({"label": {"a=b": True, "c": False}, "name": ["x", "x"]}))
    api.request("GET", f"/containers/json?all=1&limit=3&size=True&filters={filters}")
    assert api.store.calls[-1] == ("list", True, 3, True, {"label": ("a=b", "c"), "name": ("x",)})
    api.request("GET", "/containers/json?all=0&limit=-1&size=false")
    assert api.store.calls[-1] == ("list", False, 0, False, {})
    api.run("sleep")
    api.request("POST", "/containers/c1/stop?t=-1&signal=INT")
    assert api.store.calls[-1] == ("stop", "c1", -1, "INT")
    api.request("POST", "/containers/c1/stop")
    assert api.store.calls[-1] == ("stop", "c1", None, "")


@pytest.mark.parametrize("name", ["busybox", "a/b/c:1", "host:5000/a@sha256:abc", "a%2Fb"])
def test_image_names_have_slashes(api: Any, name: str) -> None:
    assert api.request("GET", f"/v1.56/images/{name}/json").status == 200
    assert api.store.calls[-1] == ("image", name.replace("%2F", "/"))


def test_exposed_empty_fields(api: Any) -> None:
    api.run("sleep", start=False)
    found = api.request("GET", "/containers/c1/json").json
    assert "Health" not in found["State"]
    assert "SizeRw" not in found
    assert found["ExecIDs"] is None
    assert "Healthcheck" not in found["Config"]
    assert found["Config"]["Env"] is None
    assert api.request("GET", "/containers/c1/json?size=1").json["SizeRw"] == 5


def test_registry_credentials(api: Any) -> None:
    credentials = base64.urlsafe_b64encode(
        json.dumps({"username": "u", "password": "p", "serveraddress": "s"}).encode()
    )
    api.request("POST", "/images/create?fromImage=a&tag=1", b"", f"X-Registry-Auth: {credentials.decode()}")
    _, image, tag, auth = api.store.calls[-1]
    assert (image, tag, auth.username, auth.password, auth.server_address) == ("a", "1", "u", "p", "s")
    api.request("POST", "/images/create?fromImage=a", b"", "X-Registry-Auth: !!!")
    assert api.store.calls[-1] == ("pull", "a", "", None)


def test_every_protocol_is_routed(api: Any) -> None:
    for path in ("/networks", "/networks/bridge", "/volumes", "/volumes/v", "/system/df", "/version", "/plugins"):
        assert api.request("GET", path).status == 200
    assert api.request("POST", "/networks/create", {"Name": "n", "Driver": "bridge"}).status == 201
    assert api.request("POST", "/volumes/create", {"Name": "v", "Driver": "local"}).json["Name"] == "v"
    assert api.request("POST", "/commit?container=c&repo=r&pause=0", b"null").json == {"Id": "sha256:1"}
    assert api.store.calls[-1][1].pause is False
    assert api.request("POST", "/auth", {"username": "u"}).json["Status"] == "Login Succeeded"
    path = "/cove/images/bootstrap?recipe=debian:x&mirror=m&include=a&include=b"
    assert api.request("POST", path).json == {"status": "Verified"}
    assert api.store.calls[-1] == ("bootstrap", "debian:x", BootstrapOptions(mirror="m", include=["a", "b"]))


def test_archives(api: Any) -> None:
    head = api.request("HEAD", "/containers/c/archive?path=/etc")
    stat = json.loads(base64.b64decode(head.headers["x-docker-container-path-stat"]))
    assert stat == {"name": "/etc", "size": 3, "mode": 0o644, "mtime": "2026-01-02T03:04:05Z", "linkTarget": ""}
    got = api.request("GET", "/containers/c/archive?path=/etc")
    assert (got.body, got.headers["content-type"]) == (b"tarball", "application/x-tar")
    assert api.request("PUT", "/containers/c/archive?path=/etc", b"stuff").status == 200
    assert api.store.calls[-1] == ("put", "/etc", b"stuff")


def test_no_two_routes_are_the_same(api: Any) -> None:
    routes = [(route.method, route.pattern) for route in _routes(fake_services(api.store))]
    assert len(routes) == len(set(routes)) > 80
