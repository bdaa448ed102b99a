"""A client that sees and feeds a container's or exec's streams: one stream socket, one direction at a time or both.

Towards the client go raw bytes of a terminal, or Docker's multiplexed frames; from it comes standard input. A client
that reads slowly has a bounded amount of output kept for it; what writes the output waits when that is full. A
client that is gone is forgotten at once.
"""

import socket
import struct
from contextlib import suppress
from typing import Protocol

from cove.runtime import detach, messages
from cove.runtime.loop import ERROR, READ, WRITE, Loop

MAX_PENDING = 1 << 20
"""Bytes that are kept for a client that does not read (Docker's too)."""

STDOUT = 1
STDERR = 2

_READ_SIZE = 1 << 15
_SEND_SIZE = 1 << 16
_FRAME = struct.Struct(">BxxxL")


class Input(Protocol):
    """Where what a client types goes."""

    def feed(self, data: bytes) -> bool:
        """Take ``data``; False asks the client to be paused until ``resume_input``."""


class Owner(Protocol):
    """What an attachment tells of itself."""

    @property
    def input(self) -> Input | None:
        """None until there is one."""

    def half_closed(self, attachment: "Attachment") -> None:
        """The client will send no more."""

    def ended(self, attachment: "Attachment", detached: bool) -> None:
        """The stream is closed: the client left, typed its detach keys, or got all that there was."""

    def has_room(self) -> None:
        """An attachment that was full is no longer."""


class Attachment:
    """One client. It owns its socket's file descriptor."""

    def __init__(self, loop: Loop, stream: int, wish: messages.Attachment, terminal: bool, owner: Owner) -> None:
        """``stream``: the socket, taken over. Raises BadKeys; the socket is closed then."""
        self._socket = socket.socket(fileno=stream)
        try:
            self._detector = detach.Detector(detach.parse(wish["detach_keys"] if terminal else ""))
        except (ValueError, KeyError, TypeError):
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self.attach_id = wish["attach_id"]
        self.feeds = wish["stdin"]
        self._shown = {STDOUT: wish["stdout"], STDERR: wish["stderr"]}
        self._framed = not terminal
        self._loop = loop
        self._owner = owner
        self._pending = bytearray()
        self._watched = False
        self._half_closed = False
        self._gone = False  # the client takes no output any more; what it had typed is still read
        self._finishing = False
        self._moved = False
        self.open = True
        self._reading = self.feeds and owner.input is not None
        self._update()

    @property
    def full(self) -> bool:
        return len(self._pending) >= MAX_PENDING

    @property
    def moved(self) -> bool:
        """Whether the client has taken anything since this was asked last."""
        moved, self._moved = self._moved, False
        return moved

    def shows(self, stream: int) -> bool:
        """Whether this client wants ``stream``."""
        return self._shown[stream]

    def show(self, stream: int, data: bytes) -> None:
        """Send output, or keep what the socket does not take."""
        if self._gone or self._finishing or not self.open:
            return
        parts = (_FRAME.pack(stream, len(data)), data) if self._framed else (data,)
        sent = 0 if self._pending else self._send(parts)
        if self._gone or sent == sum(map(len, parts)):
            return
        self._pending += b"".join(parts)[sent:]
        self._update()

    def resume_input(self) -> None:
        """There is an input, and it has room."""
        if self.open and self.feeds and not self._half_closed and not self._reading:
            self._reading = True
            self._update()

    def finish(self) -> None:
        """There will be no more output: end the stream once the client has taken what is kept for it."""
        self._finishing = True
        if not self._pending:
            self.close()

    def close(self, detached: bool = False) -> None:
        """End the stream now."""
        if not self.open:
            return
        self.open = False
        self._pending = bytearray()
        self._unwatch()
        self._hang_up()
        self._owner.ended(self, detached)

    def _hang_up(self) -> None:
        """Close the socket; what it holds unread would make the client's end of file a connection reset."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
            while self._socket.recv(_READ_SIZE):
                pass
        self._socket.close()

    def _update(self) -> None:
        """Watch for what is of interest. A client that is gone would report that without end, so it is left alone."""
        interest = (READ if self._reading else 0) | (WRITE if self._pending else 0)
        if self._gone and not interest:
            self._unwatch()
        elif self._watched:
            self._loop.change(self._socket.fileno(), interest)
        else:
            self._watched = True
            self._loop.watch(self._socket.fileno(), interest, self._on_event)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.forget(self._socket.fileno())

    def _on_event(self, events: int) -> None:
        if self._pending and events & WRITE:
            self._flush()
        if events & ERROR:
            self._lose_client()
        if self._reading and self.open:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if data:
            self._typed(data)
        else:
            self._end_of_input()

    def _typed(self, data: bytes) -> None:
        passed, detached = self._detector.feed(data)
        target = self._owner.input
        if passed and target is not None and not target.feed(passed):
            self._reading = False
            if not detached:
                self._update()
        if detached:
            self.close(detached=True)

    def _end_of_input(self) -> None:
        self._half_closed = True
        self._reading = False
        if self._gone:
            self.close()
            return
        self._update()
        self._owner.half_closed(self)

    def _flush(self) -> None:
        was_full = self.full
        sent = self._send((bytes(memoryview(self._pending)[:_SEND_SIZE]),))
        self._moved = self._moved or sent > 0
        del self._pending[:sent]
        if self._gone:
            return
        if not self._pending:
            self._flushed()
        if was_full and not self.full:
            self._owner.has_room()

    def _flushed(self) -> None:
        if self._finishing:
            self.close()
        else:
            self._update()

    def _send(self, parts: tuple[bytes, ...]) -> int:
        """How much the socket took of ``parts``."""
        try:
            return self._socket.sendmsg(parts, (), socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return 0
        except OSError:
            self._lose_client()
            return 0

    def _lose_client(self) -> None:
        """The client takes no more output. What it typed before it left still reaches the program."""
        if self._gone or not self.open:
            return
        was_full = self.full
        self._gone = True
        self._pending = bytearray()
        if self._finishing or not self.feeds or self._half_closed:
            self.close()
            return
        self._update()
        if was_full:
            self._owner.has_room()
