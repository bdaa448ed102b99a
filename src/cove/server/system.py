"""Routes of the engine itself: ping, version, info, events, disk usage, log-in."""

from collections.abc import AsyncIterator
from typing import Protocol

from cove.filters import Filters
from cove.wire.events import Event
from cove.wire.images import AuthConfig
from cove.wire.system import AuthResponse, DiskUsage, Info, Version


class System(Protocol):
    async def version(self) -> Version:
        """Without API versions: the server knows them."""

    async def info(self) -> Info: ...

    async def disk_usage(self, types: frozenset[str]) -> DiskUsage:
        """``types``: of container, image, volume, build-cache; empty is all."""

    async def events(self, *, since: int, until: int, filters: Filters) -> AsyncIterator[Event]:
        """What happened since, and what happens until (nanoseconds since the epoch; 0: from now, and for ever)."""

    async def auth(self, credentials: AuthConfig) -> AuthResponse: ...
