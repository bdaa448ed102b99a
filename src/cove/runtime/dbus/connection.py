"""A connection to a bus, or to a peer: authenticate, call and wait, one thing at a time.

    we       NUL AUTH EXTERNAL <uid in hexadecimal>
    we       BEGIN                                       the bus   OK <guid>
    we       Hello, only to a bus (from here on messages) the bus  our name
    we       a call                                      the bus   its return or error; signals in between

Every wait has the deadline of the connection, so that nobody who talks to a bus hangs with it.
"""

import errno
import os
import socket
import time
from typing import Any, NamedTuple

from cove.runtime.dbus.marshalling import LARGEST, Reader, Variant, marshal, pad

_CALL, _RETURN, _ERROR, _SIGNAL = 1, 2, 3, 4
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SIGNATURE = 1, 2, 3, 4, 5, 6, 8
_FIELD_TYPES = {_PATH: "o", _INTERFACE: "s", _MEMBER: "s", _DESTINATION: "s", _SIGNATURE: "g"}
_FIXED_SIZE = 16
_BUS = "org.freedesktop.DBus"


class Refused(OSError):
    """An answer that is an error. ``name``: its D-Bus name."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(errno.EREMOTEIO, text or name)
        self.name = name


class Target(NamedTuple):
    """Whose methods are called."""

    destination: str
    path: str
    interface: str


class Signal(NamedTuple):
    interface: str
    member: str
    body: list[Any]


class Connection:
    """Connected and authenticated. Raises OSError (TimeoutError when it takes too long), ValueError for broken bytes.

    ``is_bus``: there is a bus daemon at the other end, and not the service itself.
    """

    def __init__(self, path: str, timeout: float, *, is_bus: bool) -> None:
        self._deadline = time.monotonic() + timeout
        self._serial = 0
        self._received = b""
        self._signals: list[Signal] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._limit()
            self._socket.connect(path)
            self._authenticate()
            if is_bus:
                self.call(Target(_BUS, "/org/freedesktop/DBus", _BUS), "Hello")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def subscribe(self, rule: str) -> None:
        """Have the bus send the signals that match (D-Bus specification, "Match Rules")."""
        self.call(Target(_BUS, "/org/freedesktop/DBus", _BUS), "AddMatch", "s", rule)

    def call(self, target: Target, member: str, signature: str = "", *values: Any) -> list[Any]:
        """What the method returns. Raises Refused for an error."""
        self._serial += 1
        self._limit()
        self._socket.sendall(_encode(self._serial, target, member, signature, values))
        while True:
            kind, fields, body = self._receive()
            if kind in (_RETURN, _ERROR) and fields.get(_REPLY_SERIAL) == self._serial:
                break
            self._keep(kind, fields, body)
        if kind == _ERROR:
            text = body[0] if body and isinstance(body[0], str) else ""
            raise Refused(str(fields.get(_ERROR_NAME, "")), text)
        return body

    def signal(self) -> Signal:
        """The next signal, or one that came while an answer was awaited."""
        while not self._signals:
            self._keep(*self._receive())
        return self._signals.pop(0)

    def _keep(self, kind: int, fields: dict[int, Any], body: list[Any]) -> None:
        if kind == _SIGNAL:
            self._signals.append(Signal(str(fields.get(_INTERFACE)), str(fields.get(_MEMBER)), body))

    def _limit(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(errno.ETIMEDOUT, "D-Bus: no answer in time")
        self._socket.settimeout(left)

    def _authenticate(self) -> None:
        """BEGIN goes with the rest, as sd-bus has it: systemd leaves a message that it reads together with BEGIN lying,
        until more comes.
        """
        self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
        while b"\r\n" not in self._received:
            if len(self._received) > 1024:
                raise ValueError("D-Bus: an answer to AUTH without an end")
            self._fill()
        line, _, self._received = self._received.partition(b"\r\n")
        if not line.startswith(b"OK "):
            raise PermissionError(errno.EACCES, f"D-Bus: {line.decode(errors='replace')}")

    def _fill(self) -> None:
        self._limit()
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            raise TimeoutError(errno.ETIMEDOUT, "D-Bus: no answer in time") from None
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "D-Bus: the connection was closed")
        self._received += data

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._fill()
        data, self._received = self._received[:size], self._received[size:]
        return data

    def _receive(self) -> tuple[int, dict[int, Any], list[Any]]:
        """A message's type, header fields and body."""
        start = self._take(_FIXED_SIZE)
        if start[:1] not in (b"l", b"B"):
            raise ValueError("D-Bus: a message of no byte order")
        big = start[:1] == b"B"
        _order, kind, _flags, version, size, _serial, fields_size = Reader(start, big_endian=big).read("yyyyuuu")
        if version != 1 or size + fields_size > LARGEST:
            raise ValueError("D-Bus: a message of another version, or too large")
        rest = self._take(fields_size + -fields_size % 8)
        reader = Reader(start + rest, big_endian=big)
        reader.offset = _FIXED_SIZE - 4
        fields = dict(reader.read("a(yv)")[0])
        body = Reader(self._take(size), big_endian=big).read(str(fields.get(_SIGNATURE, "")))
        return kind, fields, body


def _encode(serial: int, target: Target, member: str, signature: str, values: tuple[Any, ...]) -> bytes:
    body = marshal(signature, values)
    given = {
        _PATH: target.path,
        _INTERFACE: target.interface,
        _MEMBER: member,
        _DESTINATION: target.destination,
        _SIGNATURE: signature,
    }
    fields = [(code, Variant(_FIELD_TYPES[code], value)) for code, value in given.items() if value]
    header = bytearray(marshal("yyyyuua(yv)", [ord("l"), _CALL, 0, 1, len(body), serial, fields]))
    pad(header, 8)
    return bytes(header) + body
