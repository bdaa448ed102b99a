"""The ``fluentd`` driver: the forward protocol, version 1, one message for each line, over tcp, tls or a unix socket.

What cannot be sent is tried again, after a wait that grows, as often as ``fluentd-max-retries`` says (by default for
ever: the container waits); with ``fluentd-request-ack`` until the server has said that it has the message. An
asynchronous driver begins without a connection; its buffer is the shim's. With ``fluentd-async-reconnect-interval`` its
connection is made anew once it is that old, for servers behind a name that comes to stand for others.
"""

import os
import socket
import time
from base64 import b64encode
from collections.abc import Mapping
from functools import partial

from cove.runtime.logs.remote import msgpack
from cove.runtime.logs.remote.delivery import Message
from cove.runtime.logs.remote.dialing import TIMEOUT, Line, dial, host_port
from cove.runtime.messages import RemoteLog

_DEFAULT_PORT = 24224
_GROWTH = 1.5
_LONGEST_WAIT = 60.0
_FOR_EVER = 1 << 31
_SOURCES = {1: "stdout", 2: "stderr"}


def connect(remote: RemoteLog) -> "Fluentd":
    """Raises OSError in Docker's words."""
    options = remote["options"]
    line = _line(options.get("fluentd-address", ""))
    if not _asynchronous(options):
        line.connect()
    return Fluentd(line, remote)


def _line(given: str) -> Line:
    scheme, found, address = given.partition("://")
    scheme, address = (scheme, address) if found else ("tcp", given)
    if scheme == "unix":
        return Line(partial(dial, "unix", address), pause=0)
    host, port = host_port(address.partition("/")[0], _DEFAULT_PORT)
    host = host or "127.0.0.1"
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if scheme == "tls":
        from cove.runtime.logs.remote import tls

        return Line(partial(tls.dial, place, host, tls.context({}, "")), pause=0)
    return Line(partial(dial, "tcp", place), pause=0)


def _asynchronous(options: Mapping[str, str]) -> bool:
    return _on(options.get("fluentd-async") or options.get("fluentd-async-connect"))


def _on(text: str | None) -> bool:
    return (text or "false").lower() in ("1", "t", "true")


class Fluentd:
    def __init__(self, line: Line, remote: RemoteLog) -> None:
        options, info = remote["options"], remote["info"]
        self._line = line
        self._tag = remote["tag"]
        self._exact = _on(options.get("fluentd-sub-second-precision"))
        self._ack = _on(options.get("fluentd-request-ack"))
        self._wait = float(options.get("fluentd-retry-wait", "1.0"))
        self._retries = int(options.get("fluentd-max-retries") or _FOR_EVER)
        self._timeout = float(options.get("fluentd-write-timeout", TIMEOUT)) or TIMEOUT
        self._ack_timeout = float(options.get("fluentd-read-timeout", TIMEOUT)) or TIMEOUT
        self._longest = float(options.get("fluentd-async-reconnect-interval", 0)) if _asynchronous(options) else 0.0
        self._renewed = 0.0
        self._record = {
            **remote["extra"],
            "container_id": info["container_id"],
            "container_name": info["container_name"],
        }

    def send(self, message: Message) -> None:
        """Block until it is sent, or given up."""
        token = b64encode(os.urandom(16)).decode() if self._ack else ""
        data = self._encoded(message, token)
        for attempt in range(self._retries + 1):
            try:
                self._send(data, token)
                return
            except (OSError, ValueError):
                self._line.drop()
            if attempt < self._retries:
                time.sleep(min(_LONGEST_WAIT, self._wait * _GROWTH**attempt))

    def close(self) -> None:
        self._line.drop()

    def _encoded(self, message: Message, token: str) -> bytes:
        record: dict[str, object] = {**self._record, "source": _SOURCES[message.stream], "log": message.line}
        if message.part is not None:
            record |= {
                "partial_message": "true",
                "partial_id": message.part.line,
                "partial_ordinal": str(message.part.number),
                "partial_last": str(message.part.last).lower(),
            }
        seconds, nanoseconds = divmod(message.time, 1_000_000_000)
        when = msgpack.EventTime(seconds, nanoseconds) if self._exact else seconds
        entry: list[object] = [self._tag, when, record]
        if token:
            entry.append({"chunk": token})
        return msgpack.pack(entry)

    def _connected(self) -> socket.socket:
        now = time.monotonic()
        if self._longest and now >= self._renewed + self._longest:
            self._line.drop()
        if self._line.connection is None:
            self._renewed = now
        return self._line.connect()

    def _send(self, data: bytes, token: str) -> None:
        """Raises OSError, and ValueError when the answer is none."""
        connection = self._connected()
        connection.settimeout(self._timeout)
        connection.sendall(data)
        if not token:
            return
        connection.settimeout(self._ack_timeout)
        answer = b""
        while (ack := msgpack.unpack_map(answer)) is None:
            more = connection.recv(4096)
            if not more:
                raise ConnectionResetError("the server closed the connection before it acknowledged")
            answer += more
        if ack.get("ack") != token:
            raise ValueError(f"the server acknowledged something else: {ack}")
