"""Streams in a response body: JSON lines and bytes, each item sent as soon as it is there."""

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeVar

from aiohttp import web

from cove.errors import CoveError
from cove.kernel import sockets
from cove.server.reply import HEADERS, JSON_HEADERS
from cove.server.request import Request
from cove.server.status import message_of
from cove.wire.base import Wire
from cove.wire.coding import encode
from cove.wire.images import ErrorDetail, Progress

log = logging.getLogger(__name__)

T = TypeVar("T")


async def begin(request: Request, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send the head of a streamed response, at once."""
    response = web.StreamResponse(headers=headers)
    await response.prepare(request.raw)
    return response


@contextlib.asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """Ends a generator when its reader does."""
    try:
        yield items
    finally:
        close: Any = getattr(items, "aclose", None)
        if close is not None:
            await close()


RECORD_SEPARATOR = b"\x1e"
"""Ahead of each object of a JSON text sequence (RFC 7464)."""

SEQUENCE = "application/json-seq"
LINE_TYPES = ("application/jsonl", "application/x-ndjson", SEQUENCE)
"""Names for JSON line by line, which a client may prefer to ``application/json``."""


async def json_lines(
    request: Request, items: AsyncIterator[Wire], *, at_once: bool = False, media_type: str = ""
) -> web.StreamResponse:
    """One line for each item. Unless ``at_once``, the head waits for the first, so that an early error has its status.

    A later error is the last line, as Docker's clients expect it. ``media_type``: of ``LINE_TYPES``, or "".
    """
    headers = {**JSON_HEADERS, "Content-Type": media_type} if media_type else JSON_HEADERS
    mark = RECORD_SEPARATOR if media_type == SEQUENCE else b""
    response = web.StreamResponse(headers=headers)
    with request.lifespan.stream():
        try:
            async with closing(items):
                if at_once:
                    await response.prepare(request.raw)
                async for item in items:
                    if not response.prepared:
                        await response.prepare(request.raw)
                    await response.write(mark + encode(item, request.version))
        except ConnectionError:
            raise
        except Exception as error:
            if not response.prepared:
                raise
            await response.write(encode(_last_line(request, error)))
    return response


async def json_array(request: Request, parts: AsyncIterator[Sequence[Wire]]) -> web.StreamResponse:
    """One array, some of its items at a time; errors as with ``byte_stream``."""
    return await byte_stream(request, _array(request, parts), JSON_HEADERS)


async def _array(request: Request, parts: AsyncIterator[Sequence[Wire]]) -> AsyncIterator[bytes]:
    lead = b"["
    async with closing(parts):
        async for items in parts:
            if items:
                yield lead + encode(items, request.version).strip()[1:-1]
                lead = b","
    yield (b"[]" if lead == b"[" else b"]") + b"\n"


def _last_line(request: Request, error: Exception) -> Progress:
    message = message_of(error, f"{request.method} {request.path}", request.number)
    return Progress(error=message, error_detail=ErrorDetail(message=message))


async def byte_stream(
    request: Request, chunks: AsyncIterator[bytes], headers: Mapping[str, str] = HEADERS
) -> web.StreamResponse:
    """The bytes as they come. An error after the first one cuts the connection: there is no other sign."""
    response = web.StreamResponse(headers=headers)
    whole = False
    with request.lifespan.stream():
        try:
            async with closing(chunks):
                async for chunk in chunks:
                    if not response.prepared:
                        _widen(request)
                        await response.prepare(request.raw)
                    await response.write(chunk)
        except CoveError as error:
            if response.prepared:
                log.warning("request %d: %s broke off: %s", request.number, request.path, error.message)
            raise
        whole = True
    if not whole:
        raise ConnectionAbortedError("the server stops")
    if not response.prepared:
        await response.prepare(request.raw)
    return response


def _widen(request: Request) -> None:
    transport = request.raw.transport
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is not None and connection.family == socket.AF_UNIX:
        sockets.widen(connection)
