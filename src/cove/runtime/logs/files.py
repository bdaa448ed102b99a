"""The files of one log: the one that grows, and older ones, which are compressed. This or another process writes."""

import socket
from collections.abc import Callable

from cove.runtime.logs.blocks import STREAMS, Blocks, Incoming
from cove.runtime.logs.compression import Compression
from cove.runtime.logs.jsonfile import JsonRecords
from cove.runtime.logs.rotation import Format, RotatedFile
from cove.runtime.loop import READ, Loop
from cove.runtime.messages import LogTarget

_READ_SIZE = 1 << 16
_NAMES = {number: name for name, number in STREAMS.items()}


class Files:
    """``on_idle``: called when ``idle`` becomes so."""

    def __init__(self, target: LogTarget, loop: Loop, on_idle: Callable[[], None]) -> None:
        """Open the newest. Raises OSError."""
        self._newest = RotatedFile(target["path"], _format(target), target["max_size"], target["max_file"])
        self._compression: Compression | None = None
        if target.get("compress"):
            self._compression = self._newest.compression = Compression(loop, self._newest, on_idle)

    @property
    def idle(self) -> bool:
        """Whether nothing is being compressed."""
        return self._compression is None or self._compression.idle

    def send(self, stream: str, data: bytes, when: int) -> None:
        """Write what ``Lines`` gave to keep together."""
        self._newest.append(stream, data, when)

    def finish(self) -> None:
        self._newest.close()
        if self._compression is not None:
            self._compression.finish()


def _format(target: LogTarget) -> Format:
    return JsonRecords(target.get("attributes")) if target["driver"] == "json-file" else Blocks()


def write(source: socket.socket, target: LogTarget) -> None:
    """Be the process that writes: blocks come from ``source``, which is told why it cannot begin, or an empty line."""
    loop = Loop()
    loop.reap_children()
    try:
        writing = _Writing(source, target, loop)
    except OSError as error:
        source.sendall(f"{error}\n".encode())
        return
    source.sendall(b"\n")
    loop.watch(source.fileno(), READ, writing.on_blocks)
    loop.run()


class _Writing:
    def __init__(self, source: socket.socket, target: LogTarget, loop: Loop) -> None:
        self._source = source
        self._loop = loop
        self._incoming = Incoming()
        self._ended = False
        self._files = Files(target, loop, self._leave_when_done)

    def on_blocks(self, _events: int) -> None:
        more = self._source.recv(_READ_SIZE)
        for stream, when, data in self._incoming.take(more):
            self._files.send(_NAMES[stream], data, when)
        if not more:
            self._loop.forget(self._source.fileno())
            self._ended = True
            self._files.finish()
            self._leave_when_done()

    def _leave_when_done(self) -> None:
        if self._ended and self._files.idle:
            self._loop.stop()
