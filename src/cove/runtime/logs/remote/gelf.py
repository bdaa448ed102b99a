"""The ``gelf`` driver: Graylog's format 1.1, over udp (compressed, in chunks) or tcp (ended by a zero byte).

Over tcp a broken connection is made again as often as the options say; then the message is dropped.
"""

import json
import os
import time
import zlib
from contextlib import suppress
from functools import partial

from cove.runtime.logs.remote.delivery import Message
from cove.runtime.logs.remote.dialing import DialError, Line, dial
from cove.runtime.messages import RemoteLog

CHUNK = 1420
"""Bytes of a datagram, its head included; what Graylog's clients use to stay below an Ethernet frame."""

MAX_CHUNKS = 128
_MAGIC = b"\x1e\x0f"
_HEAD = 12
_LEVELS = {1: 6, 2: 3}
_WINDOWS = {"gzip": 31, "zlib": 15}
_RECONNECTS = 3


def connect(remote: RemoteLog) -> "Gelf":
    """Raises OSError in Docker's words."""
    network, _, address = remote["options"]["gelf-address"].partition("://")
    address = address.partition("/")[0]
    line = Line(partial(dial, network, address), pause=0)
    try:
        line.connect()
    except DialError as error:
        raise DialError(f"gelf: cannot connect to GELF endpoint: {address} {error}") from error
    return Gelf(line, remote, stream=network == "tcp")


class Gelf:
    def __init__(self, line: Line, remote: RemoteLog, *, stream: bool) -> None:
        options, info = remote["options"], remote["info"]
        self._line = line
        self._stream = stream
        self._type = options.get("gelf-compression-type", "gzip")
        self._level = int(options.get("gelf-compression-level", "1"))
        self._reconnects = int(options.get("gelf-tcp-max-reconnect", _RECONNECTS))
        self._delay = int(options.get("gelf-tcp-reconnect-delay", "1"))
        self._host = info["hostname"]
        names = ("container_id", "image_id", "image_name", "command", "created")
        self._extra = {f"_{name}": value for name, value in remote["extra"].items()}
        self._extra |= {f"_{name}": info[name] for name in names}
        self._extra |= {"_container_name": info["container_name"].removeprefix("/"), "_tag": remote["tag"]}

    def send(self, message: Message) -> None:
        if not message.line:
            return
        data = self._encoded(message)
        with suppress(OSError):
            if self._stream:
                self._send_on_stream(data + b"\0")
            else:
                self._send_datagrams(self._compressed(data))

    def close(self) -> None:
        self._line.drop()

    def _encoded(self, message: Message) -> bytes:
        record: dict[str, object] = {
            "version": "1.1",
            "host": self._host,
            "short_message": message.line.decode(errors="replace"),
            "timestamp": message.time // 1_000_000 / 1000,
            "level": _LEVELS[message.stream],
            **self._extra,
        }
        if message.part is not None and not message.part.last:
            record["_partial_message"] = "true"
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")

    def _compressed(self, data: bytes) -> bytes:
        if self._type == "none":
            return data
        packer = zlib.compressobj(self._level, zlib.DEFLATED, _WINDOWS[self._type])
        return packer.compress(data) + packer.flush()

    def _send_datagrams(self, data: bytes) -> None:
        connection = self._line.connect()
        try:
            for datagram in chunks(data):
                connection.send(datagram)
        except ConnectionRefusedError:  # word of an earlier datagram: nobody listens
            pass

    def _send_on_stream(self, data: bytes) -> None:
        for attempt in range(self._reconnects + 1):
            try:
                self._line.connect().sendall(data)
                return
            except OSError:
                self._line.drop()
                if attempt < self._reconnects:
                    time.sleep(self._delay)


def chunks(data: bytes) -> list[bytes]:
    """The datagrams of one message. Raises OSError when it is too large for any number of them."""
    if len(data) <= CHUNK:
        return [data]
    size = CHUNK - _HEAD
    count = -(-len(data) // size)
    if count > MAX_CHUNKS:
        raise OSError(f"gelf: a message of {len(data)} bytes is too large")
    name = os.urandom(8)
    return [
        _MAGIC + name + bytes((number, count)) + data[number * size : (number + 1) * size] for number in range(count)
    ]
