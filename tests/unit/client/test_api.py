"""The client: version, errors, targets, endpoints, stream frames."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove import errors
from cove.client.api import Client, ConnectionFailed, encode_target, parse_version
from cove.client.streams import STDERR, STDOUT, Splitter, split
from cove.client.transport import Endpoint, TLSFiles


@pytest.fixture
def fake() -> ModuleType:
    name = "cove_tests_fake_engine"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "cli" / "fake_engine.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def old_engine(tmp_path: Path, fake: ModuleType) -> Iterator[Any]:
    with fake.FakeEngine(tmp_path, "1.41", {"GET /info": fake.Reply(200, {"Name": "x"})}) as engine:
        yield engine


def test_the_version_steps_down_once(old_engine: Any) -> None:
    client = Client(Endpoint(old_engine.host))
    assert client.json("GET", "/info") == {"Name": "x"}
    assert client.json("GET", "/info") == {"Name": "x"}
    assert client.version == "1.41"
    assert [request.target for request in old_engine.requests] == ["/v1.51/info", "/v1.41/info", "/v1.41/info"]
    client.close()


def test_a_fixed_version_is_not_negotiated(old_engine: Any) -> None:
    client = Client(Endpoint(old_engine.host), "1.51")
    with pytest.raises(errors.InvalidArgument, match="too new"):
        client.json("GET", "/info")


def test_a_body_that_is_sent_once_pings_first(old_engine: Any, fake: ModuleType) -> None:
    old_engine.answers["POST /images/load"] = fake.Reply(200, {})
    response = Client(Endpoint(old_engine.host)).stream("POST", "/images/load", None, iter([b"a", b"b"]))
    response.read()
    response.close()
    assert [request.method for request in old_engine.requests] == ["HEAD", "POST"]
    assert old_engine.requests[-1].body == b"ab"


@pytest.mark.parametrize(
    "status,kind",
    [
        (304, errors.NotModified),
        (400, errors.InvalidArgument),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (500, errors.Internal),
        (501, errors.Unimplemented),
        (503, errors.Unavailable),
    ],
)
def test_statuses_become_errors(status: int, kind: type[Exception], old_engine: Any, fake: ModuleType) -> None:
    old_engine.answers["GET /x"] = fake.Reply(status, {"message": "the reason"})
    client = Client(Endpoint(old_engine.host), "1.41")
    with pytest.raises(kind) as caught:
        client.json("GET", "/x")
    if status != 304:
        assert str(caught.value) == "the reason"


def test_an_error_that_is_not_json(old_engine: Any, fake: ModuleType) -> None:
    old_engine.answers["GET /x"] = fake.Reply(502, raw=b"<html>bad gateway</html>")
    with pytest.raises(errors.Internal, match="bad gateway"):
        Client(Endpoint(old_engine.host), "1.41").json("GET", "/x")


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailed, match="Start it with: cove daemon"):
        Client(Endpoint(f"unix://{tmp_path}/none.sock")).json("GET", "/info")


def test_targets() -> None:
    query = {"a": 1, "b": None, "c": True, "d": ["x", "y z"], "e": '{"k":["v"]}', "f": "ü&="}
    assert encode_target("/images/a/b:c/json", query) == (
        "/images/a/b:c/json?a=1&c=1&d=x&d=y%20z&e=%7B%22k%22%3A%5B%22v%22%5D%7D&f=%C3%BC%26%3D"
    )


def test_versions_compare_as_numbers() -> None:
    assert parse_version("1.9") < parse_version("1.41") < parse_version("2.0")


@pytest.mark.parametrize(
    "url,address",
    [
        ("unix:///run/x.sock", "/run/x.sock"),
        ("tcp://example.org:1234", ("example.org", 1234)),
        ("tcp://example.org", ("example.org", 2375)),
        ("tcp://:99", ("127.0.0.1", 99)),
        ("tcp://[::1]:99", ("::1", 99)),
        ("http://example.org:80/path", ("example.org", 80)),
    ],
)
def test_endpoints(url: str, address: object) -> None:
    assert Endpoint(url).address == address


def test_tls_has_a_port_of_its_own() -> None:
    assert Endpoint("tcp://example.org", TLSFiles("", "", "", True)).address == ("example.org", 2376)


@pytest.mark.parametrize("url", ["/run/x.sock", "ftp://x", "tcp://x:abc", "tcp://x:99999", ""])
def test_bad_endpoints(url: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        Endpoint(url)


@given(st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=30)), max_size=10), st.integers(1, 9))
def test_frames_survive_any_cut(frames: list[tuple[int, bytes]], step: int) -> None:
    stream = b"".join(bytes((kind, 0, 0, 0)) + len(data).to_bytes(4, "big") + data for kind, data in frames)
    found = {STDOUT: b"", STDERR: b""}
    for kind, piece in split(stream[at : at + step] for at in range(0, len(stream), step)):
        found[kind] += piece
    for kind in found:
        assert found[kind] == b"".join(data for frame, data in frames if frame == kind)


def test_a_stream_without_frames_is_refused() -> None:
    with pytest.raises(errors.Unavailable, match="unrecognized stream kind"):
        list(Splitter().feed(b"plain text"))
