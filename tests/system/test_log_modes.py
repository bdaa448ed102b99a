"""A log whose file system takes nothing: who waits for it, and who does not."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.processes import logging_processes, parent
from harness.waiting import eventually

pytestmark = [pytest.mark.needs("cove")]

LINES = 200_000
SCRIPT = f"mkfifo /gate; read go </gate; seq 1 {LINES}; echo done > /end; exec sleep 600"


class Disk:
    """A file system of its own that can be frozen: whoever writes to it waits."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        subprocess.run(["fsfreeze", "-f", str(self.directory)], check=True)
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "-u", str(self.directory)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    image, directory = tmp_path / "image", tmp_path / "disk"
    subprocess.run(["truncate", "-s", "64m", str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    directory.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(directory)], check=True)
    try:
        yield Disk(directory)
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def logging(driver: str, *options: str) -> tuple[str, ...]:
    return ("--log-driver", driver, *(word for option in options for word in ("--log-opt", option)))


def logging_to(daemon: Daemon, disk: Disk, driver: str, *options: str) -> None:
    """A container named ``it`` whose log is on the disk, waiting for a line."""
    flags = ("--name", "it", "--stop-timeout", "0")
    daemon.docker("create", *flags, *logging(driver, *options), "busybox", "sh", "-c", SCRIPT)
    container = daemon.docker("inspect", "-f", "{{.Id}}", "it").out.strip()
    name = f"{container}-json.log" if driver == "json-file" else "container.log"
    (daemon.data_root / "containers" / container / name).symlink_to(disk.directory / "log")
    daemon.docker("start", "it")
    assert (disk.directory / "log").exists()


def go(daemon: Daemon) -> None:
    """Have it write, and wait until it has."""
    daemon.docker("exec", "it", "sh", "-c", "echo go >/gate")
    eventually(lambda: daemon.docker("exec", "it", "test", "-e", "/end", check=False).code == 0)


def kept(daemon: Daemon) -> list[int]:
    return [int(line) for line in daemon.docker("logs", "it").out.split()]


@pytest.mark.parametrize(
    ("driver", "options"), [("json-file", ()), ("local", ()), ("gelf", ("gelf-address=udp://127.0.0.1:12201",))]
)
def test_a_disk_that_takes_nothing_stops_nobody(
    daemon: Daemon, disk: Disk, driver: str, options: tuple[str, ...]
) -> None:
    """What does not fit into the buffer is dropped; what is kept is whole lines, in order, from the first on."""
    logging_to(daemon, disk, driver, "mode=non-blocking", "max-buffer-size=256k", *options)
    with disk.frozen():
        go(daemon)
        assert daemon.docker("inspect", "-f", "{{.State.Running}}", "it").out == "true\n"
    daemon.docker("stop", "it")
    lines = kept(daemon)
    assert lines[0] == 1
    assert len(lines) < LINES
    assert lines == sorted(set(lines))


def test_a_larger_buffer_keeps_all(daemon: Daemon, disk: Disk) -> None:
    logging_to(daemon, disk, "json-file", "mode=non-blocking", "max-buffer-size=16m")
    with disk.frozen():
        go(daemon)
    daemon.docker("stop", "it")
    assert kept(daemon) == list(range(1, LINES + 1))


def test_the_program_waits_when_it_is_to(daemon: Daemon, disk: Disk) -> None:
    """Without the mode nothing is lost."""
    logging_to(daemon, disk, "json-file")
    with disk.frozen():
        daemon.docker("exec", "-d", "it", "sh", "-c", "echo go >/gate")
        shim = parent(int(daemon.docker("inspect", "-f", "{{.State.Pid}}", "it").out))
        eventually(lambda: Path(f"/proc/{shim}/stat").read_text().rpartition(")")[2].split()[0] == "D")
    eventually(lambda: daemon.docker("exec", "it", "test", "-e", "/end", check=False).code == 0)
    daemon.docker("stop", "it")
    assert kept(daemon) == list(range(1, LINES + 1))


def test_a_container_ends_while_its_log_takes_nothing(daemon: Daemon, disk: Disk) -> None:
    """What is left gets its seconds, and then the container has ended; nobody is left once the disk is back."""
    logging_to(daemon, disk, "json-file", "mode=non-blocking")
    with disk.frozen():
        go(daemon)
        daemon.docker("kill", "it")
        assert daemon.docker("wait", "it").out == "137\n"
        daemon.docker("rm", "it")
    eventually(lambda: not logging_processes(daemon))


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_the_log_is_whole_when_the_end_is_known(daemon: Daemon, driver: str) -> None:
    """Though another process writes it, rotates it and has it compressed."""
    options = ("mode=non-blocking", "max-buffer-size=100m", "max-size=1m", "max-file=20", "compress=true")
    daemon.docker("run", "--name", "it", *logging(driver, *options), "busybox", "seq", "1", "50000")
    assert kept(daemon) == list(range(1, 50001))


def test_one_piece_of_output_may_be_larger_than_the_buffer(daemon: Daemon) -> None:
    options = logging("json-file", "mode=non-blocking", "max-buffer-size=1")
    daemon.docker("run", "--name", "it", *options, "busybox", "sh", "-c", "head -c 6000 /bin/busybox | wc; seq 1 500")
    assert daemon.docker("logs", "--tail", "1", "it").out == "500\n"
