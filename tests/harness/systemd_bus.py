"""A bus with a systemd on it that makes scopes: what our engine talks to where no systemd runs.

It reads D-Bus by a parser of its own, more strictly than it must: whatever is not as the specification has it ends the
connection and is kept in ``faults``. Scopes are real control groups below the slice that was asked for.
"""

import contextlib
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

CGROUPS = Path("/sys/fs/cgroup")
_KNOWN = ("systemd", "memory", "pids", "devices")
_NAME = "org.freedesktop.systemd1"
_SIGNATURES = {
    "Hello": "",
    "AddMatch": "s",
    "StartTransientUnit": "ssa(sv)a(sa(sv))",
    "SetUnitProperties": "sba(sv)",
    "StopUnit": "ss",
    "ResetFailedUnit": "s",
}
_FIELDS = {1: "o", 2: "s", 3: "s", 6: "s", 8: "g"}
_TYPES = {
    "Description": "s",
    "Slice": "s",
    "PIDs": "au",
    "Delegate": "b",
    "DefaultDependencies": "b",
    "MemoryAccounting": "b",
    "CPUAccounting": "b",
    "IOAccounting": "b",
    "BlockIOAccounting": "b",
    "TasksAccounting": "b",
    "DevicePolicy": "s",
    "DeviceAllow": "a(ss)",
    "AllowedCPUs": "ay",
    "AllowedMemoryNodes": "ay",
}
_NUMBERS = "MemoryMax MemoryLow MemorySwapMax MemoryLimit CPUShares CPUWeight TasksMax BlockIOWeight".split()
_NUMBERS += ["CPUQuotaPerSecUSec", "CPUQuotaPeriodUSec"]


class Broken(Exception):
    """The client does not speak D-Bus."""


class Answer(Exception):
    """An error for the client."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class Unit(NamedTuple):
    properties: dict[str, Any]
    directories: list[Path]

    @property
    def pids(self) -> set[int]:
        found = set()
        for directory in self.directories:
            with contextlib.suppress(OSError):
                found |= {int(word) for word in (directory / "cgroup.procs").read_text().split()}
        return found

    def end(self) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.removed()

    def removed(self) -> bool:
        """Remove it unless it has processes; whether it is gone."""
        for directory in self.directories:
            with contextlib.suppress(OSError):
                directory.rmdir()
        return not any(directory.exists() for directory in self.directories)


class SystemdBus:
    """Serves ``path`` until it is closed. ``cgroups``: whether scopes are real; else they are names alone.

    ``calls``: what was called and with what, in order. ``lingers``: a unit whose processes are gone stays, as one that
    failed does. ``result``: how jobs end. ``silent``: nothing is answered.
    """

    def __init__(self, path: Path, *, cgroups: bool) -> None:
        self.calls: list[tuple[str, list[Any]]] = []
        self.units: dict[str, Unit] = {}
        self.faults: list[str] = []
        self.lingers = self.silent = False
        self.result = "done"
        self.cgroups = cgroups
        self.lock = threading.Lock()
        self._jobs = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for unit in self.units.values():
            unit.end()

    def called(self, member: str) -> list[list[Any]]:
        with self.lock:
            return [values for name, values in self.calls if name == member]

    def _accept(self) -> None:
        serving = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                break
            serving.append(threading.Thread(target=self._serve, args=(connection,)))
            serving[-1].start()
        for thread in serving:
            thread.join()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                _Client(self, connection).serve()
            except (Broken, UnicodeDecodeError, struct.error) as error:
                self.faults.append(str(error))
            except OSError:
                pass

    def new_job(self) -> tuple[int, str]:
        self._jobs += 1
        return self._jobs, f"/org/freedesktop/systemd1/job/{self._jobs}"

    def start(self, name: str, mode: str, given: list[Any], auxiliary: list[Any]) -> None:
        if mode != "fail" or auxiliary or not name.endswith(".scope"):
            raise Answer("org.freedesktop.DBus.Error.InvalidArgs", "not as a scope is started")
        if name in self.units and (self.lingers or self.units[name].pids):
            raise Answer(f"{_NAME}.UnitExists", f"Unit {name} already exists.")
        properties = _checked(given)
        unit = Unit(properties, _directories(properties["Slice"], name) if self.cgroups else [])
        for directory in unit.directories:
            directory.mkdir(parents=True, exist_ok=True)
            for pid in properties["PIDs"]:
                (directory / "cgroup.procs").write_text(str(pid))
        self.units[name] = unit

    def change(self, name: str, runtime: bool, given: list[Any]) -> None:
        if not runtime:
            raise Answer("org.freedesktop.DBus.Error.InvalidArgs", "a transient unit has no other than run time")
        self._unit(name).properties.update(_checked(given))

    def stop(self, name: str, mode: str) -> None:
        if mode != "replace":
            raise Answer("org.freedesktop.DBus.Error.InvalidArgs", mode)
        self._unit(name).end()
        if not self.lingers:
            del self.units[name]

    def reset(self, name: str) -> None:
        self._unit(name)
        del self.units[name]

    def _unit(self, name: str) -> Unit:
        if name not in self.units:
            raise Answer(f"{_NAME}.NoSuchUnit", f"Unit {name} not loaded.")
        return self.units[name]


def _checked(given: list[Any]) -> dict[str, Any]:
    found = {}
    for name, (kind, value) in given:
        if kind != _TYPES.get(name, "t" if name in _NUMBERS else None):
            raise Answer("org.freedesktop.DBus.Error.PropertyReadOnly", f"Cannot set property {name} of type {kind}")
        found[name] = value
    return found


def _directories(slice_: str, unit: str) -> list[Path]:
    words = slice_.removesuffix(".slice").split("-")
    place = "/".join("-".join(words[: count + 1]) + ".slice" for count in range(len(words)))
    roots = [CGROUPS / name for name in _KNOWN if (CGROUPS / name).is_dir()]
    return [root / place / unit for root in roots or [CGROUPS]]


class _Client:
    """One connection."""

    def __init__(self, bus: SystemdBus, connection: socket.socket) -> None:
        self._bus = bus
        self._socket = connection
        self._stream = connection.makefile("rb")
        self._serial = 0
        self._greeted = self._matched = False

    def serve(self) -> None:
        if self._stream.read(1) != b"\0":
            raise Broken("no zero byte first")
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid = struct.unpack("3i", credentials)[1]
        if self._stream.readline() != b"AUTH EXTERNAL " + str(uid).encode().hex().encode() + b"\r\n":
            raise Broken("not AUTH EXTERNAL with the peer's own uid")
        self._socket.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        if self._stream.readline() != b"BEGIN\r\n":
            raise Broken("no BEGIN")
        while (message := self._message()) is not None:
            if not self._bus.silent:
                with self._bus.lock:
                    self._answer(*message)

    def _message(self) -> tuple[int, dict[int, str], list[Any]] | None:
        head = self._stream.read(16)
        if not head:
            return None
        order, kind, flags, version, size, serial, fields_size = struct.unpack("<cBBBIII", head)
        if (order, kind, flags, version) != (b"l", 1, 0, 1) or serial <= self._serial:
            raise Broken(f"not a call: {head!r}")
        self._serial = serial
        raw = self._stream.read(fields_size + -fields_size % 8)
        fields = _fields(raw, fields_size)
        body = self._stream.read(size)
        values, end = _values(body, 0, fields.get(8, ""))
        if end != size:
            raise Broken("a body that is longer than its signature")
        return serial, fields, values

    def _answer(self, serial: int, fields: dict[int, str], values: list[Any]) -> None:
        member = fields[3]
        if fields.get(8, "") != _SIGNATURES.get(member):
            raise Broken(f"{member} with the signature {fields.get(8)!r}")
        self._check_target(member, fields)
        self._bus.calls.append((member, values))
        try:
            self._carry_out(serial, member, values)
        except Answer as error:
            self._send(3, serial, [(4, "s", error.name)], "s", _text(str(error)))

    def _check_target(self, member: str, fields: dict[int, str]) -> None:
        if member in ("Hello", "AddMatch"):
            expected = ("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
        else:
            expected = ("/org/freedesktop/systemd1", f"{_NAME}.Manager", _NAME)
        if (fields[1], fields[2], fields[6]) != expected or (member == "Hello") == self._greeted:
            raise Broken(f"{member} of {fields}, greeted: {self._greeted}")

    def _carry_out(self, serial: int, member: str, values: list[Any]) -> None:
        if member == "Hello":
            self._greeted = True
            self._send(2, serial, [], "s", _text(":1.7"))
            self._signal("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameAcquired", "s", _text(":1.7"))
        elif member == "AddMatch":
            self._matched = "member='JobRemoved'" in values[0]
            self._send(2, serial, [], "", b"")
        elif member in ("StartTransientUnit", "StopUnit"):
            act: Callable[..., None] = self._bus.start if member == "StartTransientUnit" else self._bus.stop
            act(*values)
            self._run_job(serial, values[0])
        else:
            (self._bus.change if member == "SetUnitProperties" else self._bus.reset)(*values)
            self._send(2, serial, [], "", b"")

    def _run_job(self, serial: int, unit: str) -> None:
        """Another's job ends first; then the answer, then the word of the end."""
        number, path = self._bus.new_job()
        self._job_removed(999, "/org/freedesktop/systemd1/job/999", "other.service", "failed")
        self._send(2, serial, [], "o", _text(path))
        self._job_removed(number, path, unit, self._bus.result)

    def _job_removed(self, number: int, path: str, unit: str, result: str) -> None:
        if not self._matched:
            return
        body = struct.pack("<I", number)
        for text in (path, unit, result):
            body += bytes(-len(body) % 4) + _text(text)
        self._signal("/org/freedesktop/systemd1", f"{_NAME}.Manager", "JobRemoved", "uoss", body)

    def _signal(self, path: str, interface: str, member: str, signature: str, body: bytes) -> None:
        self._send(4, None, [(1, "o", path), (2, "s", interface), (3, "s", member)], signature, body)

    def _send(
        self, kind: int, answers: int | None, given: list[tuple[int, str, str]], signature: str, body: bytes
    ) -> None:
        fields = b""
        if answers is not None:
            fields += b"\x05\x01u\0" + struct.pack("<I", answers)
        for code, type_, value in [*given, (7, "s", ":1.1"), *([(8, "g", signature)] if signature else [])]:
            fields += bytes(-len(fields) % 8) + bytes([code, 1, ord(type_), 0])
            fields += bytes([len(value)]) + value.encode() + b"\0" if type_ == "g" else _text(value)
        head = struct.pack("<cBBBIII", b"l", kind, 1, 1, len(body), 77, len(fields))
        self._socket.sendall(head + fields + bytes(-len(fields) % 8) + body)


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text.encode())) + text.encode() + b"\0"


def _fields(raw: bytes, size: int) -> dict[int, str]:
    fields: dict[int, str] = {}
    offset = 0
    while offset < size:
        offset = _aligned(raw, offset, 8)
        code = raw[offset]
        if _FIELDS.get(code) != raw[offset + 2 : offset + 3].decode() or raw[offset + 1] != 1 or code in fields:
            raise Broken(f"header field {code}: {raw!r}")
        (fields[code],), offset = _values(raw, offset + 4, _FIELDS[code])
    if offset != size or any(raw[size:]) or not {1, 3} <= set(fields):
        raise Broken(f"header fields {fields}")
    return fields


def _aligned(data: bytes, offset: int, alignment: int) -> int:
    end = offset + -offset % alignment
    if any(data[offset:end]) or end > len(data):
        raise Broken("padding that is not zero, or not there")
    return end


def _values(data: bytes, offset: int, signature: str) -> tuple[list[Any], int]:
    """The values of a signature of the kinds that are used here; a variant as its signature and value."""
    values = []
    while signature:
        kind, signature = _first(signature)
        value, offset = _value(data, offset, kind)
        values.append(value)
    return values, offset


def _first(signature: str) -> tuple[str, str]:
    if signature[0] == "a":
        kind, rest = _first(signature[1:])
        return "a" + kind, rest
    depth = 0
    for place, letter in enumerate(signature):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return signature[: place + 1], signature[place + 1 :]
    raise Broken(f"signature {signature!r}")


def _value(data: bytes, offset: int, kind: str) -> tuple[Any, int]:
    if kind in ("g", "v"):
        size = data[offset]
        text = data[offset + 1 : offset + 1 + size].decode("ascii")
        end = offset + 2 + size
        if data[end - 1] != 0:
            raise Broken("a signature without its zero")
        if kind == "g":
            return text, end
        (value,), end = _values(data, end, text)
        return (text, value), end
    if kind[0] == "(":
        values, end = _values(data, _aligned(data, offset, 8), kind[1:-1])
        return tuple(values), end
    if kind == "y":
        return data[offset], offset + 1
    if kind == "t":
        offset = _aligned(data, offset, 8)
        return struct.unpack_from("<Q", data, offset)[0], offset + 8
    offset = _aligned(data, offset, 4)
    number = struct.unpack_from("<I", data, offset)[0]
    offset += 4
    if kind == "b" and number > 1:
        raise Broken(f"a boolean that is {number}")
    if kind in ("u", "b"):
        return (bool(number) if kind == "b" else number), offset
    if kind in ("s", "o"):
        if data[offset + number] != 0 or b"\0" in data[offset : offset + number]:
            raise Broken("a string that does not end with its only zero")
        return data[offset : offset + number].decode(), offset + number + 1
    return _array(data, offset, number, kind[1:])


def _array(data: bytes, offset: int, size: int, kind: str) -> tuple[list[Any], int]:
    offset = _aligned(data, offset, 8 if kind[0] in "(t" else 1 if kind == "y" else 4)
    end, values = offset + size, []
    while offset < end:
        value, offset = _value(data, offset, kind)
        values.append(value)
    if offset != end:
        raise Broken("an array of another length than it says")
    return values, end
