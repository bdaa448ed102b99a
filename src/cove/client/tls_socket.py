"""A TLS connection whose sending side can be closed while the other side's output is still to come."""

from __future__ import annotations

import select
import ssl
from _socket import MSG_DONTWAIT
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

PIECE = 64 * 1024


class TlsSocket:
    """What a client does with a socket, over TLS. Blocking. Raises ssl.SSLError, which is an OSError."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, name: str) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self._plain = b""
        self._ended = False
        self._shake_hands()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
            else:
                self._flush()
                return

    def _flush(self) -> None:
        """Send what is encrypted. Take what comes meanwhile: the other side may wait for that before it reads."""
        data = memoryview(self._outgoing.read())
        while data:
            poll = select.poll()
            poll.register(self._sock, select.POLLOUT if self._incoming.eof else select.POLLOUT | select.POLLIN)
            ((_, events),) = poll.poll()
            if events & select.POLLIN:
                self._receive()
            if events & ~select.POLLIN:
                with suppress(BlockingIOError):
                    data = data[self._sock.send(data, MSG_DONTWAIT) :]

    def _receive(self) -> None:
        if data := self._sock.recv(PIECE):
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _decrypt(self, limit: int) -> bytes | None:
        """What has come and can be read; None when more must come first, empty at the end."""
        try:
            return self._tls.read(limit)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def fileno(self) -> int:
        return self._sock.fileno()

    def pending(self) -> int:
        """Bytes that have come and were not given by ``recv``, which need not wait for the socket then."""
        return len(self._plain) + self._tls.pending() + self._incoming.pending

    def recv(self, limit: int) -> bytes:
        if self._plain:
            piece, self._plain = self._plain[:limit], self._plain[limit:]
            return piece
        while not self._ended:
            plain = self._decrypt(limit)
            if plain is not None:
                self._ended = not plain
                return plain
            self._flush()
            self._receive()
        return b""

    def send(self, data: bytes) -> int:
        """All of it."""
        self._tls.write(data)
        self._flush()
        return len(data)

    def sendall(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE):
            self.send(data[at : at + PIECE])

    def shutdown(self, how: int) -> None:
        """Say that no more will be sent, whatever ``how`` is."""
        while not self._ended and (plain := self._decrypt(PIECE)):
            self._plain += plain  # or it would be taken for the answer to what follows
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self._flush()

    def settimeout(self, seconds: float | None) -> None:
        self._sock.settimeout(seconds)

    def close(self) -> None:
        self._sock.close()
