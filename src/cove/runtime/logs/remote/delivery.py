"""The sender's life: connect, say so, and send what comes until the shim ends it."""

import importlib
import socket
from typing import NamedTuple, Protocol

from cove.runtime.logs import blocks
from cove.runtime.logs.lines import pieces
from cove.runtime.messages import RemoteLog

_READ_SIZE = 1 << 16


class Part(NamedTuple):
    """Which piece of a line that is longer than 16 KiB a message is. ``number`` counts from 1."""

    line: str
    number: int
    last: bool


class Message(NamedTuple):
    """``stream``: 1 stdout, 2 stderr. ``time``: nanoseconds since the epoch. ``line``: without its newline."""

    stream: int
    time: int
    line: bytes
    part: Part | None


class Driver(Protocol):
    def send(self, message: Message) -> None:
        """Send, block, or drop; never raises OSError."""

    def close(self) -> None:
        """All was sent."""


def main(source: socket.socket, remote: RemoteLog) -> None:
    """``source``: blocks from the shim; it is told why the driver cannot begin, or an empty line."""
    try:
        driver: Driver = importlib.import_module(f"cove.runtime.logs.remote.{remote['driver']}").connect(remote)
    except (OSError, ValueError) as error:
        source.sendall(f"{error}\n".encode())
        return
    source.sendall(b"\n")
    parts = Parts()
    incoming = blocks.Incoming()
    while more := source.recv(_READ_SIZE):
        for stream, when, data in incoming.take(more):
            for piece in pieces(data):
                driver.send(parts.message(stream, when, piece))
    driver.close()


class Parts:
    """Finds the pieces of long lines among records."""

    def __init__(self) -> None:
        self._open: dict[int, Part] = {}

    def message(self, stream: int, when: int, record: bytes) -> Message:
        last = record.endswith(b"\n")
        before = self._open.pop(stream, None)
        if before is None and (last or len(record) % _PIECE):
            return Message(stream, when, record.removesuffix(b"\n"), None)
        part = Part(before.line, before.number + 1, last) if before else Part(f"{stream:x}{when:032x}", 1, last)
        if not last:
            self._open[stream] = part
        return Message(stream, when, record.removesuffix(b"\n"), part)


_PIECE = 16 * 1024
