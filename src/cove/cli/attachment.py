"""Between a hijacked connection and our own three streams: one poll loop, no threads.

Without a terminal the connection carries framed stdout and stderr; with one it carries bytes both ways. The end of our
input half-closes the connection; the end of its output ends the loop.
"""

from __future__ import annotations

import os
import select
from _socket import MSG_DONTWAIT, SHUT_WR

from cove.cli.terminal import STDERR, STDIN, STDOUT, EscapeKeys, RawMode
from cove.client.streams import STDERR as FRAME_STDERR
from cove.client.streams import Splitter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket as Socket

    from cove.cli.signals import Signals
    from cove.client.api import Pending

PIECE = 64 * 1024
# While this much waits to be sent, no more input is read.
MOST_UNSENT = 256 * 1024


class Detached(Exception):
    """The user typed the detach keys."""


class Attachment:
    """One attached connection. ``keys`` are the detach keys, only looked for when ``tty``."""

    def __init__(
        self,
        sock: Socket,
        leftover: bytes,
        signals: Signals,
        *,
        tty: bool,
        stdin: bool,
        keys: bytes = b"",
    ) -> None:
        self.sock = sock
        self.leftover = leftover
        self.signals = signals
        self.tty = tty
        self.stdin = stdin
        self._splitter = None if tty else Splitter()
        self._escape = EscapeKeys(keys) if tty else None
        self._unsent = b""
        self._input_over = not stdin
        self._plain = not hasattr(sock, "pending")

    def pump(self, ended: Pending | None = None) -> None:
        """Copy until the output ends, or until ``ended`` answers if it is given. Raises Detached."""
        self._write(self.leftover)
        if self._input_over:
            self._close_write()
        while True:
            ready = dict(self._poll(ended))
            if self.signals.fileno() in ready:
                self.signals.deliver()
            if self.sock.fileno() in ready and not self._receive(ready[self.sock.fileno()]):
                return
            if STDIN in ready and self.stdin:
                self._read_input()
            if ended is not None and ended.fileno() in ready:
                return

    def _poll(self, ended: Pending | None) -> list[tuple[int, int]]:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        poll.register(self.signals, select.POLLIN)
        if not self._input_over and len(self._unsent) < MOST_UNSENT:
            poll.register(STDIN, select.POLLIN)
        if ended is not None:
            poll.register(ended, select.POLLIN)
        pending = getattr(self.sock, "pending", None)
        if pending is not None and pending():
            return [(self.sock.fileno(), select.POLLIN)]
        if ended is not None and ended.buffered:
            return [(ended.fileno(), select.POLLIN)]
        return poll.poll()

    def _receive(self, events: int) -> bool:
        """Move what is ready; false at the end of the output."""
        if events & select.POLLOUT:
            self._send()
        if not events & ~select.POLLOUT:
            return True
        try:
            piece = self.sock.recv(PIECE)
        except ConnectionResetError:
            piece = b""
        self._write(piece)
        return bool(piece)

    def _write(self, piece: bytes) -> None:
        if self._splitter is None:
            write_all(STDOUT, piece)
            return
        for kind, payload in self._splitter.feed(piece):
            write_all(STDERR if kind == FRAME_STDERR else STDOUT, payload)

    def _read_input(self) -> None:
        try:
            typed = os.read(STDIN, PIECE)
        except BlockingIOError:
            return
        except OSError:
            typed = b""
        detach = False
        if not typed:
            self._input_over = True
        elif self._escape is not None:
            typed, detach = self._escape.feed(typed)
        self._unsent += typed
        self._send()
        if detach:
            raise Detached

    def _send(self) -> None:
        """Send what can be sent without waiting; after the last of the input, half-close."""
        try:
            if self._unsent:
                self._unsent = self._unsent[self._send_some(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            # The other side takes no more input; its output and exit code still come.
            self._unsent, self._input_over = b"", True
            return
        if self._input_over and not self._unsent:
            self._close_write()

    def _send_some(self, data: bytes) -> int:
        # A TLS socket takes no flags; it is left to block.
        return self.sock.send(data, MSG_DONTWAIT) if self._plain else self.sock.send(data)

    def _close_write(self) -> None:
        try:
            self.sock.shutdown(SHUT_WR)
        except OSError:
            return


def write_all(fd: int, data: bytes) -> None:
    """Write everything, also to a pipe that someone made non-blocking."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])


def wait_with_signals(pending: Pending, signals: Signals) -> None:
    """Come back when ``pending`` has an answer, passing signals on meanwhile."""
    poll = select.poll()
    poll.register(pending, select.POLLIN)
    poll.register(signals, select.POLLIN)
    while not pending.buffered:
        ready = {fd for fd, _ in poll.poll()}
        if signals.fileno() in ready:
            signals.deliver()
        if pending.fileno() in ready:
            return


def raw_mode(tty: bool, stdin: bool) -> RawMode:
    """Raw mode for an attached terminal; a context that does nothing otherwise."""
    return RawMode(STDIN if tty and stdin else -1)
