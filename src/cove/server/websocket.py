"""Attaching over a WebSocket: binary messages, input one way and output without frames the other."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from aiohttp import WSMsgType, web

from cove.errors import InvalidArgument
from cove.server.frames import Demultiplexer
from cove.server.pump import READ
from cove.server.request import Request
from cove.server.streaming import closing
from cove.wire.streams import Stream


def check(request: Request) -> None:
    """Raises InvalidArgument when the request does not ask for a WebSocket."""
    try:
        asked = web.WebSocketResponse().can_prepare(request.raw).ok
    except web.HTTPException as error:
        raise InvalidArgument(f"not a WebSocket handshake: {error.text}") from error
    if not asked:
        raise InvalidArgument("not a WebSocket handshake")


async def connect(request: Request, stream: Stream, before: AsyncIterator[bytes] | None = None) -> web.StreamResponse:
    """Serve a stream, to the end of it or of the client. ``before``: output to send before the stream's own."""
    with stream.socket:
        stream.socket.setblocking(False)
        client = web.WebSocketResponse()
        await client.prepare(request.raw)
        with request.lifespan.stream():
            if before is not None:
                await _show_all(client, before, stream.tty)
            feeding = asyncio.create_task(_feed(client, stream.socket))
            try:
                await _show(client, stream)
            finally:
                feeding.cancel()
                await asyncio.wait([feeding])
        await client.close()
    return client


async def send_all(request: Request, output: AsyncIterator[bytes], tty: bool) -> web.StreamResponse:
    """Send output, and end the connection."""
    client = web.WebSocketResponse()
    await client.prepare(request.raw)
    with request.lifespan.stream():
        await _show_all(client, output, tty)
    await client.close()
    return client


async def _show_all(client: web.WebSocketResponse, output: AsyncIterator[bytes], tty: bool) -> None:
    frames = None if tty else Demultiplexer()
    async with closing(output):
        async for data in output:
            await client.send_bytes(data if frames is None else frames.feed(data))


async def _show(client: web.WebSocketResponse, stream: Stream) -> None:
    loop = asyncio.get_running_loop()
    frames = None if stream.tty else Demultiplexer()
    with contextlib.suppress(ConnectionError):
        while data := await loop.sock_recv(stream.socket, READ):
            content = data if frames is None else frames.feed(data)
            if content:
                await client.send_bytes(content)


async def _feed(client: web.WebSocketResponse, stream: socket.socket) -> None:
    """Messages to the program. When the client closes, so does its input, and with it the stream."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        async for message in client:
            if message.type == WSMsgType.TEXT:
                await loop.sock_sendall(stream, message.data.encode())
            elif message.type == WSMsgType.BINARY:
                await loop.sock_sendall(stream, message.data)
        stream.shutdown(socket.SHUT_RDWR)
