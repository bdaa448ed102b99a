"""Routes of containers as records: create, list, inspect, rename, update, remove, prune, top, diff, commit."""

from collections.abc import Sequence
from typing import Protocol

from cove.filters import Filters
from cove.wire.containers import (
    Change,
    CommitOptions,
    ContainerCreate,
    ContainerCreated,
    ContainerInspect,
    ContainersPruned,
    ContainerSummary,
    ContainerTop,
    ContainerUpdate,
    ContainerUpdated,
)


class Containers(Protocol):
    """``ref`` is an id, a unique prefix of one, or a name, everywhere in this package. NotFound when there is none."""

    async def create(self, request: ContainerCreate, *, name: str, platform: str) -> ContainerCreated:
        """``name`` and ``platform`` may be empty. Raises Conflict (name), InvalidArgument, NotFound (image)."""

    async def list(self, *, all: bool, limit: int, size: bool, filters: Filters) -> Sequence[ContainerSummary]:
        """Newest first. ``limit``: the last so many, 0 is all; it implies ``all``. Raises InvalidArgument (filter)."""

    async def inspect(self, ref: str, *, size: bool) -> ContainerInspect: ...

    async def rename(self, ref: str, name: str) -> None:
        """Raises Conflict (taken), InvalidArgument."""

    async def update(self, ref: str, request: ContainerUpdate) -> ContainerUpdated: ...

    async def remove(self, ref: str, *, force: bool, volumes: bool, link: bool) -> None:
        """Raises Conflict when it runs and ``force`` is not set."""

    async def prune(self, filters: Filters) -> ContainersPruned: ...

    async def top(self, ref: str, ps_args: str) -> ContainerTop:
        """Raises Conflict when it does not run."""

    async def changes(self, ref: str) -> Sequence[Change]: ...

    async def commit(self, options: CommitOptions) -> str:
        """The id of the new image."""
