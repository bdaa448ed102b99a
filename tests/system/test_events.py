"""``docker events``: what is replayed, what comes live, and what a daemon's end and slow clients do to it."""

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "docker-cli", "busybox-static")


def told(engine: Engine, since: str, container: str = "") -> list[dict[str, Any]]:
    query = f"since={since}&until={now()}"
    lines = engine.http("GET", f"/events?{query}").body.decode().splitlines()
    events = [json.loads(line) for line in lines]
    return [event for event in events if not container or event["Actor"]["Attributes"].get("name") == container]


def now() -> str:
    return f"{time.time():.9f}"


def actions(events: list[dict[str, Any]]) -> list[str]:
    return [event["Action"] for event in events]


def test_a_time_of_nanoseconds_a_duration_and_a_date(daemon: Engine) -> None:
    daemon.docker("create", "--name", "first", "busybox")
    between = now()
    daemon.docker("create", "--name", "second", "busybox")
    assert "first" not in daemon.docker("events", "--since", between, "--until", now()).out
    for since in ("1m", "2020-01-01", "0"):
        out = daemon.docker("events", "--since", since, "--until", now(), "--filter", "event=create").out
        assert out.count("name=first") == out.count("name=second") == 1


def test_everything_is_there_after_a_kill_and_nothing_twice(fresh_daemon: Daemon) -> None:
    start = now()
    fresh_daemon.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", "trap 'exit 7' TERM; sleep 60 & wait")
    pid = int(fresh_daemon.docker("inspect", "-f", "{{.State.Pid}}", "box").out)
    fresh_daemon.kill9()
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    fresh_daemon.start()
    expected = ["create", "start", "die"]
    seen = told(fresh_daemon, start, "box")
    assert actions(seen) == expected
    assert seen[-1]["Actor"]["Attributes"]["exitCode"] == "7"
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert actions(told(fresh_daemon, start, "box")) == expected
    fresh_daemon.docker("rm", "box")
    assert actions(told(fresh_daemon, start, "box")) == [*expected, "destroy"]


def test_a_daemon_that_keeps_few(fresh_daemon: Daemon) -> None:
    fresh_daemon.restart_with("--events-kept=3")
    start = now()
    fresh_daemon.docker("create", "--name", "box", "busybox")
    for name in ("a1", "a2", "a3"):
        fresh_daemon.http(
            "POST", f"/containers/{'box' if name == 'a1' else 'a' + str(int(name[1]) - 1)}/rename?name={name}"
        )
    assert actions(told(fresh_daemon, start)) == ["rename"] * 3


class Reader:
    """A client of /events whose reading is up to the test."""

    def __init__(self, engine: Engine, query: str = "") -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(engine.socket))
        self.socket.sendall(f"GET /events?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.file = self.socket.makefile("rb")
        while self.file.readline().strip():
            pass  # the head: from here on no event is missed

    def event(self) -> dict[str, Any]:
        size = int(self.file.readline(), 16)
        chunk = self.file.read(size + 2)
        event: dict[str, Any] = json.loads(chunk)
        return event

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def test_nothing_is_lost_or_doubled_between_the_replay_and_what_comes(daemon: Engine) -> None:
    start, count = now(), 200
    daemon.docker("create", "--name", "box", "busybox")

    def rename() -> None:
        for number in range(count):
            previous = "box" if not number else f"box{number - 1}"
            assert daemon.http("POST", f"/containers/{previous}/rename?name=box{number}").status == 204

    renaming = threading.Thread(target=rename)
    renaming.start()
    readers = []
    for _ in range(10):
        readers.append(Reader(daemon, f"since={start}"))
        time.sleep(0.01)
    for reader in readers:
        assert reader.event()["Action"] == "create"
        names = [reader.event()["Actor"]["Attributes"]["name"] for _ in range(count)]
        assert names == [f"box{number}" for number in range(count)]
        reader.close()
    renaming.join()


def test_a_hundred_clients_that_do_not_read_hold_nobody_up(daemon: Engine) -> None:
    size, count = 30_000, 60
    daemon.http("POST", "/containers/create?name=box", {"Image": "busybox", "Labels": {"big": "x" * size}})
    slow = [Reader(daemon) for _ in range(100)]
    fast = Reader(daemon)
    began = time.monotonic()
    for number in range(count):
        previous = "box" if not number else f"box{number - 1}"
        assert daemon.http("POST", f"/containers/{previous}/rename?name=box{number}").status == 204
        assert fast.event()["Actor"]["Attributes"]["name"] == f"box{number}"
    assert time.monotonic() - began < 10
    for reader in slow[:3]:
        names = [reader.event()["Actor"]["Attributes"]["name"] for _ in range(count)]
        assert names == [f"box{number}" for number in range(count)]
    for reader in [*slow, fast]:
        reader.close()


@pytest.mark.needs("cove")  # Docker 20.10 takes the keys for the end of an exec
def test_a_client_that_detaches_is_told_of(daemon: Engine) -> None:
    """By its keys over the API; the command line looks for them itself, and then just goes."""
    start = now()
    daemon.docker("run", "-dit", "--name", "box", "busybox", "sh")
    made = daemon.http("POST", "/containers/box/exec", {"Cmd": ["sh"], "AttachStdin": True, "Tty": True}).json()["Id"]
    for target, body in (
        ("/containers/box/attach?stream=1&stdin=1&stdout=1", b""),
        (f"/exec/{made}/start", b'{"Tty": true}'),
    ):
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(20)
            stream.connect(str(daemon.socket))
            head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            stream.sendall(
                f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            assert b"101" in stream.recv(4096)
            stream.sendall(b"\x10\x11")
            while stream.recv(4096):
                pass
    eventually(lambda: actions(told(daemon, start, "box")), lambda seen: {"detach", "exec_detach"} <= set(seen))
