"""A person at a terminal: its settings come back, its size is followed, signals are passed on, tables are redrawn."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import termios
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.waiting import eventually

PROGRAMS = ("docker", "cove")
TIOCGPTN = 0x80045430  # ioctl_tty(2); the name of a terminal's other side
REPORT = 'for s in HUP INT QUIT TERM USR1 USR2 ALRM CONT; do trap "echo got-$s" $s; done; echo ready; '
REPORT += "while :; do sleep 0.05; done"


@pytest.fixture
def box(runner: Any, name: str) -> Iterator[str]:
    """A container that runs, until the end of the test."""
    done = runner.docker("run", "-d", "--name", name, "busybox", "sleep", "300")
    assert done.code == 0, done.err
    yield name
    runner.docker("rm", "-f", name)


def _settings(terminal: Any) -> list[Any]:
    return termios.tcgetattr(terminal.fd)


def _name(terminal: Any) -> str:
    return f"/dev/pts/{struct.unpack('i', fcntl.ioctl(terminal.fd, TIOCGPTN, b'0000'))[0]}"


def _is_raw(terminal: Any) -> bool:
    return not _settings(terminal)[3] & termios.ICANON


LEAVINGS: dict[str, Callable[[Any, Any, str], None]] = {
    "the program ends": lambda terminal, runner, name: terminal.type(b"exit 3\r"),
    "the user detaches": lambda terminal, runner, name: terminal.type(b"\x10\x11"),
    "somebody removes it": lambda terminal, runner, name: runner.docker("rm", "-f", name),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("leaving", LEAVINGS)
def test_the_terminal_is_as_before(leaving: str, program: str, runner: Any, name: str) -> None:
    shell = runner.terminal(program, "run", "-it", "--name", name, "busybox", "sh")
    kept = os.open(_name(shell), os.O_RDWR | os.O_NOCTTY)  # or the settings go with the program
    try:
        shell.expect(b"# ")
        assert _is_raw(shell)
        LEAVINGS[leaving](shell, runner, name)
        os.waitpid(shell.pid, 0)
        assert not _is_raw(shell)
    finally:
        os.close(kept)
        os.close(shell.fd)
    runner.docker("rm", "-f", name)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("command", ["run", "exec", "attach"])
def test_the_size_is_followed(command: str, program: str, runner: Any, name: str) -> None:
    script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done"
    words = {
        "run": ("run", "--rm", "-it", "--name", name, "busybox", "sh", "-c", script),
        "exec": ("exec", "-it", name, "sh", "-c", script),
        "attach": ("attach", name),
    }[command]
    if command != "run":
        program_of = script if command == "attach" else "sleep 300"
        runner.docker("run", "-dit", "--name", name, "busybox", "sh", "-c", program_of)
    terminal = runner.terminal(program, *words)
    try:
        if command != "attach":
            terminal.expect(b"\r\n")
        for rows, columns in ((31, 101), (12, 34)):
            eventually(lambda: _is_raw(terminal))
            fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            terminal.expect(f"{rows} {columns}".encode())
    finally:
        terminal.kill()
        runner.docker("rm", "-f", name)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_signal_is_passed_on(program: str, runner: Any, name: str) -> None:
    process = runner.start(program, "run", "--rm", "--name", name, "busybox", "sh", "-c", REPORT)
    assert process.stdout.readline() == b"ready\n"
    for signum in "HUP INT QUIT USR1 USR2 ALRM CONT TERM".split():
        process.send_signal(signal.Signals[f"SIG{signum}"])
        assert process.stdout.readline() == f"got-{signum}\n".encode()
    runner.docker("rm", "-f", name)
    process.communicate(timeout=20)
    assert process.returncode == 137


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_without_the_proxy_only_the_client_goes(signum: signal.Signals, runner: Any, name: str) -> None:
    """Docker's goes on until it has had three of them."""
    runner.docker("run", "-d", "--name", name, "busybox", "sh", "-c", "while :; do echo tick; sleep 0.05; done")
    process = runner.start("cove", "attach", "--sig-proxy=false", "--no-stdin", name)
    assert process.stdout.readline() == b"tick\n"
    process.send_signal(signum)
    process.communicate(timeout=20)
    assert process.returncode not in (0, None)
    assert runner.docker("inspect", "-f", "{{.State.Running}}", name).out == "true\n"
    runner.docker("rm", "-f", name)


CODES = {
    ("run", "--rm", "--nothing", "busybox"): 125,
    ("run", "--rm", "--network", "container:nothing", "busybox", "true"): 125,
    ("run", "--rm", "busybox", "/etc"): 126,
    ("run", "--rm", "busybox", "/etc/passwd"): 126,
    ("run", "--rm", "busybox", "nothing-of-that-name"): 127,
    ("run", "--rm", "busybox", "sh", "-c", "exit 127"): 127,
    ("run", "--rm", "busybox", "sh", "-c", "kill -TERM $$"): 143,
    ("run", "--rm", "busybox", "sh", "-c", "kill -SEGV $$"): 139,
    ("run", "--rm", "busybox", "sh", "-c", "kill -KILL $$"): 137,
    ("run", "--rm", "--init", "busybox", "sh", "-c", "kill -TERM $$"): 143,
    ("run", "--rm", "-t", "busybox", "sh", "-c", "exit 77"): 77,
    ("exec", "BOX", "/etc"): 126,
    ("exec", "BOX", "nothing-of-that-name"): 127,
    ("exec", "BOX", "sh", "-c", "exit 78"): 78,
    ("exec", "BOX", "sh", "-c", "kill -TERM $$"): 143,
}


def test_exit_codes(runner: Any, box: str) -> None:
    for words, wanted in CODES.items():
        argv = [box if word == "BOX" else word for word in words]
        docker, cove = runner.both(*argv)
        assert cove.code == docker.code, (words, docker, cove)
        if "-c" not in words or "kill" not in words[-1] or "--init" in words or words[0] == "exec":
            assert cove.code == wanted, (words, cove)


STARTS = {
    ("busybox", "sh", "-c", "echo out; exit 7"): 7,
    ("--init", "busybox", "sh", "-c", "kill -TERM $$"): 143,
    ("busybox", "/etc/passwd"): 126,
    ("busybox", "nothing-of-that-name"): 127,
}


@pytest.mark.parametrize("words", STARTS, ids=" ".join)
def test_exit_codes_of_start(words: tuple[str, ...], runner: Any, name: str) -> None:
    found = []
    for program in PROGRAMS:
        runner.docker("create", "--name", name, *words)
        found.append(runner.run(program, "start", "-a", name))
        assert runner.docker("inspect", "-f", "{{.State.ExitCode}}", name).out == f"{STARTS[words]}\n"
        runner.docker("rm", name)
    docker, cove = found
    assert (cove.code, cove.out) == (docker.code, docker.out)
    assert cove.err == docker.err.replace("docker", "cove")


FRAME = re.compile(rb"\x1b\[H((?:(?!\x1b\[H).)*?)\x1b\[J", re.DOTALL)


def _frames(terminal: Any, count: int) -> list[list[str]]:
    """The tables that were drawn, one over the other: their lines as a person sees them."""
    frames = eventually(lambda: (_read(terminal), FRAME.findall(terminal.seen))[1], lambda seen: len(seen) >= count)
    tables = [[line.decode().split("\x1b")[0].rstrip() for line in frame.splitlines()] for frame in frames]
    return [[line for line in table if line] for table in tables]


def _read(terminal: Any) -> None:
    os.set_blocking(terminal.fd, False)
    try:
        terminal.seen += os.read(terminal.fd, 65536)
    except BlockingIOError:
        return


@pytest.mark.parametrize("program", PROGRAMS)
def test_statistics_are_drawn_again(program: str, runner: Any, box: str, name: str) -> None:
    """The newest container first; one that starts is added at the end, one that ends goes."""
    other = f"{name}-2"
    terminal = runner.terminal(program, "stats", "--format", "table {{.Name}}\t{{.PIDs}}")
    try:
        assert eventually(lambda: _frames(terminal, 2)[-1], lambda seen: f"{box}" in " ".join(seen))
        runner.docker("run", "-d", "--name", other, "busybox", "sleep", "300")
        last = eventually(lambda: _frames(terminal, 1)[-1], lambda seen: any(line.startswith(other) for line in seen))
        assert last[0].split() == ["NAME", "PIDS"]
        assert [line.split()[0] for line in last[1:] if name in line] == [box, other]
        runner.docker("rm", "-f", other)
        eventually(lambda: _frames(terminal, 1)[-1], lambda seen: not any(line.startswith(other) for line in seen))
        os.write(terminal.fd, b"\x03")
        os.set_blocking(terminal.fd, True)
        code = terminal.end()
        assert code in (130, -signal.SIGINT, 0), code
    finally:
        runner.docker("rm", "-f", other)
