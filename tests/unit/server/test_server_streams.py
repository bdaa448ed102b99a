"""Hijacked connections, logs, events, wait: what is sent when, and how each ends."""

import json
import logging
import socket
import threading
from typing import Any

import aiohttp
import pytest

from cove.server.app import serve
from cove.server.frames import Demultiplexer, frame, log_bytes
from cove.wire.streams import LogEntry
from unit.server.fake_engine import fake_services

UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")
ALL = "stream=1&stdin=1&stdout=1&stderr=1"


def eventually(condition: Any) -> None:
    """Wait for what another thread brings about; it fails by the time limit."""
    done = threading.Event()
    for _ in range(1000):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError("it did not come about")


def attach(client: Any, container: str, more: bytes = b"", version: str = "v1.51") -> tuple[int, dict[str, str]]:
    client.send("POST", f"/{version}/containers/{container}/attach?{ALL}", b"", *UPGRADE, more=more)
    return client.head()


def test_attach_upgrades_echoes_and_half_closes(api: Any) -> None:
    container = api.run("cat", start=False)
    with api.client() as client:
        status, headers = attach(client, container)
        assert (status, headers["upgrade"], headers["connection"]) == (101, "tcp", "Upgrade")
        assert headers["content-type"] == "application/vnd.docker.multiplexed-stream"
        api.request("POST", f"/containers/{container}/start")
        client.socket.sendall(b"hello")
        assert client.exactly(13) == frame(1, b"hello")
        client.end()
        assert client.rest() == frame(2, b"end of input\n")


@pytest.mark.parametrize(
    ("version", "tty", "kind"),
    [("v1.41", False, "raw"), ("v1.42", False, "multiplexed"), ("v1.51", True, "raw")],
)
def test_content_type_of_a_stream(api: Any, version: str, tty: bool, kind: str) -> None:
    container = api.run("sleep", start=False, Tty=tty)
    with api.client() as client:
        _, headers = attach(client, container, version=version)
        assert headers["content-type"] == f"application/vnd.docker.{kind}-stream"


def test_the_oldest_clients_get_200(api: Any) -> None:
    container = api.run("cat", start=False)
    with api.client() as client:
        client.send("POST", f"/containers/{container}/attach?{ALL}")
        status, headers = client.head()
        assert (status, headers["content-type"]) == (200, "application/vnd.docker.raw-stream")
        assert "upgrade" not in headers
        api.request("POST", f"/containers/{container}/start")
        client.socket.sendall(b"x")
        assert client.exactly(9) == frame(1, b"x")


def test_input_right_behind_the_request_is_input(api: Any) -> None:
    container = api.run("cat", start=False)
    early = b"GET /_ping HTTP/1.1\r\n\r\n" * 20000
    with api.client() as client:
        path = f"/containers/{container}/attach?{ALL}"
        thread = threading.Thread(target=lambda: (client.send("POST", path, b"", *UPGRADE, more=early), client.end()))
        thread.start()
        assert client.head()[0] == 101
        api.request("POST", f"/containers/{container}/start")
        output = client.rest()
        thread.join()
    assert Demultiplexer().feed(output) == early + b"end of input\n"


def test_exec_input_behind_the_body_and_an_early_half_close(api: Any) -> None:
    container = api.run("sleep")
    exec_id = api.request("POST", f"/containers/{container}/exec", {"Cmd": ["cat"]}).json["Id"]
    with api.client() as client:
        client.send("POST", f"/exec/{exec_id}/start", b'{"Tty":false}', *UPGRADE, more=b"stdin")
        client.end()
        assert client.head()[0] == 101
        assert Demultiplexer().feed(client.rest()) == b"stdinend of input\n"
    assert api.request("GET", f"/exec/{exec_id}/json").json["ExitCode"] == 0


def test_output_does_not_come_with_the_head(api: Any) -> None:
    """docker-py drops what it reads along with the head."""
    container = api.run("sleep")
    exec_id = api.request("POST", f"/containers/{container}/exec", {"Cmd": ["echo", "x"]}).json["Id"]
    with api.client() as client:
        client.send("POST", f"/exec/{exec_id}/start", b'{"Tty":false}', *UPGRADE)
        client.socket.recv(1, socket.MSG_PEEK)
        api.request("GET", "/_ping")  # the server is free to send the output by now
        assert client.socket.recv(1 << 16).endswith(b"\r\n\r\n")
        assert client.rest() == frame(1, b"x\n")


def test_exec_body_in_two_pieces(api: Any) -> None:
    container = api.run("sleep")
    exec_id = api.request("POST", f"/containers/{container}/exec", {"Cmd": ["echo", "x"]}).json["Id"]
    with api.client() as client:
        head = ("Content-Type: application/json", "Content-Length: 13", *UPGRADE)
        client.send("POST", f"/exec/{exec_id}/start", b"", *head, more=b'{"Tty"')
        client.socket.sendall(b":false}")
        assert client.head()[0] == 101
        assert client.rest() == frame(1, b"x\n")


def test_exec_that_cannot_start_says_so_on_the_stream(api: Any) -> None:
    container = api.run("sleep")
    exec_id = api.request("POST", f"/containers/{container}/exec", {"Cmd": ["missing"]}).json["Id"]
    with api.client() as client:
        client.send("POST", f"/exec/{exec_id}/start", b'{"Tty":false}', *UPGRADE)
        assert client.head()[0] == 101
        output = client.rest()
    assert output[0] == 1
    assert b"executable file not found in $PATH\r\n" in output
    detached = api.request("POST", f"/exec/{exec_id}/start", {"Detach": True})
    assert (detached.status, "executable" in detached.json["message"]) == (400, True)


def test_exec_detached(api: Any) -> None:
    container = api.run("sleep")
    exec_id = api.request("POST", f"/containers/{container}/exec", {"Cmd": ["exit", "3"]}).json["Id"]
    assert api.request("POST", f"/exec/{exec_id}/start", {"Detach": True}).status == 200
    eventually(lambda: api.request("GET", f"/exec/{exec_id}/json").json["ExitCode"] == 3)


def test_a_declined_upgrade_keeps_the_connection(api: Any) -> None:
    with api.client() as client:
        client.send("POST", f"/containers/nope/attach?{ALL}", b"", *UPGRADE)
        assert client.answer().status == 404
        client.send("GET", "/_ping")
        assert client.answer().body == b"OK"
        client.send("POST", "/exec/nope/start", b"{}", *UPGRADE, more=b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.answer().status == 404
        assert client.answer().body == b"OK"


def test_output_that_nobody_reads_is_held_back(api: Any) -> None:
    container = api.run("flood", "512", start=False)
    with api.client() as client:
        attach(client, container)
        api.request("POST", f"/containers/{container}/start")
        assert api.request("GET", f"/containers/{container}/json").json["State"]["Running"]
        size = 0
        demultiplexer = Demultiplexer()
        size += len(demultiplexer.feed(client.buffer))
        while data := client.socket.recv(1 << 20):
            size += len(demultiplexer.feed(data))
        assert size == 512 << 16


def test_input_that_nobody_reads_is_held_back(api: Any) -> None:
    container = api.run("sleep")
    with api.client() as client:
        attach(client, container)
        client.socket.setblocking(False)
        sent = 0
        with pytest.raises(BlockingIOError):
            for _ in range(1000):
                sent += client.socket.send(bytes(1 << 16))
                threading.Event().wait(0.002)
        assert sent < 8 << 20


def test_a_program_that_closed_its_input_still_speaks(api: Any) -> None:
    container = api.run("deaf", start=False)
    with api.client() as client:
        attach(client, container)
        api.request("POST", f"/containers/{container}/start")
        assert client.exactly(13) == frame(1, b"deaf\n")
        for _ in range(64):
            client.socket.sendall(bytes(1 << 16))
        api.request("POST", f"/containers/{container}/kill")
        assert client.rest() == frame(1, b"last words\n")


def test_a_client_that_leaves_closes_the_stream(api: Any) -> None:
    container = api.run("sleep")
    process = api.store.find(container).process
    with api.client() as client:
        attach(client, container)
        eventually(lambda: process.attached)
    shim_end = process.attached[0]
    eventually(lambda: _ended(shim_end))


def _ended(sock: Any) -> bool:
    try:
        return bool(sock.recv(1) == b"")
    except BlockingIOError:
        return False


def test_attach_with_earlier_output(api: Any) -> None:
    container = api.run("echo", "before")
    api.request("POST", f"/containers/{container}/wait")
    with api.client() as client:
        client.send("POST", f"/containers/{container}/attach?logs=1&stdout=1", b"", *UPGRADE)
        assert client.head()[0] == 101
        assert client.rest() == frame(1, b"before\n")


def test_wait_sends_its_head_at_once(api: Any) -> None:
    container = api.run("exit", "7", start=False)
    with api.client() as client:
        client.send("POST", f"/containers/{container}/wait?condition=next-exit")
        status, headers = client.head()
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert client.buffer == b""
        api.request("POST", f"/containers/{container}/start")
        assert json.loads(client.chunk()) == {"StatusCode": 7}
        assert client.chunk() == b""


def test_waiting_that_fails_says_so_in_the_body(api: Any) -> None:
    container = api.run("sleep", start=False)
    api.request("POST", f"/containers/{container}/rename?name=lost")
    answer = api.request("POST", "/containers/lost/wait")
    assert (answer.status, answer.json) == (200, {"StatusCode": 125, "Error": {"Message": "the shim was lost"}})


def test_waiting_ends_with_the_client(api: Any) -> None:
    container = api.run("sleep")
    with api.client() as client:
        client.send("POST", f"/containers/{container}/wait")
        client.head()
    eventually(lambda: api.store.abandoned == 1)


def test_following_logs_ends_with_the_client(api: Any) -> None:
    container = api.run("sleep")
    with api.client() as client:
        client.send("GET", f"/containers/{container}/logs?stdout=1&follow=1")
        assert client.head()[0] == 200
    eventually(lambda: api.store.abandoned == 1)


def test_logs_are_framed_stamped_and_detailed(api: Any) -> None:
    container = api.run("echo", "x")
    api.request("POST", f"/containers/{container}/wait")
    path = f"/containers/{container}/logs?stdout=1"
    plain = api.request("GET", path)
    assert plain.body == frame(1, b"x\n")
    assert plain.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    stamped = api.request("GET", f"{path}&timestamps=1&details=1&tail=5&since=1.5&until=2026-01-02T03:04:05Z")
    assert stamped.body == frame(1, b"2026-01-02T03:04:05.123456789Z tag=a+b x\n")
    options = api.store.calls[-1][1]
    assert (options.tail, options.since, options.until) == (5, 1_500_000_000, 1_767_323_045_000_000_000)
    api.request("GET", f"{path}&tail=all")
    assert api.store.calls[-1][1].tail == -1


def test_log_bytes_of_a_terminal() -> None:
    entries = [LogEntry(1, 0, b"a\r\n"), LogEntry(1, 1, b"b")]
    assert log_bytes(entries, framed=False, timestamps=False, details=False) == b"a\r\nb"
    assert log_bytes(entries[1:], framed=False, timestamps=True, details=True) == b"1970-01-01T00:00:00.000000001Z  b"


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 100])
def test_demultiplexer_takes_any_pieces(size: int) -> None:
    data = frame(1, b"hello") + frame(2, b"") + frame(1, b"world" * 9)
    demultiplexer = Demultiplexer()
    pieces = [demultiplexer.feed(data[at : at + size]) for at in range(0, len(data), size)]
    assert b"".join(pieces) == b"hello" + b"world" * 9


def test_events_are_sent_as_they_come(api: Any) -> None:
    with api.client() as client:
        client.send("GET", "/events?since=10&until=20.5&filters=%7B%22type%22:%5B%22container%22%5D%7D")
        assert client.head()[0] == 200
        event = json.loads(client.chunk())
        assert (event["Type"], event["Action"], event["Actor"]["ID"], event["timeNano"]) == (
            "container",
            "start",
            "x",
            1_000_000_000,
        )
        assert api.store.calls[-1] == ("events", 10_000_000_000, 20_500_000_000, {"type": ("container",)})
    eventually(lambda: api.store.abandoned == 1)


def test_progress_errors_early_and_late(api: Any) -> None:
    early = api.request("POST", "/images/load", b"")
    assert (early.status, early.json) == (400, {"message": "the archive is empty"})
    late = api.request("POST", "/images/load", b"abc")
    assert late.status == 200
    lines = [json.loads(line) for line in late.body.splitlines()]
    assert lines == [
        {"status": "Loading layer", "progressDetail": {"current": 3, "total": 3}, "id": "abc"},
        {"error": "the archive is cut off", "errorDetail": {"message": "the archive is cut off"}},
    ]
    assert api.request("POST", "/images/create?fromImage=nope").status == 404


def test_a_stream_of_bytes_that_fails_is_cut(api: Any) -> None:
    with api.client() as client:
        client.send("GET", "/containers/broken/export")
        assert client.head()[0] == 200
        assert client.chunk() == b"half"
        with pytest.raises(EOFError):
            client.chunk()


def test_a_body_that_ends_early_is_not_taken(api: Any) -> None:
    with api.client() as client:
        client.send("POST", "/images/create?fromSrc=-&repo=r", b"", "Content-Length: 10", more=b"12345")
        api.request("GET", "/_ping")
    api.request("GET", "/_ping")
    assert not [call for call in api.store.calls if call[0] == "import"]


def test_import_takes_the_body(api: Any) -> None:
    path = "/images/create?fromSrc=-&repo=r&tag=t&message=m&changes=CMD+a&changes=ENV+b"
    assert api.request("POST", path, b"tar").json == {"status": "sha256:2"}
    assert api.store.calls[-1] == ("import", b"tar", "-", "r", "t", "m", ["CMD a", "ENV b"])


def test_a_change_is_carried_out_when_its_client_leaves(api: Any) -> None:
    with api.client() as client:
        client.send("POST", "/containers/held/stop")
        eventually(api.store.held.is_set)
    api.request("GET", "/_ping")
    api.loop.call_soon_threadsafe(api.store.hold.set)
    eventually(lambda: ("stopped",) in api.store.calls)


def test_tcp(api: Any) -> None:
    async def ping() -> tuple[int, str]:
        listener = socket.create_server(("127.0.0.1", 0))
        server = await serve(fake_services(api.store), [listener])
        url = "http://{}:{}/v1.41/_ping".format(*listener.getsockname())
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            told = answer.status, await answer.text()
        await server.stop(1)
        return told

    assert api.call(ping) == (200, "OK")


def test_stopping_ends_streams_and_carries_out_changes(api: Any, caplog: pytest.LogCaptureFixture) -> None:
    container = api.run("sleep")
    with api.client() as events, api.client() as attached, api.client() as stopping, api.client() as idle:
        events.send("GET", "/events")
        events.head()
        events.chunk()
        attach(attached, container)
        idle.send("GET", "/_ping")
        idle.answer()
        stopping.send("POST", "/containers/held/stop")
        eventually(api.store.held.is_set)
        thread = threading.Thread(target=api.call, args=(api.server.stop, 5))
        thread.start()
        assert events.chunk() == b""
        assert attached.rest() == b""
        api.loop.call_soon_threadsafe(api.store.hold.set)
        assert stopping.answer().status == 204
        thread.join()
        assert idle.rest() == b""
        with pytest.raises(ConnectionRefusedError), api.client():
            pass
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
