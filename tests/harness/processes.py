"""Other processes of the machine: who started one, and what happens while one does not run."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.engine import Engine


def parent(pid: int) -> int:
    """The process that started it; of a container's init that is its shim."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """It does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def logging_processes(engine: Engine) -> list[int]:
    """Those beside the shims of an engine that write or send logs."""
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            ours = comm.read_text() == "cove-log\n" and (comm.parent / "ns/net").stat().st_ino == engine.netns.inode
        except OSError:
            continue
        if ours:
            found.append(int(comm.parent.name))
    return found
