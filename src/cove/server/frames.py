"""Docker's multiplexed frames, and log entries as a client sees them."""

import struct
from collections.abc import Iterable
from urllib.parse import quote_plus

from cove.units import format_time
from cove.wire.streams import LogEntry

_HEADER = struct.Struct(">BxxxL")
HEADER_SIZE = _HEADER.size


def frame(stream: int, data: bytes) -> bytes:
    """``stream`` byte, three zero bytes, big-endian length, data."""
    return _HEADER.pack(stream, len(data)) + data


class Demultiplexer:
    """Takes frames in pieces of any size and gives back their data, without the headers."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """The data of the frames in the next piece."""
        content = []
        while data:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                content.append(piece)
                continue
            wanted = HEADER_SIZE - len(self._header)
            self._header, data = self._header + data[:wanted], data[wanted:]
            if len(self._header) == HEADER_SIZE:
                self._left, self._header = _HEADER.unpack(self._header)[1], b""
        return b"".join(content)


def log_bytes(entries: Iterable[LogEntry], *, framed: bool, timestamps: bool, details: bool) -> bytes:
    """Log entries as the body of ``/logs``: time, then details, then the line; in frames unless of a terminal."""
    parts = []
    for entry in entries:
        line = entry.line
        if details:
            line = f"{_details(entry.details or {})} ".encode() + line
        if timestamps:
            line = f"{format_time(entry.time)} ".encode() + line
        parts.append(_HEADER.pack(entry.stream, len(line)) + line if framed else line)
    return b"".join(parts)


def _details(details: dict[str, str]) -> str:
    return ",".join(f"{quote_plus(key)}={quote_plus(details[key])}" for key in sorted(details))
