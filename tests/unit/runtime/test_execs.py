"""Further processes in a running container."""

import signal
from collections.abc import Callable

from cove.runtime import messages
from harness.shims import Client, RunningShim
from harness.waiting import eventually

Start = Callable[..., RunningShim]


def test_an_exec_has_streams_and_an_exit_code_of_its_own(start: Start) -> None:
    shim = start("sleep", "1000")
    shim.started()
    client = Client()
    shim.exec("e1", ["sh", "-c", "cat; echo err >&2; exit 5"], client)
    assert shim.expect(messages.Done).pid
    client.send(b"in")
    client.half_close()
    assert client.frames() == {1: b"in", 2: b"err\n"}
    assert shim.expect(messages.ExecExited) == messages.ExecExited("e1", 5)
    assert not (shim.directory / "exec" / "e1.json").exists()
    assert shim.log_lines() == []


def test_an_exec_of_nothing_that_exists_fails_with_its_code(start: Start) -> None:
    shim = start("sleep", "1000")
    shim.started()
    client = Client()
    shim.exec("e1", ["/no/such"], client)
    failed = shim.expect(messages.Failed)
    assert (failed.request, failed.exit_code) == (7, 127)
    assert client.read() == b""
    shim.ask(messages.Query(1))
    assert shim.expect(messages.State).execs == {}


def test_an_exec_without_a_client(start: Start) -> None:
    shim = start("sleep", "1000")
    shim.started()
    shim.exec("e1", ["sh", "-c", "echo lost; exit 4"])
    shim.expect(messages.Done)
    assert shim.expect(messages.ExecExited).exit_code == 4


def test_an_exec_with_a_terminal(start: Start) -> None:
    shim = start("sleep", "1000")
    shim.started()
    client = Client()
    shim.exec("e1", ["sh", "-c", "read x; stty size; echo $x"], client, terminal=True)
    shim.expect(messages.Done)
    shim.ask(messages.Resize(2, "e1", 30, 90))
    shim.expect(messages.Done)
    client.send(b"typed\n")
    assert client.read().endswith(b"30 90\r\ntyped\r\n")
    shim.expect(messages.ExecExited)


def test_an_exec_is_signalled(start: Start) -> None:
    shim = start("sleep", "1000")
    shim.started()
    shim.exec("e1", ["sleep", "1000"])
    pid = shim.expect(messages.Done).pid
    shim.ask(messages.Query(1))
    assert shim.expect(messages.State).execs == {"e1": pid}
    shim.ask(messages.Signal(2, "e1", signal.SIGKILL, False))
    shim.expect(messages.Done)
    assert shim.expect(messages.ExecExited).exit_code == 137
    shim.ask(messages.Signal(3, "e1", signal.SIGKILL, False))
    assert "e1" in shim.expect(messages.Failed).message


def test_execs_end_with_the_container(start: Start) -> None:
    client, other = Client(), Client()
    shim = start("cat", stdin=True, stdin_once=True, clients=[client])
    shim.started()
    shim.exec("e1", ["sleep", "1000"], other)
    shim.expect(messages.Done)
    client.half_close()
    assert shim.expect(messages.ExecExited).exit_code == 137
    shim.expect(messages.Exited)
    assert other.read() == b""
    shim.gone()


def test_what_an_exec_leaves_in_the_background_does_not_hold_it(start: Start) -> None:
    shim = start("sleep", "1000")
    shim.started()
    client = Client()
    shim.exec("e1", ["sh", "-c", "sleep 1000 & (sleep 0.05; echo late) & echo x"], client)
    shim.expect(messages.Done)
    assert shim.expect(messages.ExecExited).exit_code == 0
    assert client.frames() == {1: b"x\nlate\n"}


def test_an_exec_before_the_program_runs_is_refused(start: Start) -> None:
    shim = start("true", await_network=True)
    shim.expect(messages.Created)
    client = Client()
    shim.exec("e1", ["true"], client)
    assert shim.expect(messages.Failed).message == "the container is not running"
    assert client.read() == b""


def test_bad_execs_are_refused(start: Start) -> None:
    shim = start("sleep", "1000")
    shim.started()
    for exec_id in ("../../etc/passwd", "nothing", ""):
        shim.ask(messages.Exec(3, exec_id, None))
        assert shim.expect(messages.Failed).request == 3
    (shim.directory / "exec").mkdir()
    (shim.directory / "exec" / "e1.json").write_text("[1")
    shim.ask(messages.Exec(4, "e1", None))
    assert shim.expect(messages.Failed).request == 4


def test_a_hundred_execs_at_once(start: Start) -> None:
    shim = start("sleep", "1000")
    shim.started()
    before = shim.descriptors()
    clients = {f"e{number}": Client() for number in range(100)}
    for exec_id, client in clients.items():
        shim.exec(exec_id, ["sh", "-c", f"read x; echo {exec_id} $x"], client)
    for client in clients.values():
        client.send(b"go\n")
    for exec_id, client in clients.items():
        assert client.frames() == {1: f"{exec_id} go\n".encode()}
    seen = []
    while len(seen) < 100:
        received = messages.receive(shim.control)
        assert received is not None
        if isinstance(received[0], messages.ExecExited):
            assert received[0].exit_code == 0
            seen.append(received[0].exec_id)
    assert sorted(seen) == sorted(clients)
    eventually(shim.descriptors, lambda count: count == before)
