"""What we ask of systemd: scopes made, changed and ended (org.freedesktop.systemd1(5)).

Over the system bus, or systemd's own socket where no bus runs, as on a small machine or early in its boot.
"""

import os
from contextlib import suppress
from typing import Any

from cove.runtime.dbus.connection import Connection, Refused, Target
from cove.runtime.dbus.marshalling import Variant
from cove.runtime.scope_names import BOOTED

BUS = "/run/dbus/system_bus_socket"
OWN_SOCKET = "/run/systemd/private"

_NAME = "org.freedesktop.systemd1"
_MANAGER = Target(_NAME, "/org/freedesktop/systemd1", f"{_NAME}.Manager")
_JOBS = f"type='signal',sender='{_NAME}',interface='{_NAME}.Manager',member='JobRemoved'"

Property = tuple[str, Variant]


class Systemd:
    """A connection to the service manager; close it. Methods raise OSError (TimeoutError) and ValueError."""

    def __init__(self, timeout: float) -> None:
        if not os.path.isdir(BOOTED):
            raise FileNotFoundError("the systemd cgroup driver was asked for, and systemd does not run here")
        self._connection, bus = _connect(timeout)
        if bus:
            self._connection.subscribe(_JOBS)

    def __enter__(self) -> "Systemd":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.__exit__()

    def start(self, unit: str, properties: list[Property]) -> None:
        """Make a scope and wait until its processes are in it; one that an earlier container left goes first."""
        try:
            self._start(unit, properties)
        except Refused as error:
            if error.name != f"{_NAME}.UnitExists":
                raise
            self.stop(unit)
            self._start(unit, properties)

    def _start(self, unit: str, properties: list[Property]) -> None:
        self._do("StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", properties, [])

    def change(self, unit: str, properties: list[Property]) -> None:
        """Until the unit ends."""
        self._call("SetUnitProperties", "sba(sv)", unit, True, properties)

    def stop(self, unit: str) -> None:
        """Wait until it is gone, as it is when there is none."""
        with suppress(Refused):
            self._do("StopUnit", "ss", unit, "replace")
        with suppress(Refused):  # it has not failed
            self._call("ResetFailedUnit", "s", unit)

    def _do(self, member: str, signature: str, unit: str, *values: Any) -> None:
        """A call that starts a job, whose end is awaited. Raises OSError when it does not end well."""
        (job,) = self._call(member, signature, unit, *values)
        while True:
            signal = self._connection.signal()
            if signal.member == "JobRemoved" and len(signal.body) == 4 and signal.body[1] == job:
                break
        if signal.body[3] != "done":
            raise Refused(f"{_NAME}.JobFailed", f"systemd: {unit}: the job ended as {signal.body[3]!r}")

    def _call(self, member: str, signature: str, *values: Any) -> list[Any]:
        return self._connection.call(_MANAGER, member, signature, *values)


def _connect(timeout: float) -> tuple[Connection, bool]:
    """Connected, and whether to a bus."""
    try:
        return Connection(BUS, timeout, is_bus=True), True
    except OSError as error:
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return Connection(OWN_SOCKET, timeout, is_bus=False), False
        raise OSError(error.errno, f"{error.strerror or error}", BUS) from None
