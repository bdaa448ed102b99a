"""The control group of a container that systemd has made: a scope with everything delegated to us.

systemd makes the directories, moves the first process in and is told the limits, lest a reload of it undoes them; the
rest is done in the directories as elsewhere. It removes a scope by itself when the last process is gone.
"""

import os
from contextlib import suppress

from cove.kernel import cgroups
from cove.kernel.cgroups import Cgroup
from cove.kernel.kernel_log import OutOfMemoryLog
from cove.oci.runtime import Resources
from cove.runtime import scope_names, unit_properties
from cove.runtime.systemd import Systemd

_START_TIMEOUT = 30.0
"""Seconds, as long as runc waits; a start is waited for by whoever asked."""

_CHANGE_TIMEOUT = 10.0
"""Seconds for a shim, which carries no output meanwhile."""


class Scope(Cgroup):
    """Its directories are what ``Cgroup`` says; they come and go with the unit."""

    def __init__(self, path: str) -> None:
        """``path``: slice:prefix:name. Raises ValueError."""
        self._slice, self.unit = scope_names.parse(path)
        super().__init__(cgroups.layout(), scope_names.control_group(path))
        self._log: OutOfMemoryLog | None = None

    def remember_kills(self) -> None:
        """From here on, ``oom_kills`` knows them also when systemd has removed the scope."""
        with suppress(OSError):  # without the kernel's log it knows those that it reads in time
            self._log = OutOfMemoryLog(self.path)

    def oom_kills(self) -> int:
        kills = super().oom_kills()
        return kills if kills or self._log is None else self._log.kills()

    def start(self, resources: Resources) -> None:
        """Have systemd make it with the calling process in it. Raises OSError, ValueError."""
        me = int(os.readlink("/proc/self"))  # as systemd counts: getpid() is 1 in a pid namespace of one's own
        properties = [
            *unit_properties.beginning(self._slice, self.unit, me),
            *unit_properties.accounting(self.layout.unified),
            *unit_properties.devices(resources.get("devices", [])),
            *unit_properties.limits(resources, unified=self.layout.unified),
        ]
        with Systemd(_START_TIMEOUT) as systemd:
            systemd.start(self.unit, properties)

    def change(self, resources: Resources) -> None:
        """Tell systemd the limits that ``resources`` has. Raises OSError, ValueError."""
        properties = unit_properties.limits(resources, unified=self.layout.unified)
        if properties:
            with Systemd(_CHANGE_TIMEOUT) as systemd:
                systemd.change(self.unit, properties)

    def remove(self) -> None:
        """Have it stopped, then remove what is left of it: directories that systemd does not know."""
        with suppress(OSError, ValueError), Systemd(_CHANGE_TIMEOUT) as systemd:
            systemd.stop(self.unit)  # a systemd that does not answer finds the scope empty, and removes it
        super().remove()
