"""The control side of a shim: its listening socket, and the connections of the daemon.

A connection that sends what is no message is closed; the others go on. Only this user (root) may connect.
"""

import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from cove.runtime import messages
from cove.runtime.loop import ERROR, READ, WRITE, Loop

SOCKET_NAME = "shim.sock"

_MAX_QUEUED = 4096
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid (unix(7))

Handle = Callable[["Connection", messages.Message, list[int]], None]
"""Carries out a message. It takes what it keeps out of the list of descriptors; the rest is closed after it."""


class Connection:
    """One connection of the daemon. What its socket does not take at once is queued."""

    def __init__(self, loop: Loop, peer: socket.socket, handle: Handle, on_end: Callable[["Connection"], None]) -> None:
        """``on_end``: called when the daemon asks nothing more on it, and again when it is closed."""
        peer.setblocking(False)
        self._loop = loop
        self._peer = peer
        self._handle = handle
        self._on_end = on_end
        self._queue: deque[tuple[messages.Message, list[int]]] = deque()
        self.open = self.asking = True
        loop.watch(peer.fileno(), READ, self._on_event)

    def send(self, message: messages.Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message with copies of ``descriptors``. A peer that is gone, or never reads, loses the connection."""
        if not self.open:
            return
        if self._queue or not self._sent(message, list(descriptors)):
            self._enqueue(message, [os.dup(descriptor) for descriptor in descriptors])

    def close(self) -> None:
        if not self.open:
            return
        self.open = self.asking = False
        self._loop.forget(self._peer.fileno())
        self._peer.close()
        while self._queue:
            close_all(self._queue.popleft()[1])
        self._on_end(self)

    def flush(self) -> None:
        """Send what is queued, waiting for the peer for at most a second; before the shim goes."""
        if self.open and self._queue:
            self._peer.settimeout(1.0)
            while self.open and self._queue:
                self._send_next()

    def _enqueue(self, message: messages.Message, descriptors: list[int]) -> None:
        self._queue.append((message, descriptors))
        if not self.open or len(self._queue) > _MAX_QUEUED:
            self.close()
        elif len(self._queue) == 1:
            self._watch(WRITE)

    def _sent(self, message: messages.Message, descriptors: list[int]) -> bool:
        """Whether the socket took the message, or will never take one."""
        try:
            messages.send(self._peer, message, descriptors)
        except BlockingIOError:
            return False
        except OSError:
            self.close()
        return True

    def _send_next(self) -> bool:
        message, descriptors = self._queue[0]
        if not self._sent(message, descriptors):
            return False
        if self.open:
            close_all(self._queue.popleft()[1])
        return True

    def _on_event(self, events: int) -> None:
        if events & WRITE:
            while self._queue and self._send_next():
                pass
            if self.open and not self._queue:
                self._watch(0)
        if self.open and events & ~WRITE:
            self._receive(gone=bool(events & ERROR))

    def _watch(self, writing: int) -> None:
        """``writing``: WRITE while something is queued, else 0."""
        self._loop.change(self._peer.fileno(), (READ if self.asking else 0) | writing)

    def _receive(self, *, gone: bool) -> None:
        try:
            received = messages.receive(self._peer)
        except BlockingIOError:
            return
        except messages.UnknownMessage as error:
            self._refuse(error)
            return
        except (OSError, ValueError):
            self.close()
            return
        if received is None:
            if gone:
                self.close()
            else:
                self._end_of_requests()
            return
        message, descriptors = received
        try:
            self._handle(self, message, descriptors)
        except (TypeError, ValueError, KeyError, AttributeError):  # its fields are not what they should be
            self.close()
            raise  # for the report
        finally:
            close_all(descriptors)

    def _end_of_requests(self) -> None:
        """The daemon has shut down its side alone: it asks nothing more, and waits to be told of the end."""
        self.asking = False
        self._watch(WRITE if self._queue else 0)
        self._on_end(self)

    def _refuse(self, error: messages.UnknownMessage) -> None:
        if error.request is None:
            self.close()
        else:
            self.send(messages.Failed(error.request, str(error), None))


class Control:
    """All control connections of one shim."""

    def __init__(self, loop: Loop, handle: Handle, on_alone: Callable[[], None]) -> None:
        """``on_alone``: called when no connection is left on which the daemon may still ask something."""
        self._loop = loop
        self._handle = handle
        self._on_alone = on_alone
        self._connections: list[Connection] = []
        self._listener: socket.socket | None = None

    def adopt(self, peer: socket.socket) -> None:
        """Serve a connection that is there already."""
        self._connections.append(Connection(self._loop, peer, self._handle, self._ended))

    def listen(self, run_dir: str) -> None:
        """Listen on ``shim.sock``, mode 0600. The path may be longer than a socket address holds. Raises OSError."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        directory = os.open(run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mask = os.umask(0o177)
        try:
            with suppress(FileNotFoundError):
                os.unlink(SOCKET_NAME, dir_fd=directory)
            listener.bind(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
            listener.listen(16)
        finally:
            os.umask(mask)
            os.close(directory)
        self._listener = listener
        self._loop.watch(listener.fileno(), READ, self._accept)

    def notify(self, message: messages.Message, descriptors: tuple[int, ...] = ()) -> None:
        """Tell every connection."""
        for connection in self._connections.copy():
            connection.send(message, descriptors)

    def stop_listening(self) -> None:
        if self._listener is not None:
            self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def close(self) -> None:
        self.stop_listening()
        for connection in self._connections.copy():
            connection.flush()
            connection.close()

    def _accept(self, _events: int) -> None:
        if self._listener is None:
            return
        try:
            peer, _address = self._listener.accept()
        except OSError:  # the caller has gone, or there are too many open files: it will try again
            return
        _pid, uid, _gid = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if uid == os.geteuid():
            self.adopt(peer)
        else:
            peer.close()

    def _ended(self, connection: Connection) -> None:
        if not connection.open:
            self._connections.remove(connection)
        if not any(other.asking for other in self._connections):
            self._on_alone()


def close_all(descriptors: list[int]) -> None:
    """Close the descriptors and empty the list."""
    while descriptors:
        os.close(descriptors.pop())
