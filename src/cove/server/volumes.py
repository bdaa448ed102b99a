"""Routes of volumes."""

from typing import Protocol

from cove.filters import Filters
from cove.wire.volumes import Volume, VolumeCreate, VolumeList, VolumesPruned


class Volumes(Protocol):
    async def list(self, filters: Filters) -> VolumeList: ...

    async def inspect(self, name: str) -> Volume: ...

    async def create(self, request: VolumeCreate) -> Volume:
        """The volume of that name, which may be there already. Raises Conflict when it has another driver."""

    async def remove(self, name: str, *, force: bool) -> None:
        """Raises Conflict while a container uses it."""

    async def prune(self, filters: Filters) -> VolumesPruned: ...
