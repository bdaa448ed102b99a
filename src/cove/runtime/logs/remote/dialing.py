"""Connections to log servers, with the words of Go's ``net`` for what fails."""

import errno
import os
import socket
import time
from collections.abc import Callable

TIMEOUT = 10.0
"""Seconds to connect in, and without progress after which a connection is given up."""

_PAUSE = 1.0
"""Seconds between two attempts to connect, of drivers that do not say."""


class DialError(OSError):
    """The message says all."""


def dial(network: str, address: str, timeout: float = TIMEOUT) -> socket.socket:
    """Connect. ``network``: tcp, udp, unix or unixgram; ``address``: ``host:port`` or a path. Raises DialError."""
    if network.startswith("unix"):
        return _dial_unix(network, address, timeout)
    host, port = host_port(address)
    kind = socket.SOCK_DGRAM if network == "udp" else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(host or "localhost", port, type=kind)
    except (OSError, UnicodeError) as error:
        raise DialError(f"dial {network}: lookup {host}: no such host") from error
    failure = DialError(f"dial {network} {address}: no address")
    for family, kind_, protocol, _name, place in found:
        connection = socket.socket(family, kind_, protocol)
        try:
            connection.settimeout(timeout)
            connection.connect(place)
        except OSError as error:
            connection.close()
            name = str(place[0])
            shown = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
            failure = DialError(f"dial {network} {shown if host else f':{port}'}: {_reason(error)}")
            continue
        return connection
    raise failure


def _dial_unix(network: str, path: str, timeout: float) -> socket.socket:
    if not path:
        raise DialError(f"dial {network}: missing address")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if network == "unixgram" else socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise DialError(f"dial {network} {path}: {_reason(error)}") from error
    return connection


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "i/o timeout"
    return f"connect: {os.strerror(error.errno).lower()}" if error.errno else str(error)


def host_port(address: str, default: int = 0) -> tuple[str, int]:
    """Of ``host``, ``host:port``, ``[::1]:port``. Raises ValueError."""
    host, _, port = address.rpartition(":") if ":" in address.rpartition("]")[2] else (address, "", "")
    return host.removeprefix("[").removesuffix("]"), int(port) if port else default


class Line:
    """A connection that is made again when it breaks, but not more often than every ``pause`` seconds."""

    def __init__(self, open_: Callable[[], socket.socket], pause: float = _PAUSE) -> None:
        self._open = open_
        self._pause = pause
        self._next = 0.0
        self.connection: socket.socket | None = None

    def connect(self) -> socket.socket:
        """The connection, be it a new one. Raises OSError, at once after a recent failure."""
        if self.connection is None:
            now = time.monotonic()
            if now < self._next:
                raise DialError("the last attempt to connect has just failed")
            self._next = now + self._pause
            self.connection = self._open()
            self._next = 0.0
        return self.connection

    def drop(self) -> None:
        """It is broken."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def send(self, data: bytes) -> None:
        """Send, on a new connection if the present one is broken. Raises OSError when that fails too."""
        try:
            self.connect().sendall(data)
        except OSError:
            self.drop()
            try:
                self.connect().sendall(data)
            except OSError:
                self.drop()
                raise
