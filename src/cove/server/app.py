"""Serve the Engine API on listening sockets."""

import socket
from collections.abc import Sequence

from cove.server.services import Services


class Server:
    """An API that is being served."""

    async def stop(self, grace: float = 5.0) -> None:
        """Stop listening, give requests under way ``grace`` seconds, end streams, close every connection."""
        raise NotImplementedError


async def serve(services: Services, sockets: Sequence[socket.socket]) -> Server:
    """Serve on sockets that already listen (unix or TCP), which the server closes at its end."""
    raise NotImplementedError
