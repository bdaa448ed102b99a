"""The ``syslog`` driver: one message for each line, to a local socket, or to a server over udp, tcp or tls.

A message that cannot be sent on a connection is sent on a new one; if there is none, it is dropped, as in Docker.
Formats: RFC 3164, RFC 5424 (with microseconds or without), and the one of local sockets, which has no host name.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from cove.runtime.logs.remote.delivery import Message
from cove.runtime.logs.remote.dialing import TIMEOUT, DialError, Line, dial, host_port
from cove.runtime.messages import RemoteLog

_LOCAL_SOCKETS = ("/dev/log", "/var/run/syslog", "/var/run/log")
_DEFAULT_PORT = 514
_SEVERITIES = {1: 6, 2: 3}  # informational, error
_DAEMON = 3


def connect(remote: RemoteLog) -> "Syslog":
    """Raises OSError in Docker's words."""
    options = remote["options"]
    scheme, _, address = options.get("syslog-address", "").partition("://")
    line = Line(_opener(scheme, address, options))
    line.connect()
    facility = options.get("syslog-facility", "")
    framed = scheme == "tcp+tls" and options.get("syslog-format", "").startswith("rfc5424")
    return Syslog(line, remote, _number(facility), framed=framed)


def _opener(scheme: str, address: str, options: dict[str, str]) -> Callable[[], socket.socket]:
    if not scheme:
        return _dial_local
    if scheme.startswith("unix"):
        return partial(dial, scheme, address)
    host, port = host_port(address, _DEFAULT_PORT)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if scheme != "tcp+tls":
        return partial(dial, scheme, place)
    from cove.runtime.logs.remote import tls

    return partial(tls.dial, place, host, tls.context(options, "syslog-tls-"))


def _dial_local() -> socket.socket:
    for network in ("unixgram", "unix"):
        for path in _LOCAL_SOCKETS:
            with suppress(DialError):
                return dial(network, path, TIMEOUT)
    raise DialError("Unix syslog delivery error")


class Syslog:
    def __init__(self, line: Line, remote: RemoteLog, facility: int, *, framed: bool) -> None:
        """``framed``: each message has its length before it (RFC 5425)."""
        self._line = line
        self._tag = remote["tag"]
        self._host = remote["info"]["hostname"]
        self._facility = facility
        self._framed = framed
        self._format = _FORMATS[remote["options"].get("syslog-format", "")]

    def send(self, message: Message) -> None:
        if not message.line:
            return
        priority = self._facility << 3 | _SEVERITIES[message.stream]
        head = self._format(priority, message.time, self._host, self._tag)
        data = head.encode() + message.line + b"\n"
        with suppress(OSError):
            self._line.send(b"%d %b" % (len(data), data) if self._framed else data)

    def close(self) -> None:
        self._line.drop()


def _unix(priority: int, when: int, host: str, tag: str) -> str:
    return f"<{priority}>{_stamp(when)} {tag}[{os.getpid()}]: "


def _rfc3164(priority: int, when: int, host: str, tag: str) -> str:
    return f"<{priority}>{_stamp(when)} {host} {tag}[{os.getpid()}]: "


def _rfc5424(priority: int, when: int, host: str, tag: str) -> str:
    return f"<{priority}>1 {_rfc3339(when, '')} {host} {tag} {os.getpid()} {tag} - "


def _rfc5424_micro(priority: int, when: int, host: str, tag: str) -> str:
    return f"<{priority}>1 {_rfc3339(when, f'.{when // 1000 % 1_000_000:06d}')} {host} {tag} {os.getpid()} {tag} - "


_FORMATS: dict[str, Callable[[int, int, str, str], str]] = {
    "": _unix,
    "rfc3164": _rfc3164,
    "rfc5424": _rfc5424,
    "rfc5424micro": _rfc5424_micro,
}


def _stamp(when: int) -> str:
    """``Jan  2 15:04:05``, in the host's zone."""
    moment = time.localtime(when // 1_000_000_000)
    return f"{time.strftime('%b', moment)} {moment.tm_mday:2d} {time.strftime('%H:%M:%S', moment)}"


def _rfc3339(when: int, fraction: str) -> str:
    moment = time.localtime(when // 1_000_000_000)
    zone = time.strftime("%z", moment)
    shown = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}{fraction}{shown}"


def _number(facility: str) -> int:
    """The daemon has made it a number."""
    return int(facility) if facility else _DAEMON
