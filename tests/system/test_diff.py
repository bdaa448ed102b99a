"""``docker diff``."""

import json

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.memory import Peaks

CHANGES = """
mkdir -p /a/b; echo x >/a/b/c; rm /bin/ls; rm -rf /home; mkdir /home; touch /etc/passwd; chmod 700 /var
ln -s /a /link; rm -rf /root; touch /root; rm -rf /usr; touch /etc/hosts; mkfifo /fifo; chmod 700 /bin/busybox
"""
EXPECTED = {
    "C /bin",
    "C /bin/busybox",
    "D /bin/ls",
    "A /a",
    "A /a/b",
    "A /a/b/c",
    "C /etc",
    "C /etc/passwd",
    "C /var",
    "A /link",
    "A /fifo",
    "C /root",
    "D /usr",
    "A /volume",
    "A /tmpfs",
}


def _started(daemon: Engine, *command: str) -> None:
    daemon.docker("run", "-d", "--name", "box", "-v", "/volume", "--tmpfs", "/tmpfs", "busybox", *command)


def test_of_a_running_and_of_a_stopped_container(daemon: Engine) -> None:
    _started(daemon, "sleep", "600")
    daemon.docker("exec", "box", "sh", "-c", f"{CHANGES} touch /volume/file /tmpfs/file /dev/shm/file")
    lines = daemon.docker("diff", "box").out.splitlines()
    assert set(lines) == EXPECTED
    assert lines.index("A /a") < lines.index("A /a/b") < lines.index("A /a/b/c")
    daemon.docker("rm", "-f", "box")

    daemon.docker("run", "--name", "box", "-v", "/volume", "--tmpfs", "/tmpfs", "busybox", "sh", "-c", CHANGES)
    assert set(daemon.docker("diff", "box").out.splitlines()) == EXPECTED


def test_of_nothing(daemon: Engine) -> None:
    daemon.docker("create", "--name", "new", "busybox", "true")
    daemon.docker("run", "--name", "box", "busybox", "true")
    assert daemon.docker("diff", "new").out == ""
    assert daemon.docker("diff", "box").out == ""
    assert daemon.http("GET", "/containers/nonesuch/changes").status == 404


def test_a_directory_in_place_of_a_file_and_one_made_again(daemon: Engine) -> None:
    script = "rm /etc/group; mkdir /etc/group; touch /etc/group/in; rm -rf /var; mkdir -p /var/www"
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", script)
    expected = {"C /etc", "C /etc/group", "A /etc/group/in", "C /var", "D /var/spool"}
    assert set(daemon.docker("diff", "box").out.splitlines()) == expected


MANY = 60_000
MOST = 12 << 20
"""Bytes that a process may have more at its peak than before: a fifth of what keeping so many changes takes."""


@pytest.mark.needs("cove")
def test_memory_does_not_grow_with_the_number_of_changes(fresh_daemon: Daemon) -> None:
    daemon = fresh_daemon
    top = "/" + "x" * 200  # what is told is far more than what sockets and pipes hold
    fill = f"mkdir {top}; for d in $(seq {MANY // 200}); do mkdir {top}/$d; cd {top}/$d; touch $(seq 200); done"
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", fill, timeout=300)
    assert daemon.cove("diff", "box").out.count("\n") > MANY  # the worker is there
    peaks = Peaks(daemon)
    with daemon.spawned(
        "curl", "-sN", "--unix-socket", str(daemon.socket), "http://x/containers/box/changes"
    ) as client:
        assert client.stdout is not None
        read = client.stdout.read(MANY * 110)
        peaks.look()
        read += client.stdout.read()
    assert len(json.loads(read)) > MANY
    assert peaks.growth() < MOST
