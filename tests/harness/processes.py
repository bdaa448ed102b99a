"""Other processes of the machine: who started one, and what happens while one does not run."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
