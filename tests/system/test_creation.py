"""What a creation takes beside the commonest fields: platforms, addresses of older clients, the mask of new files."""

import pytest

from harness.engine import Engine

pytestmark = [pytest.mark.needs("root", "cove", "docker-cli")]


def test_platform(daemon: Engine) -> None:
    body = {"Image": "busybox"}
    refused = daemon.http("POST", "/containers/create?platform=linux/s390x", body)
    assert refused.status == 404
    assert "does not match the specified platform (linux/s390x)" in refused.json()["message"]
    assert daemon.http("POST", "/containers/create?platform=a/b/c/d", body).status == 400
    made = daemon.http("POST", "/containers/create?platform=linux", body)
    assert (made.status, made.json()["Warnings"]) == (201, [])


def test_address_of_an_older_client(daemon: Engine) -> None:
    body = {"Image": "busybox", "Cmd": ["cat", "/sys/class/net/eth0/address"], "MacAddress": "02:00:00:00:00:77"}
    assert daemon.http("POST", "/v1.43/containers/create?name=old", body).status == 201
    assert daemon.docker("start", "-a", "old").out == "02:00:00:00:00:77\n"
    assert daemon.http("POST", "/containers/create?name=new", body).status == 201
    assert daemon.docker("start", "-a", "new").out != "02:00:00:00:00:77\n"


def test_umask(daemon: Engine) -> None:
    body = {"Image": "busybox", "Cmd": ["sh", "-c", "umask; exec sleep 60"], "HostConfig": {"Umask": 0o077}}
    assert daemon.http("POST", "/containers/create?name=masked", body).status == 201
    daemon.docker("start", "masked")
    assert daemon.docker("exec", "masked", "sh", "-c", "umask").out == "0077\n"
    assert daemon.docker("logs", "masked").out == "0077\n"
    assert daemon.http("POST", "/v1.55/containers/create", body).status == 201
    bad = daemon.http("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"Umask": 512}})
    assert (bad.status, "HostConfig.Umask" in bad.json()["message"]) == (400, True)


@pytest.mark.parametrize(
    ("accepts", "gets", "first"),
    [
        ("application/json-seq", "application/json-seq", b"\x1e{"),
        ("text/html, application/x-ndjson;q=0.5", "application/x-ndjson", b"{"),
        ("application/jsonl", "application/jsonl", b"{"),
        ("*/*", "application/json", b"{"),
    ],
)
def test_media_types_of_events(daemon: Engine, accepts: str, gets: str, first: bytes) -> None:
    daemon.docker("volume", "create", "told")
    answer = daemon.http("GET", "/events?since=1&until=1s", headers={"Accept": accepts})
    assert answer.headers["content-type"] == gets
    assert answer.body.startswith(first)
