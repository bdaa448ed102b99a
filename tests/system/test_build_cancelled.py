"""Builds whose client is killed while something is copied, fetched or written: nothing of them is left."""

import io
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

LARGE = 4 << 20
"""Bytes, more than a pipe and the sockets on the way hold."""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    (made / "large").write_bytes(os.urandom(LARGE))
    (made / "Dockerfile").write_text("FROM scratch\nCOPY large /\n")
    return made


def left(engine: Engine) -> tuple[list[str], list[str], list[str]]:
    """Images and containers, and what lies in the daemon's directories for builds."""
    images = engine.docker("images", "-aq", "--no-trunc").out.split()
    containers = engine.docker("ps", "-aq").out.split()
    scratch = [path.name for path in (engine.data_root / "tmp").iterdir()]
    return sorted(images), containers, sorted(name for name in scratch if name.startswith(("build-", "lent-")))


@contextmanager
def writing(engine: Engine, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A build that has begun to write to stdout, which nobody reads to its end."""
    with engine.spawned("cove", "build", "-q", *words) as client:
        assert client.stdout is not None
        assert client.stdout.read(512)
        yield client


@pytest.mark.parametrize("output", ["type=oci", "type=docker,dest=-", "type=tar"])
def test_a_client_killed_as_it_writes(daemon: Engine, context: Path, output: str) -> None:
    before = left(daemon)
    with writing(daemon, "-o", output, str(context)) as client:
        assert left(daemon) != before
        client.send_signal(signal.SIGKILL)
        client.wait(30)
        eventually(lambda: left(daemon) == before)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("used", ["", "created", "running"])
def test_an_image_that_was_there_without_a_name_stays(
    fresh_daemon: Daemon, context: Path, tmp_path: Path, used: str, restart: bool
) -> None:
    """One that its user has by its id, or in a container, though the killed build made the same."""
    (context / "Dockerfile").write_text("FROM busybox\nCOPY large /\nCMD sleep 600\n")
    fresh_daemon.cove("build", "-q", "--iidfile", str(tmp_path / "id"), str(context))
    image = (tmp_path / "id").read_text()
    if used:
        fresh_daemon.docker("create" if used == "created" else "run", *(["-d"] if used == "running" else []), image)
    before = left(fresh_daemon)
    with writing(fresh_daemon, "-o", "type=oci", str(context)) as client:
        if restart:
            fresh_daemon.kill9()
        client.send_signal(signal.SIGKILL)
        client.wait(30)
        if restart:
            fresh_daemon.start()
        eventually(lambda: not fresh_daemon.docker("images", "-q", "cove-build").out)
    assert left(fresh_daemon) == before and image in before[0]
    assert fresh_daemon.docker("run", "--rm", image, "echo", "there").out == "there\n"


def test_an_image_that_was_there_without_a_name_stays_after_the_end(
    daemon: Engine, context: Path, tmp_path: Path
) -> None:
    daemon.cove("build", "-q", "--iidfile", str(tmp_path / "id"), str(context))
    before = left(daemon)
    daemon.cove("build", "-q", "-o", f"type=oci,dest={tmp_path / 'out'}", str(context))
    assert left(daemon) == before and (tmp_path / "id").read_text() in before[0]


@pytest.mark.parametrize("output", ["type=oci", "type=tar"])
def test_client_and_daemon_killed_as_it_is_written(fresh_daemon: Daemon, context: Path, output: str) -> None:
    fresh_daemon.docker("tag", "busybox", "cove-build:mine")
    before = left(fresh_daemon)
    with writing(fresh_daemon, "-o", output, str(context)) as client:
        fresh_daemon.kill9()
        client.send_signal(signal.SIGKILL)
        client.wait(30)
    fresh_daemon.start()
    assert left(fresh_daemon) == before
    assert fresh_daemon.docker("images", "-q", "cove-build:mine").out


def test_a_daemon_that_stops_waits_for_no_client(fresh_daemon: Daemon, context: Path) -> None:
    before = left(fresh_daemon)
    with writing(fresh_daemon, "-o", "type=oci", str(context)):
        fresh_daemon.restart()
        assert left(fresh_daemon) == before


_SLOW = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
kept = []
while True:
    client, _ = server.accept()
    client.recv(4096)
    client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 1000000\\r\\n\\r\\nbegin")
    kept.append(client)
    print("asked", flush=True)
"""


@contextmanager
def never_ending(engine: Engine) -> Iterator[tuple[str, IO[str]]]:
    """A server in the engine's network that only ever begins an answer; its address, and a line for each question."""
    command = engine.netns.command([sys.executable, "-I", "-c", _SLOW])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"127.0.0.1:{server.stdout.readline().strip()}", server.stdout
        finally:
            server.kill()


@pytest.mark.parametrize("line", ["ADD http://{}/file /", "ADD http://{}/repo.git /"])
def test_a_client_killed_as_something_is_fetched(daemon: Engine, context: Path, line: str) -> None:
    before = left(daemon)
    with never_ending(daemon) as (address, questions):
        (context / "Dockerfile").write_text(f"FROM busybox\n{line.format(address)}\n")
        with daemon.spawned("cove", "build", "-q", str(context)) as client:
            assert questions.readline() == "asked\n"
            client.send_signal(signal.SIGKILL)
            client.wait(30)
            eventually(lambda: left(daemon) == before)
        eventually(lambda: not [words for words in programs() if address in words])


def programs() -> list[str]:
    """The command lines of all processes."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(place.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def test_a_client_killed_as_files_are_copied(daemon: Engine, tmp_path: Path) -> None:
    """The context is a pipe that holds the copy up: it has begun when the client has read what was sent."""
    before = left(daemon)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as made:
        text = b"FROM busybox\nCOPY . /to/\nRUN --mount=target=/c sleep 600\n"
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        made.addfile(entry, io.BytesIO(text))
        for number in range(5000):
            made.addfile(tarfile.TarInfo(f"files/{number}"))
    with daemon.spawned("cove", "build", "--progress", "plain", "-") as client:
        assert client.stdin is not None and client.stderr is not None
        client.stdin.write(archive.getvalue())
        client.stdin.close()
        eventually(lambda: b"FROM busybox" in client.stderr.readline())
        client.send_signal(signal.SIGKILL)
        client.wait(30)
        eventually(lambda: left(daemon) == before and not list(daemon.exec_root.glob("containers/*")))
