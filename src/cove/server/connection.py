"""A client's connection: HTTP by aiohttp, until a route takes it over (hijacks it).

Docker's clients send ``Upgrade: tcp``, and may send standard input right behind the request, or close their sending
side. aiohttp would read these bytes as the next request and end the connection at the half-close. So this class cuts
the stream behind the head and body of a request that asks for an upgrade, and keeps what follows for who takes over.
"""

import asyncio
import re
from typing import Any, Protocol

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from cove.server.reply import error_reply

MAX_HEAD = 64 << 10
"""Bytes of a request's head."""

MAX_EARLY = 256 << 10
"""Bytes of input kept while it is not yet known whether the connection is taken over."""

_UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*([^\r\n]*?)[ \t]*\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,15})[ \t]*\r\n", re.IGNORECASE)


def answered(request: web.BaseRequest) -> bool:
    """Whether an answer has begun, so that there cannot be another."""
    protocol = request.protocol
    hijacked = isinstance(protocol, Connection) and protocol.hijacked
    return hijacked or request.writer.output_size > 0


class Takeover(Protocol):
    """What a connection's bytes go to when it has been taken over."""

    def client_ready(self, client: asyncio.Transport) -> None:
        """Called first, and once."""

    def client_data(self, data: bytes) -> None: ...

    def client_eof(self) -> None:
        """The client closed its sending side."""

    def client_lost(self) -> None:
        """The connection is gone."""

    def client_full(self) -> None:
        """Stop writing to the client."""

    def client_drained(self) -> None:
        """Go on."""


class Connection(RequestHandler):
    """One client. All on the event loop."""

    __slots__ = ("_body_left", "_early", "_early_eof", "_head", "_last_payload", "_takeover", "_upgrade", "hijacked")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head = b""
        self._upgrade = False
        self.hijacked = False
        self._body_left = 0
        self._early = bytearray()
        self._early_eof = False
        self._takeover: Takeover | None = None
        self._last_payload: Any = None

    def hijack(self, head: bytes) -> None:
        """Answer with ``head``: no more HTTP. What the client sends is kept until ``hand_over``.

        Raises ConnectionResetError when the client is gone. aiohttp closes the transport when the handler returns.
        """
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the client closed the connection")
        self.hijacked = self._upgrade = True
        self.transport.write(head)

    def hand_over(self, takeover: Takeover) -> None:
        """Give ``takeover`` all that the client sent since the request, and all that it will send."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client closed the connection")
        self._takeover = takeover
        takeover.client_ready(transport)
        if self._early:
            takeover.client_data(bytes(self._early))
            self._early.clear()
        if self._early_eof:
            takeover.client_eof()
        if self.writing_paused:
            takeover.client_full()
        transport.resume_reading()

    async def send(self, data: bytes) -> None:
        """Write to a client that was taken over, and wait while it is full. Raises ConnectionResetError."""
        if self.transport is None:
            raise ConnectionResetError("the client closed the connection")
        self.transport.write(data)
        await self._drain_helper()

    def data_received(self, data: bytes) -> None:
        if self._takeover is not None:
            self._takeover.client_data(data)
        elif self._upgrade:
            self._feed(self._keep_early(data))
        elif data and self._between_requests():
            self._feed(self._cut_upgrade(self._head + data))
        else:
            super().data_received(data)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """True keeps the sending side open."""
        if self._takeover is not None:
            self._takeover.client_eof()
            return True
        if self._upgrade:
            self._early_eof = True
            return True
        super().eof_received()
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._takeover is not None:
            self._takeover.client_lost()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._takeover is not None:
            self._takeover.client_full()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._takeover is not None:
            self._takeover.client_drained()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP: the answer has the form of every other error."""
        response = error_reply(status, (message or "bad request").partition("\n")[0])
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        finished = await super().finish_response(request, resp, start_time)
        if self._upgrade and not self.hijacked:
            self._decline_upgrade()
        return finished

    def _decline_upgrade(self) -> None:
        """The answer was an ordinary one: what followed the request is the next one."""
        early, self._upgrade, self._body_left = bytes(self._early), False, 0
        self._early.clear()
        if self.transport is not None:
            self.transport.resume_reading()
        if early:
            self.data_received(early)
        if self._early_eof:
            self.close()

    def _between_requests(self) -> bool:
        if self._upgraded:  # a WebSocket, which is aiohttp's
            return False
        return self._last_payload is None or self._last_payload.is_eof()

    def _feed(self, data: bytes) -> None:
        if not data:
            return
        super().data_received(data)
        if self._messages:
            self._last_payload = self._messages[-1][1]

    def _cut_upgrade(self, data: bytes) -> bytes:
        """The bytes that are HTTP."""
        end = data.find(b"\r\n\r\n")
        if end < 0 and len(data) < MAX_HEAD:
            self._head = data
            return b""
        self._head = b""
        wanted = _UPGRADE.search(data, 0, end + 4)
        if wanted is None or wanted[1].lower() == b"websocket":
            return data
        self._upgrade, self._early_eof = True, False
        length = _LENGTH.search(data, 0, end + 4)
        whole = end + 4 + (int(length[1]) if length else 0)
        self._body_left = max(0, whole - len(data))
        self._early += data[whole:]
        return data[:whole]

    def _keep_early(self, data: bytes) -> bytes:
        """Keep what follows the request; returns what is still its body."""
        body, rest = data[: self._body_left], data[self._body_left :]
        self._body_left -= len(body)
        self._early += rest
        if len(self._early) > MAX_EARLY and self.transport is not None:
            self.transport.pause_reading()
        return body
