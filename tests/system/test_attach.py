"""``docker attach`` and interactive ``docker run``: streams, terminals, detach keys, the hijacked connection itself."""

import contextlib
import itertools
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.terminal import on_terminal
from harness.waiting import eventually


def state(engine: Engine, name: str) -> str:
    return engine.docker("inspect", "-f", "{{.State.Status}}", name).out.strip()


ECHO = 'while read x; do [ "$x" = end ] && exit 9; echo got $x; done'


def say(client: subprocess.Popen[bytes], text: str) -> None:
    """Type a line and read up to the answer to it; what others said may come before."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(f"{text}\n".encode())
    client.stdin.flush()
    while (line := client.stdout.readline()) != f"got {text}\n".encode():
        assert line, "the stream ended without the answer"


def test_attached_client_gets_output_and_code(daemon: Engine) -> None:
    daemon.docker("run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", ECHO)
    with daemon.spawned("docker", "attach", "box") as client:
        say(client, "it")
        assert client.communicate(b"end\n", 30)[0] == b""
        assert client.returncode == 9


def test_interactive_shell(daemon: Engine) -> None:
    argv = ["docker", "run", "--rm", "-it", "--name", "shell", "busybox", "sh"]
    with on_terminal(argv, daemon.client_environment(), rows=31, columns=91) as terminal:
        terminal.expect("# ")
        terminal.send("tty; stty size\r")
        terminal.expect("/dev/pts/0\r\n31 91")
        terminal.send("exit 7\r")
        assert terminal.wait() == 7


def test_resize_reaches_the_program(daemon: Engine) -> None:
    argv = [
        "docker",
        "run",
        "--rm",
        "-it",
        "busybox",
        "sh",
        "-c",
        "trap 'stty size' WINCH; echo up; while :; do sleep .05; done",
    ]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("up")
        drag = itertools.cycle([(30, 90), (40, 120)])  # the client begins to listen to the window after the start

        def seen() -> bool:
            terminal.resize(*next(drag))
            return terminal.shows("40 120")

        eventually(seen)


def test_control_c_interrupts(daemon: Engine) -> None:
    argv = [
        "docker",
        "run",
        "--rm",
        "-it",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 77' INT; echo up; while :; do sleep .05; done",
    ]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("up")
        terminal.send("\x03")
        assert terminal.wait() == 77


def test_detach_and_come_back(daemon: Engine) -> None:
    with on_terminal(
        ["docker", "run", "-it", "--name", "box", "busybox", "sh"], daemon.client_environment()
    ) as terminal:
        terminal.expect("# ")
        terminal.send("\x10\x11")
        assert terminal.wait() == 0
    assert state(daemon, "box") == "running"
    with on_terminal(["docker", "attach", "box"], daemon.client_environment()) as terminal:
        terminal.send("echo $((6*7))\r")
        terminal.expect("42")
        terminal.send("exit\r")
        assert terminal.wait() == 0
    assert state(daemon, "box") == "exited"


def test_own_detach_keys(daemon: Engine) -> None:
    argv = ["docker", "run", "-it", "--name", "box", "--detach-keys", "ctrl-x,x", "busybox", "sh"]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("# ")
        terminal.send("\x18x")
        assert terminal.wait() == 0
    assert state(daemon, "box") == "running"


def test_two_clients_see_the_same(daemon: Engine) -> None:
    daemon.docker("run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", ECHO)
    with daemon.spawned("docker", "attach", "box") as one, daemon.spawned("docker", "attach", "box") as two:
        say(one, "1")
        say(two, "2")  # now both are attached
        say(one, "3")
        one.communicate(b"end\n", 30)
        assert two.communicate(timeout=30)[0] == b"got 3\n"
        assert (one.returncode, two.returncode) == (9, 9)


def test_to_a_container_that_does_not_run(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "busybox", "true")
    done = daemon.docker("attach", "box", check=False)
    assert done.code == 1
    assert "cannot attach to a stopped container" in done.err


def hijack(engine: Engine, target: str) -> tuple[socket.socket, bytes]:
    """A connection that the engine has handed over, and its answer's head."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(engine.socket))
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    connection.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(1)
    return connection, answer


def unframed(data: bytes) -> bytes:
    """What standard output carried, in however many frames it came."""
    output = b""
    while data:
        stream, length = struct.unpack(">BxxxL", data[:8])
        assert stream == 1
        output, data = output + data[8 : 8 + length], data[8 + length :]
    return output


def read_to_end(connection: socket.socket) -> bytes:
    data = b""
    while more := connection.recv(65536):
        data += more
    return data


def test_the_wire(daemon: Engine) -> None:
    daemon.docker("run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", "read x; echo out; echo err >&2")
    connection, head = hijack(daemon, "/containers/box/attach?stream=1&stdin=1&stdout=1&stderr=1")
    with connection:
        assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
        assert b"Content-Type: application/vnd.docker." in head
        connection.sendall(b"go\n")
        frames = read_to_end(connection)
    out, err = struct.pack(">BxxxL", 1, 4) + b"out\n", struct.pack(">BxxxL", 2, 4) + b"err\n"
    assert frames in {out + err, err + out}


def test_logs_with_attach(daemon: Engine) -> None:
    container = daemon.docker("run", "-d", "--name", "box", "busybox", "echo", "earlier").out.strip()
    daemon.docker("wait", container)
    connection, _ = hijack(daemon, "/containers/box/attach?logs=1&stdout=1")
    with connection:
        assert read_to_end(connection) == struct.pack(">BxxxL", 1, 8) + b"earlier\n"


def test_closing_the_sending_side_is_end_of_input(daemon: Engine) -> None:
    command = ["sh", "-c", "cat; echo end"]
    body = {"Image": "busybox", "Cmd": command, "OpenStdin": True, "StdinOnce": True, "AttachStdin": True}
    daemon.http("POST", "/containers/create?name=box", body)
    connection, _ = hijack(daemon, "/containers/box/attach?stream=1&stdin=1&stdout=1")
    with connection:
        assert daemon.http("POST", "/containers/box/start").status == 204
        connection.sendall(b"hello\n")
        connection.shutdown(socket.SHUT_WR)
        data = read_to_end(connection)
    assert unframed(data) == b"hello\nend\n"


def test_attach_to_no_container(daemon: Engine) -> None:
    answer = daemon.http("POST", "/containers/nonesuch/attach")
    assert answer.status == 404
    assert "No such container: nonesuch" in answer.body.decode()


def test_client_that_is_killed_leaves_the_container(daemon: Engine) -> None:
    daemon.docker("run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", ECHO)
    with daemon.spawned("docker", "attach", "box") as client:
        say(client, "a")
    assert state(daemon, "box") == "running"
    assert daemon.docker("logs", "box").out == "got a\n"


@pytest.mark.needs("cove")
def test_killed_clients_hold_nothing(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "silent", "busybox", "sleep", "600")
    descriptors = Path(f"/proc/{daemon.pid}/fd")
    before = len(list(descriptors.iterdir()))
    with contextlib.ExitStack() as clients:
        for _ in range(5):
            clients.enter_context(daemon.spawned("docker", "attach", "silent"))
        eventually(lambda: len(list(descriptors.iterdir())), lambda now: now >= before + 10)
    eventually(lambda: len(list(descriptors.iterdir())), lambda now: now <= before + 1)


COUNTING = (
    'i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done; printf unfinished; read x; echo " business"'
)


@pytest.mark.parametrize("times", range(3))
def test_the_log_goes_over_into_the_stream(daemon: Engine, times: int) -> None:
    """Whoever asks for both, while a program writes, gets every line once, and the unfinished one too."""
    daemon.docker("run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", COUNTING)
    connection, _ = hijack(daemon, "/containers/box/attach?logs=1&stream=1&stdout=1&stdin=1")
    with connection:
        seen = b""
        while b"unfinished" not in seen:
            seen += connection.recv(1 << 16)
        again, _ = hijack(daemon, "/containers/box/attach?logs=1&stream=1&stdout=1")
        connection.sendall(b"go\n")
        seen += read_to_end(connection)
    with again:
        repeated = read_to_end(again)
    expected = b"".join(b"line %d\n" % number for number in range(20000)) + b"unfinished business\n"
    assert unframed(seen) == expected
    assert unframed(repeated) == expected


def test_a_long_line_goes_over_into_the_stream(daemon: Engine) -> None:
    command = "head -c 50000 /dev/zero | tr '\\0' x; echo ready >&2; read x; head -c 50000 /dev/zero | tr '\\0' y; echo"
    daemon.docker("run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", command)
    wait_for_log(daemon, "ready")
    connection, _ = hijack(daemon, "/containers/box/attach?logs=1&stream=1&stdout=1&stdin=1")
    with connection:
        connection.sendall(b"go\n")
        assert unframed(read_to_end(connection)) == b"x" * 50000 + b"y" * 50000 + b"\n"


def wait_for_log(daemon: Engine, words: str) -> None:
    with daemon.spawned("docker", "logs", "-f", "box") as reader:
        assert reader.stderr is not None and reader.stderr.readline().decode().strip() == words
