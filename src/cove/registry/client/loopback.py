"""Names to addresses. ``localhost`` is known beforehand: to ask the system for it takes a thread and brings no news."""

import socket

from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

NAME = "localhost"
"""Of the machine itself, always (RFC 6761, 6.3)."""
ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class Loopback(ThreadedResolver):
    """Asks the system for all other names. Raises OSError when there is no such host."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host != NAME:
            return await super().resolve(host, port, family)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST)
            for kind, address in ADDRESSES
            if family in (kind, socket.AF_UNSPEC)
        ]
