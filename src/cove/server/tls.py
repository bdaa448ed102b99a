"""TLS whose two directions end each by itself, between a TCP transport and the protocol that is served on it.

Docker's clients say that their input has ended by a close_notify, and go on reading the output (RFC 8446, section 6.1).
asyncio's own layer ends both ways then, and keeps the alert to itself when it refuses a client.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 60.0
LINGER = 2.0
"""Seconds for a client that was refused to read why."""

READ = 256 << 10


class TlsTransport(asyncio.Transport):
    """What the protocol writes to. What comes is decrypted at once, and held here while the protocol does not read."""

    def __init__(self, raw: asyncio.Transport, context: ssl.SSLContext, protocol: asyncio.Protocol) -> None:
        self._raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        extra = {name: raw.get_extra_info(name) for name in ("socket", "peername", "sockname")}
        super().__init__({**extra, "sslcontext": context, "ssl_object": self._tls})
        self._protocol = protocol
        self._paused = self._closing = self._input_ended = self._output_ended = False
        self._held: list[bytes] = []

    def shake_hands(self, data: bytes) -> bool:
        """Whether the handshake is done. Raises ssl.SSLError for a client that is refused; it is told why."""
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            self._flush()
        self._extra["peercert"] = self._tls.getpeercert()  # type: ignore[attr-defined]
        return True

    def feed(self, data: bytes) -> None:
        """Decrypt what has come, and give it on. Raises ssl.SSLError."""
        self._incoming.write(data)
        while not self._input_ended:
            try:
                plain = self._tls.read(READ)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                plain = b""
            self._held.append(plain)
            self._input_ended = not plain
        self._flush()
        self._give()

    def _give(self) -> None:
        while self._held and not self._paused and not self._closing:
            plain = self._held.pop(0)
            if plain:
                self._protocol.data_received(plain)
            elif not self._protocol.eof_received():
                self.close()

    def _flush(self) -> None:
        if (data := self._outgoing.read()) and not self._raw.is_closing():
            self._raw.write(data)

    # asyncio.Transport

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data and not self._output_ended and not self._raw.is_closing():
            self._tls.write(data)
            self._flush()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """A close_notify; what comes from the client is still read."""
        if self._output_ended:
            return
        self._output_ended = True
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()  # nothing waits to be decrypted: it would be taken for the other side's answer
        self._flush()

    def pause_reading(self) -> None:
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self._raw.is_closing():
            self._paused = False
            self._raw.resume_reading()
            asyncio.get_running_loop().call_soon(self._give)

    def is_reading(self) -> bool:
        return not self._paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._raw.get_write_buffer_limits()

    def is_closing(self) -> bool:
        return self._closing or self._raw.is_closing()

    def close(self) -> None:
        if not self._closing:
            self.write_eof()
            self._closing = True
            self._raw.close()

    def abort(self) -> None:
        self._closing = True
        self._raw.abort()


class TlsProtocol(asyncio.Protocol):
    """Serves ``protocol`` on a connection once its client has shown what ``context`` asks for."""

    def __init__(self, context: ssl.SSLContext, protocol: asyncio.Protocol) -> None:
        self._context = context
        self._protocol = protocol
        self._raw: asyncio.Transport | None = None
        self._tls: TlsTransport | None = None
        self._serving = self._refused = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._raw = transport
        self._tls = TlsTransport(transport, self._context, self._protocol)
        self._deadline = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._refused or self._tls is None:
            return
        try:
            if self._serving:
                self._tls.feed(data)
            elif self._tls.shake_hands(data):
                self._serve(self._tls)
        except ssl.SSLError as error:
            self._refuse(error)

    def _serve(self, tls: TlsTransport) -> None:
        self._cancel()
        self._serving = True
        self._protocol.connection_made(tls)
        tls.feed(b"")

    def _refuse(self, error: ssl.SSLError) -> None:
        """The alert is on its way; a connection that is closed with bytes unread would lose it."""
        assert self._raw is not None
        log.debug("TLS: %s", error)
        self._refused = True
        self._cancel()
        if self._raw.can_write_eof():
            self._raw.write_eof()
        self._deadline = asyncio.get_running_loop().call_later(LINGER, self._raw.abort)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def eof_received(self) -> bool | None:
        """Without a close_notify before it: the client is gone."""
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._cancel()
        if self._serving:
            self._protocol.connection_lost(exc if isinstance(exc, Exception) else None)
        self._tls = None

    def pause_writing(self) -> None:
        if self._serving:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._serving:
            self._protocol.resume_writing()


def serving(context: ssl.SSLContext, protocols: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
    """A factory of protocols with TLS, of one of protocols without."""
    return lambda: TlsProtocol(context, protocols())
