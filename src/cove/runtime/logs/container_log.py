"""The log of one container: its output in lines, to files, and to a process that sends it on."""

from collections.abc import Callable

from cove.runtime.logs.blocks import Blocks
from cove.runtime.logs.compression import Compression
from cove.runtime.logs.jsonfile import JsonRecords
from cove.runtime.logs.lines import Lines
from cove.runtime.logs.rotation import Format, RotatedFile
from cove.runtime.logs.sender import Sender
from cove.runtime.loop import Loop
from cove.runtime.messages import LogTarget


def _nothing() -> None:
    """Nobody asked to be told."""


class ContainerLog:
    """``on_room``: called when ``full`` is no longer so; ``on_idle``: when nothing is left to do after ``finish``."""

    def __init__(self, target: LogTarget, loop: Loop) -> None:
        """Open the file, and connect a remote driver. Raises OSError, and DriverFailed in Docker's words."""
        self.on_room: Callable[[], None] = _nothing
        self.on_idle: Callable[[], None] = _nothing
        self._lines = Lines(self._keep)
        self._format = _format(target)
        self._sender: Sender | None = None
        self._file: RotatedFile | None = None
        self._compression: Compression | None = None
        if target["path"]:
            self._file = RotatedFile(target["path"], self._format, target["max_size"], target["max_file"])
        if "remote" in target:
            self._sender = Sender(loop, target["remote"], self._has_room, self._is_idle)
        if self._file is not None and target.get("compress"):
            self._compression = self._file.compression = Compression(loop, self._file, self._is_idle)

    @property
    def full(self) -> bool:
        """Whether the program has to wait: its log driver blocks."""
        return self._sender is not None and self._sender.full

    @property
    def idle(self) -> bool:
        """Whether nothing is under way any more."""
        return all(part is None or part.idle for part in (self._sender, self._compression))

    def write(self, stream: str, data: bytes) -> None:
        """Log ``data``, read just now from ``stream`` (``stdout`` or ``stderr``)."""
        self._lines.feed(stream, data)

    def border(self) -> tuple[int, dict[str, bytes]]:
        """As ``Lines.border``."""
        return self._lines.border()

    def finish(self) -> None:
        """Log the last lines that have no newline, and close the file."""
        self._lines.finish()
        if self._file is not None:
            self._file.close()
        for part in (self._sender, self._compression):
            if part is not None:
                part.finish()

    def _keep(self, stream: str, data: bytes, when: int) -> None:
        if self._file is not None:
            self._file.append(stream, data, when)
        if self._sender is not None:
            self._sender.send(stream, data, when)

    def _has_room(self) -> None:
        self.on_room()

    def _is_idle(self) -> None:
        self.on_idle()


def _format(target: LogTarget) -> Format:
    return JsonRecords(target.get("attributes")) if target["driver"] == "json-file" else Blocks()
