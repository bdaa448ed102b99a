"""The answer that ends HTTP on a connection, and what to say to aiohttp afterwards."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from cove.kernel.sockets import unread
from cove.server.connection import Connection
from cove.server.frames import frame
from cove.server.pump import Pump
from cove.server.reply import HEADERS
from cove.server.request import Request
from cove.server.streaming import closing
from cove.wire.streams import STDOUT, Stream
from cove.wire.versions import MULTIPLEXED_MEDIA_TYPE, ApiVersion

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"

HEAD_LOOKS = 100
HEAD_PAUSE = 0.001
"""How often, and how many seconds apart, to look whether a client has read the head of the answer."""


def media_type(version: ApiVersion, tty: bool) -> str:
    """The content type of a stream."""
    return RAW if tty or version < MULTIPLEXED_MEDIA_TYPE else MULTIPLEXED


def head(request: Request, tty: bool) -> bytes:
    """101 to those who ask for an upgrade, 200 to the oldest clients."""
    if "Upgrade" in request.raw.headers:
        kind = media_type(request.version, tty)
        start = f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {kind}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
    else:
        start = f"HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\n"
    common = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    return f"{start}{common}\r\n".encode()


class Hijacked(web.StreamResponse):
    """Tells aiohttp that the answer has been given, and that the connection is over."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> Any:
        return None

    async def write_eof(self, data: bytes | bytearray | memoryview = b"") -> None:
        return None


def begin(request: Request, tty: bool) -> None:
    """Send the head at once; ``connect``, ``send_all`` or ``refuse`` goes on."""
    request.connection.hijack(head(request, tty))


async def _head_was_read(connection: Connection) -> None:
    """Give a client on the machine a moment to read the head by itself.

    docker-py reads the head with a buffer that it then drops: output that came with it would be lost.
    """
    transport = connection.transport
    client = transport.get_extra_info("socket") if transport is not None else None
    if client is None or client.family != socket.AF_UNIX:
        return
    for _ in range(HEAD_LOOKS):
        try:
            if not unread(client):
                return
        except OSError:
            return
        await asyncio.sleep(HEAD_PAUSE)


async def connect(request: Request, stream: Stream, before: AsyncIterator[bytes] | None = None) -> Hijacked:
    """Give the connection to a stream, to the end of it. ``before``: output to send before the stream's own."""
    with stream.socket:
        pump = Pump(stream.socket)
        request.connection.hand_over(pump)
        with request.lifespan.stream():
            await _head_was_read(request.connection)
            if before is not None:
                await send_all(request, before)
            await pump.run()
    return Hijacked()


async def send_all(request: Request, output: AsyncIterator[bytes]) -> Hijacked:
    """Send output, and end the connection."""
    with request.lifespan.stream():
        async with closing(output):
            async for data in output:
                await request.connection.send(data)
    return Hijacked()


async def refuse(request: Request, message: str, tty: bool) -> Hijacked:
    """Say on the stream itself why there is none: clients read nothing else once they asked for an upgrade."""
    text = f"{message}\r\n".encode()
    await request.connection.send(text if tty else frame(STDOUT, text))
    return Hijacked()
