"""Clients that ask over TCP: one connection each, several questions if they like."""

import socket
import struct
from collections.abc import Callable
from functools import partial

from cove.runtime.loop import READ, WRITE, Deadline, Loop

MAX_CLIENTS = 32
"""Connections of one container; a further one closes the oldest."""

IDLE = 10.0
"""Seconds after which a silent connection is closed."""

_LENGTH = struct.Struct("!H")
_MAX_UNSENT = 1 << 18

Ask = Callable[[bytes, Callable[[bytes], None]], None]
"""Is given a query and where its answer goes."""


class Client:
    """One connection."""

    def __init__(self, loop: Loop, connection: socket.socket, ask: Ask, gone: "Callable[[Client], None]") -> None:
        self._loop = loop
        self._connection = connection
        self._descriptor = connection.fileno()
        self._ask = ask
        self._gone = gone
        self._received = b""
        self._unsent = b""
        self._open = True
        self._waiting = 0
        self._ended = False
        self._idle: Deadline | None = None
        connection.setblocking(False)
        loop.watch(self._descriptor, READ, self._ready)
        self._stay()

    def close(self) -> None:
        """End the connection; answers that come later go nowhere."""
        if not self._open:
            return
        self._open = False
        if self._idle is not None:
            self._idle.cancel()
        self._loop.forget(self._descriptor)
        self._connection.close()
        self._gone(self)

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._loop.later(IDLE, self.close)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if self._open and events & ~WRITE:
            self._read()

    def _read(self) -> None:
        try:
            data = self._connection.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end()
            return
        self._stay()
        self._received += data
        while self._open and len(self._received) >= 2:
            length = _LENGTH.unpack_from(self._received)[0]
            if len(self._received) < 2 + length:
                return
            query, self._received = self._received[2 : 2 + length], self._received[2 + length :]
            self._waiting += 1
            self._ask(query, self._answer)

    def _end(self) -> None:
        """The client asks no more, but may still listen."""
        self._ended = True
        if not self._waiting:
            self.close()
        elif self._open:
            self._loop.change(self._descriptor, 0)

    def _answer(self, message: bytes) -> None:
        self._waiting -= 1
        if self._open:
            self._unsent += _LENGTH.pack(len(message)) + message
            self._flush()

    def _flush(self) -> None:
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        if len(self._unsent) > _MAX_UNSENT:
            self.close()
            return
        if self._ended and not self._unsent and not self._waiting:
            self.close()
            return
        self._loop.change(self._descriptor, (0 if self._ended else READ) | (WRITE if self._unsent else 0))


class Clients:
    """The connections of one container."""

    def __init__(self, loop: Loop, listener: socket.socket, ask: Ask) -> None:
        self._loop = loop
        self._listener = listener
        self._ask = ask
        self._clients: dict[Client, None] = {}
        loop.watch(listener.fileno(), READ, self._accept)

    def _accept(self, _events: int) -> None:
        try:
            connection, _address = self._listener.accept()
        except OSError:  # it has gone again, or there are no descriptors left
            return
        if len(self._clients) >= MAX_CLIENTS:
            next(iter(self._clients)).close()
        self._clients[Client(self._loop, connection, self._ask, partial(_forget, self._clients))] = None

    def close(self) -> None:
        """Before the listener is closed."""
        self._loop.forget(self._listener.fileno())
        for client in list(self._clients):
            client.close()


def _forget(clients: dict[Client, None], client: Client) -> None:
    clients.pop(client, None)
