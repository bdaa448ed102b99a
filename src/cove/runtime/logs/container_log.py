"""The log of one container: its output in lines, to files, and to processes that write or send it."""

from collections.abc import Callable
from functools import partial
from socket import socket

from cove.runtime.logs.files import Files, write
from cove.runtime.logs.lines import Lines
from cove.runtime.logs.sender import Sender
from cove.runtime.loop import Loop
from cove.runtime.messages import LogTarget, RemoteLog


def _nothing() -> None:
    """Nobody asked to be told."""


class ContainerLog:
    """``on_room``: called when ``full`` is no longer so; ``on_idle``: when less is left to do after ``finish``."""

    def __init__(self, target: LogTarget, loop: Loop) -> None:
        """Open the file, and connect a remote driver. Raises OSError, and DriverFailed in Docker's words."""
        self.on_room: Callable[[], None] = _nothing
        self.on_idle: Callable[[], None] = _nothing
        self._lines = Lines(self._keep)
        self._sender: Sender | None = None
        self._files: Files | Sender | None = None
        self._finished = False
        if target["path"]:
            self._files = self._begin_files(target, loop)
        if "remote" in target:
            remote = target["remote"]
            self._sender = Sender(loop, partial(_deliver, remote), remote["buffer"], self._has_room, self._is_idle)

    def _begin_files(self, target: LogTarget, loop: Loop) -> "Files | Sender":
        buffer = target.get("buffer", 0)
        if not buffer:
            return Files(target, loop, self._is_idle)
        work = partial(write, target=target)
        return Sender(loop, work, buffer, self._has_room, self._is_idle, to_its_end=True)

    @property
    def full(self) -> bool:
        """Whether the program has to wait: its log driver blocks."""
        return self._sender is not None and self._sender.full

    @property
    def written(self) -> bool:
        """Whether all is in the files, after ``finish``, or those are not waited for any longer."""
        return self._finished and (not isinstance(self._files, Sender) or self._files.idle)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way any more."""
        return all(part is None or part.idle for part in (self._sender, self._files))

    def write(self, stream: str, data: bytes) -> None:
        """Log ``data``, read just now from ``stream`` (``stdout`` or ``stderr``)."""
        self._lines.feed(stream, data)

    def border(self) -> tuple[int, dict[str, bytes]]:
        """As ``Lines.border``."""
        return self._lines.border()

    def finish(self) -> None:
        """Log the last lines that have no newline, and close the files."""
        self._lines.finish()
        self._finished = True
        for part in (self._files, self._sender):
            if part is not None:
                part.finish()

    def _keep(self, stream: str, data: bytes, when: int) -> None:
        if self._files is not None:
            self._files.send(stream, data, when)
        if self._sender is not None:
            self._sender.send(stream, data, when)

    def _has_room(self) -> None:
        self.on_room()

    def _is_idle(self) -> None:
        self.on_idle()


def _deliver(remote: RemoteLog, source: socket) -> None:
    from cove.runtime.logs.remote import delivery  # here alone: a shim with files only pays for none of it

    delivery.main(source, remote)
