"""A real coved with its own roots, cgroup parent and network namespace."""

import signal
import time

from harness import leaks
from harness.engine import BIN, POLL_SECONDS, Engine


class Daemon(Engine):
    """Our engine. ``flags``: more of coved's command line."""

    cli = "cove"

    def __init__(self, name: str, *flags: str) -> None:
        super().__init__(name)
        self.cgroup_parent = f"/{name}"
        self.flags = flags
        self.cdi_directories = (self.base / "cdi", self.base / "cdi-later")
        """Of the devices of vendors: not the machine's."""

    def argv(self) -> list[str]:
        return [
            str(BIN / "coved"),
            f"--data-root={self.data_root}",
            f"--exec-root={self.exec_root}",
            f"--host=unix://{self.socket}",
            f"--pidfile={self.pidfile}",
            f"--cgroup-parent={self.cgroup_parent}",
            *(f"--cdi-spec-dir={directory}" for directory in self.cdi_directories),
            *self.flags,
        ]

    def restart_with(self, *flags: str) -> None:
        """Stop it and start it with these flags more."""
        self.stop()
        self.flags = (*self.flags, *flags)
        self.start()

    def close(self) -> None:
        """Remove every container, then all else; end what is left of the processes."""
        try:
            if not self.running:
                self.start()
            leaks.remove_everything(self, keep_images=False)
            self.stop()
        finally:
            self._end_processes()
            leaks.remove_cgroups(self.cgroup_parent)
            super().close()

    def _end_processes(self) -> None:
        deadline = time.monotonic() + 5
        while left := leaks.processes(self):
            for process in left:
                process.send(signal.SIGKILL)
            assert time.monotonic() < deadline, f"cannot end {left}"
            time.sleep(POLL_SECONDS)
