"""Routes of networks."""

from typing import Protocol

from cove.filters import Filters
from cove.wire.networks import (
    Network,
    NetworkConnect,
    NetworkCreate,
    NetworkCreated,
    NetworkDisconnect,
    NetworksPruned,
)


class Networks(Protocol):
    """``ref`` is a name, an id or a unique prefix of one."""

    async def list(self, filters: Filters) -> "list[Network]": ...

    async def inspect(self, ref: str, *, verbose: bool, scope: str) -> Network: ...

    async def create(self, request: NetworkCreate) -> NetworkCreated: ...

    async def remove(self, ref: str) -> None:
        """Raises Forbidden for a predefined one, and one that has endpoints."""

    async def connect(self, ref: str, request: NetworkConnect) -> None: ...

    async def disconnect(self, ref: str, request: NetworkDisconnect) -> None: ...

    async def prune(self, filters: Filters) -> NetworksPruned: ...
