"""How much memory the daemon and the children of its worker take for something, at their peaks."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from harness.daemon import Daemon

_WORKER = b"cove.layers.worker.process"


class Peaks:
    """Begins anew with each instance. ``look`` while a job is under way: its child is gone with it."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon.pid
        Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")  # begin the peak anew (proc_pid_clear_refs(5))
        self._before = _memory(daemon.pid, "VmHWM")
        self._jobs = 0
        self._seen = 0

    def look(self) -> None:
        """Note the peaks of the jobs that are under way; there is at least one."""
        worker = next(pid for pid in _children(self._daemon) if _WORKER in Path(f"/proc/{pid}/cmdline").read_bytes())
        jobs = list(_children(worker))
        assert jobs, "no job is under way"
        self._seen += 1
        self._jobs = max(self._jobs, *(_memory(job, "VmHWM") - _memory(worker, "VmRSS") for job in jobs))

    def growth(self) -> int:
        """Bytes that the process that took most has taken more than before; a child, than the worker it came from."""
        assert self._seen, "nobody has looked at the jobs"
        return max(self._jobs, _memory(self._daemon, "VmHWM") - self._before)


def _children(parent: int) -> Iterator[int]:
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{parent}\n" in status.read_text():
                yield int(status.parent.name)


def _memory(pid: int, field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) << 10 if found else 0
