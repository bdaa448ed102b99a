"""What clients see and feed: framing, standard input and its end, slow and dead clients, terminals, detaching."""

import struct
from collections.abc import Callable
from contextlib import suppress

from cove.runtime import messages
from harness.shims import Client, RunningShim

Start = Callable[..., RunningShim]
MIB = 1 << 20


def test_a_client_that_is_there_at_the_start_gets_everything(start: Start) -> None:
    client = Client(stdin=False)
    start("sh", "-c", "echo out; echo err >&2", clients=[client])
    assert client.frames() == {1: b"out\n", 2: b"err\n"}


def test_a_client_gets_only_the_streams_it_wants(start: Start) -> None:
    out, err = Client(stderr=False), Client(stdout=False)
    start("sh", "-c", "echo out; echo err >&2", clients=[out, err])
    assert out.frames() == {1: b"out\n"}
    assert err.frames() == {2: b"err\n"}


def test_much_output_arrives_whole_at_every_client_and_in_the_log(start: Start) -> None:
    early = Client()
    shim = start("sh", "-c", "read go; yes 0123456789abcde | head -c 8388608", clients=[early], stdin=True)
    shim.started()
    late = Client(stdin=False)
    shim.attach(late)
    early.send(b"go\n")
    # Read in turns: each may hold the program back, neither may lose or reorder anything.
    data: dict[Client, bytearray] = {early: bytearray(), late: bytearray()}
    reading = [early, late]
    while reading:
        for client in reading.copy():
            chunk = client.socket.recv(1 << 18)
            data[client] += chunk
            if not chunk:
                reading.remove(client)
    expected = b"0123456789abcde\n" * (8 * MIB // 16)
    assert unframed(data[early]) == expected
    assert unframed(data[late]) == expected
    shim.expect(messages.Exited)
    assert sum(len(text) for _stream, text in shim.log_lines()) == 8 * MIB


def unframed(data: bytearray) -> bytes:
    parts, at = [], 0
    while at < len(data):
        _stream, length = struct.unpack_from(">BxxxL", data, at)
        parts.append(bytes(data[at + 8 : at + 8 + length]))
        at += 8 + length
    return b"".join(parts)


def test_a_client_that_does_not_read_holds_the_program_back(start: Start) -> None:
    stalled = Client()
    shim = start("sh", "-c", "head -c 16777216 /dev/zero; echo done >&2", clients=[stalled])
    shim.started()
    watcher = Client(stdin=False, stdout=False)
    shim.attach(watcher)
    watcher.socket.settimeout(0.3)
    try:
        assert watcher.socket.recv(100) == b"", "the program ended though nobody read"
        raise AssertionError("the watcher was closed")
    except TimeoutError:
        pass
    # The dead do not hold it back.
    stalled.close()
    watcher.socket.settimeout(10)
    assert watcher.frames() == {2: b"done\n"}
    assert shim.expect(messages.Exited).exit_code == 0


def test_a_slow_client_gets_the_rest_after_the_program_has_ended(start: Start) -> None:
    client = Client()
    shim = start("head", "-c", str(MIB), "/dev/zero", clients=[client])
    shim.started()
    shim.expect(messages.Exited)
    assert client.frames() == {1: bytes(MIB)}
    shim.gone()


def test_standard_input_ends_with_a_half_close(start: Start) -> None:
    client = Client()
    shim = start("sort", clients=[client], stdin=True, stdin_once=True)
    client.send(b"b\na\n")
    client.half_close()
    assert client.frames() == {1: b"a\nb\n"}
    shim.started()
    assert shim.expect(messages.Exited).exit_code == 0


def test_standard_input_that_is_kept_open_outlives_its_clients(start: Start) -> None:
    first = Client()
    shim = start("cat", clients=[first], stdin=True)
    shim.started()
    first.send(b"1")
    assert first.read(b"1")
    first.half_close()
    assert first.read() == b""  # as in Docker: the end of its input is the end of the attachment
    second = Client()
    shim.attach(second)
    second.send(b"2")
    assert second.read(b"2")


def test_what_a_client_typed_before_it_left_reaches_the_program(start: Start) -> None:
    client = Client()
    shim = start("sh", "-c", "sleep 0.1; wc -c", clients=[client], stdin=True, stdin_once=True, await_network=True)
    shim.expect(messages.Created)
    client.socket.settimeout(0.2)
    sent = 0
    try:
        while sent < MIB:
            sent += client.socket.send(bytes(4096))
    except TimeoutError:
        pass
    client.close()
    shim.ask(messages.NetworkReady([]))
    shim.expect(messages.Started)
    shim.expect(messages.Exited)
    assert shim.log_lines() == [("stdout", f"{sent}\n")]


def test_a_program_that_does_not_read_holds_the_client_back(start: Start) -> None:
    client = Client()
    shim = start("sleep", "1000", clients=[client], stdin=True)
    shim.started()
    client.socket.setblocking(False)
    total = 0
    quiet = Client()
    while True:
        try:
            total += client.socket.send(bytes(1 << 16))
        except BlockingIOError:
            shim.ask(messages.Query(1))  # the shim has taken what it wants once it answers this after a full socket
            shim.expect(messages.State)
            try:
                total += client.socket.send(bytes(1 << 16))
            except BlockingIOError:
                break
    assert total < 2 * MIB
    quiet.close()
    quiet.theirs.close()


def test_a_program_that_closes_its_input_lets_the_client_go_on(start: Start) -> None:
    client = Client()
    shim = start(
        "sh", "-c", "exec <&-; echo closed; sleep 0.2; echo end", clients=[client], stdin=True, stdin_once=True
    )
    shim.started()
    client.read(b"closed\n")
    client.socket.settimeout(10)
    with suppress(BrokenPipeError):  # the program may have ended before all is sent
        for _ in range(64):
            client.send(bytes(1 << 16))
    assert client.read().endswith(b"end\n")


def test_without_stdin_the_program_reads_nothing(start: Start) -> None:
    client = Client(stdin=True)
    start("cat", clients=[client])
    client.send(b"ignored")
    assert client.read() == b""


def test_a_terminal_is_raw_and_logged_as_stdout(start: Start) -> None:
    client = Client()
    shim = start("sh", "-c", "tty >/dev/null && echo yes; echo err >&2", clients=[client], terminal=True)
    assert client.read() == b"yes\r\nerr\r\n"
    shim.started()
    shim.expect(messages.Exited)
    assert shim.log_lines() == [("stdout", "yes\r\n"), ("stdout", "err\r\n")]


def test_a_terminal_can_be_resized_before_and_while_the_program_runs(start: Start) -> None:
    client = Client()
    shim = start(
        "sh", "-c", "stty size; trap 'stty size; exit' WINCH; echo go; while :; do sleep 0.05; done",
        clients=[client], terminal=True, stdin=True, await_network=True,
    )  # fmt: skip
    shim.expect(messages.Created)
    shim.ask(messages.Resize(1, None, 33, 101))
    shim.expect(messages.Done)
    shim.ask(messages.NetworkReady([]))
    assert client.read(b"go\r\n") == b"33 101\r\ngo\r\n"
    shim.expect(messages.Started)
    shim.ask(messages.Resize(2, None, 44, 102))
    shim.expect(messages.Done)
    assert client.read() == b"44 102\r\n"


def test_there_is_nothing_to_resize_without_a_terminal(start: Start) -> None:
    shim = start("sleep", "100")
    shim.started()
    shim.ask(messages.Resize(1, None, 33, 101))
    assert "no terminal" in shim.expect(messages.Failed).message


def test_a_terminal_survives_a_program_that_closes_and_opens_it(start: Start) -> None:
    client = Client()
    start("sh", "-c", "t=$(tty); exec <&- >&- 2>&-; sleep 0.1; echo back >$t", clients=[client], terminal=True)
    assert client.read() == b"back\r\n"


def test_a_half_close_at_a_terminal_changes_nothing(start: Start) -> None:
    client = Client()
    start("sh", "-c", "read line; echo got $line", clients=[client], terminal=True, stdin=True, stdin_once=True)
    client.send(b"x\n")
    client.half_close()
    assert client.read().endswith(b"got x\r\n")


def test_detach_keys_end_the_attachment_and_not_the_program(start: Start) -> None:
    client = Client(detach_keys="ctrl-p,ctrl-q")
    shim = start("cat", clients=[client], terminal=True, stdin=True)
    shim.started()
    client.send(b"a\x10b\n")  # a beginning of the keys is typed text after all
    assert b"b\r\n" in client.read(b"b\r\n")
    client.send(b"\x10")
    client.send(b"\x11")
    assert shim.expect(messages.Detached).attach_id == client.wish["attach_id"]
    client.read()
    shim.ask(messages.Query(1))
    shim.expect(messages.State)


def test_bad_detach_keys_are_refused(start: Start) -> None:
    shim = start("cat", terminal=True, stdin=True)
    shim.started()
    client = Client(detach_keys="ctrl-?")
    shim.ask(messages.Attach(4, client.wish), client.theirs.detach())
    assert "ctrl-?" in shim.expect(messages.Failed).message
    assert client.read() == b""
    client.close()


def test_an_attachment_after_the_end_is_refused(start: Start) -> None:
    slow = Client()
    shim = start("head", "-c", str(MIB), "/dev/zero", clients=[slow])
    shim.started()
    shim.expect(messages.Exited)
    client = Client()
    shim.ask(messages.Attach(4, client.wish), client.theirs.detach())
    assert shim.expect(messages.Failed).message == "the container is not running"
    assert client.read() == b""
    client.close()


def test_no_descriptor_is_left_in_the_shim(start: Start) -> None:
    shim = start("sleep", "1000", stdin=True)
    shim.started()
    before = shim.descriptors()
    for _ in range(5):
        client = Client()
        shim.attach(client)
        client.close()
        shim.exec("e1", ["sh", "-c", "cat; echo x"], client := Client())
        shim.expect(messages.Done)
        client.half_close()
        assert client.frames() == {1: b"x\n"}
        shim.expect(messages.ExecExited)
    assert shim.descriptors() == before


def test_the_log_of_driver_none_is_not_written(start: Start) -> None:
    client = Client()
    shim = start(
        "echo", "x", clients=[client], log={"driver": "none", "path": "/nonexistent/x", "max_size": 0, "max_file": 0}
    )
    assert client.frames() == {1: b"x\n"}
    shim.started()
    shim.expect(messages.Exited)
    assert not shim.log.exists()
