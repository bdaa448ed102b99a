"""Word of a container's processes being killed for want of memory, while it runs."""

import contextlib
import os
import select
from collections.abc import Callable

from cove.kernel import cgroups
from cove.kernel.cgroups import Cgroup
from cove.runtime.loop import READ, Loop


class OutOfMemory:
    """Calls ``notice`` for each kill, or for several at once. ``close`` it before the control group is removed.

    ``seen``: whether there was one; the group's own count goes with a group that systemd removes.
    """

    def __init__(self, loop: Loop, cgroup: Cgroup, notice: Callable[[], None]) -> None:
        """Raises OSError when the kernel announces nothing here."""
        self._loop = loop
        self._cgroup = cgroup
        self._notice = notice
        self._kills = 0
        self.seen = False
        self._descriptors: list[int] = []
        try:
            if cgroup.layout.unified:
                self._watch_events()
            else:
                self._watch_control()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        for descriptor in self._descriptors:
            self._loop.forget(descriptor)
            os.close(descriptor)
        self._descriptors = []

    def _open(self, file: str, flags: int) -> int:
        directory = self._cgroup.directory("memory")
        descriptor = os.open(f"{directory}/{file}", flags | os.O_CLOEXEC)
        self._descriptors.append(descriptor)
        return descriptor

    def _watch_events(self) -> None:
        """Version 2 wakes whoever polls the file that has the counters, after each read of it (cgroup-v2.rst)."""
        file = self._open("memory.events", os.O_RDONLY)
        os.pread(file, 4096, 0)
        self._loop.watch(file, select.EPOLLPRI, lambda _events: self._on_events(file))

    def _on_events(self, file: int) -> None:
        with contextlib.suppress(OSError):
            os.pread(file, 4096, 0)
        kills = self._cgroup.oom_kills()
        if kills > self._kills:
            self._kills = kills
            self._tell()

    def _watch_control(self) -> None:
        """Version 1 counts in an eventfd that was registered (cgroup-v1/memory.rst, "OOM Control").

        The removal of the group counts as well (Linux, mm/memcontrol-v1.c), and systemd may remove it before us.
        """
        counter = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._descriptors.append(counter)
        control = self._open("memory.oom_control", os.O_RDONLY)
        directory = self._cgroup.directory("memory")
        cgroups.write_file(f"{directory}/cgroup.event_control", f"{counter} {control}")
        self._loop.watch(counter, READ, lambda _events: self._on_counter(counter, directory))

    def _on_counter(self, counter: int, directory: str | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(counter)
            if os.path.isdir(directory or "") or self._cgroup.oom_kills():
                self._tell()

    def _tell(self) -> None:
        self.seen = True
        self._notice()
