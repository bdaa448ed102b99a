"""The shim's ends of a program's standard streams: what it writes is read here, what it reads is written here."""

import os
import select
from collections.abc import Callable

from cove.runtime.loop import READ, WRITE, Loop

_READ_SIZE = 1 << 15
"""Its log records stay below the size from which malloc maps and unmaps each buffer: twice as fast as 64 KiB."""


class Output:
    """Reads what a program writes to one pipe or terminal. It owns the file descriptor."""

    def __init__(self, loop: Loop, fd: int, take: Callable[[bytes], bool]) -> None:
        """``take`` is given the data and returns whether more may come; False pauses until ``resume``."""
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._take = take
        self._watched = False
        self.resume()

    @property
    def ended(self) -> bool:
        """Whether every writer is gone and all was read."""
        return self._fd < 0

    def resume(self) -> None:
        if not self.ended and not self._watched:
            self._watched = True
            self._loop.watch(self._fd, READ, self._on_event)

    def drain(self) -> None:
        """Read all that is there now, whoever may be slow to take it."""
        while not self.ended and self._read() is not None:
            pass

    def close(self) -> None:
        if self.ended:
            return
        self._pause()
        os.close(self._fd)
        self._fd = -1

    def _on_event(self, _events: int) -> None:
        if self._read() is False:
            self._pause()

    def _read(self) -> bool | None:
        """Whether the taker wants more; None when there is nothing to read."""
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:  # a terminal's EIO: no process has it open
            data = b""
        if not data:
            self.close()
            return None
        return self._take(data)

    def _pause(self) -> None:
        # Not watched for no event: the hang-up of a writer would be reported all the same, without end.
        if self._watched:
            self._watched = False
            self._loop.forget(self._fd)


class Input:
    """Writes to a program's standard input. It owns the file descriptor."""

    def __init__(self, loop: Loop, fd: int, on_room: Callable[[], None]) -> None:
        """``on_room``: called when all that was taken has been written and more may be fed."""
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._on_room = on_room
        self._pending = b""
        self._closing = False
        loop.watch(fd, 0, self._on_event)

    def feed(self, data: bytes) -> bool:
        """Take ``data``; whether more may follow at once. Once the program has closed its end, data is dropped."""
        if self._fd < 0 or self._closing:
            return True
        self._pending += data
        self._write()
        if not self._pending:
            return True
        self._loop.change(self._fd, WRITE)
        return False

    def close_when_written(self) -> None:
        self._closing = True
        if not self._pending:
            self.close()

    def close(self) -> None:
        if self._fd < 0:
            return
        self._loop.forget(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._pending = b""

    def _on_event(self, events: int) -> None:
        if events & select.EPOLLERR:  # the program has closed its end
            self.close()
        else:
            self._write()
        if self._pending:
            return
        if self._closing:
            self.close()
        elif self._fd >= 0:
            self._loop.change(self._fd, 0)
        self._on_room()

    def _write(self) -> None:
        try:
            if self._pending:
                self._pending = self._pending[os.write(self._fd, self._pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close()
