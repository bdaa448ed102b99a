"""Routes of images as records: list, inspect, history, tag, remove, prune, search."""

from collections.abc import Sequence
from typing import Protocol

from cove.filters import Filters
from cove.wire.images import (
    ImageDeleted,
    ImageHistory,
    ImageInspect,
    ImagesPruned,
    ImageSummary,
    SearchResult,
)


class Images(Protocol):
    """``name`` is an id, a prefix of one, ``repo``, ``repo:tag`` or ``repo@digest``. NotFound when there is none."""

    async def list(self, *, all: bool, filters: Filters, shared_size: bool) -> Sequence[ImageSummary]: ...

    async def inspect(self, name: str) -> ImageInspect: ...

    async def history(self, name: str) -> Sequence[ImageHistory]: ...

    async def tag(self, name: str, *, repo: str, tag: str) -> None: ...

    async def remove(self, name: str, *, force: bool, prune: bool) -> Sequence[ImageDeleted]:
        """``prune``: remove parents without a name too. Raises Conflict when containers use it."""

    async def prune(self, filters: Filters) -> ImagesPruned: ...

    async def search(self, term: str, *, limit: int, filters: Filters) -> Sequence[SearchResult]: ...
