"""Bodies of requests that are small enough to be kept in memory."""

from collections.abc import AsyncIterator

from cove.errors import InvalidArgument


async def whole(chunks: AsyncIterator[bytes], most: int, what: str) -> bytes:
    """A body as one. ``most``: bytes. ``what``: names it. Raises InvalidArgument for one that is too long."""
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > most:
            raise InvalidArgument(f"{what}: more than {most} bytes")
    return bytes(body)
