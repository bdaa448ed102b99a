"""What the build cache takes on disk, and forgetting of it what is not wanted any more."""

import asyncio
import logging
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cove.build.cache.cache import Cache, Record
from cove.build.contexts import KeptContext, KeptContexts
from cove.build.planning.graph import LayerRef
from cove.digest import chain_ids
from cove.errors import CoveError, InvalidArgument
from cove.filters import Filters
from cove.images import Images
from cove.units import parse_moment

log = logging.getLogger(__name__)

SHARE = 10
"""The build cache may take one part in so many of the disk, as with Docker's default policy."""
FILTERS = (
    "until",
    "id",
    "type",
    "description",
    "inuse",
    "shared",
    "private",
    "parent",
    "unused-for",
    "label",
    "label!",
)


LOCAL = "source.local"
"""The kind of what is kept of a context, as with BuildKit."""


@dataclass(frozen=True)
class Usage:
    """``size`` in bytes. ``shared``: an image stands on the same layer, so that nothing is freed with the record."""

    record: Record
    size: int
    shared: bool
    in_use: bool

    @property
    def freed(self) -> int:
        """The bytes that go with the record."""
        return 0 if self.shared else self.size


@dataclass(frozen=True)
class PrunedCache:
    """``reclaimed`` in bytes."""

    keys: list[str]
    reclaimed: int


class Pruning:
    """Looks at the cache, its layers, and what is kept of contexts."""

    def __init__(self, cache: Cache, images: Images, contexts: KeptContexts) -> None:
        self._cache = cache
        self._images = images
        self._contexts = contexts

    async def usage(self) -> list[Usage]:
        """Every record, and one for each context, the newest first."""
        imaged = {chain_id for listed in self._images.select() for chain_id in listed.image.chain_ids}
        sizes = await asyncio.to_thread(self._mount_sizes, list(self._cache.records.values()))
        found = [self._usage(record, imaged, sizes) for record in self._cache.records.values()]
        found += [_context_usage(kept) for kept in await self._contexts.kept()]
        return sorted(found, key=lambda usage: usage.record.used, reverse=True)

    def _usage(self, record: Record, imaged: set[str], sizes: dict[str, int]) -> Usage:
        layer = record.layer
        size = sizes.get(record.key, 0) if layer is None else max(layer.size, 0)
        chain = chain_ids([each.diff_id for each in record.layers])
        return Usage(record, size, layer is not None and chain[-1] in imaged, record.key in self._cache.in_use)

    def _mount_sizes(self, records: Iterable[Record]) -> dict[str, int]:
        mounts = [record for record in records if record.directory]
        return {record.key: _tree_size(os.path.join(self._cache.mounts, record.directory)) for record in mounts}

    async def prune(self, *, everything: bool, reserved: int, filters: Filters) -> PrunedCache:
        """Forget records, those that were not used for longest first, until ``reserved`` bytes are left at most.

        Without ``everything`` those stay that images share, whose removal frees nothing. Raises InvalidArgument.
        """
        usages = await self.usage()
        total = sum(usage.freed for usage in usages)
        gone: list[Usage] = []
        for usage in prunable(usages, filters, everything=everything):
            if reserved and total <= reserved:
                break
            gone.append(usage)
            total -= usage.freed
        await self.forget(gone)
        return PrunedCache([usage.record.key for usage in gone], sum(usage.freed for usage in gone))

    async def bound(self) -> None:
        """Keep what the cache takes for itself to a tenth of the disk; that it cannot be done now is only logged."""
        try:
            disk = await asyncio.to_thread(shutil.disk_usage, self._cache.directory)
            reserved = disk.total // SHARE
            if sum(max(layer.size, 0) for layer in self._own_layers()) > reserved:
                await self.prune(everything=False, reserved=reserved, filters=Filters())
        except (CoveError, OSError) as error:
            log.warning("the build cache cannot be bounded: %s", error)

    def _own_layers(self) -> Iterable[LayerRef]:
        return (record.layer for record in self._cache.records.values() if record.layer is not None)

    async def forget(self, gone: Iterable[Usage]) -> None:
        """Forget records, and delete what stands on nothing else then."""
        told = [usage.record for usage in gone]
        await self._contexts.forget(record.key for record in told if record.kind == LOCAL)
        records = [record for record in told if record.kind != LOCAL]
        await self._cache.remove(record.key for record in records)
        names = {name for record in records for name in record.names}
        await self._images.collect(names)
        listings = {record.listing for record in self._cache.records.values()}
        await asyncio.to_thread(self._delete_files, records, listings)

    def _delete_files(self, records: list[Record], listings: set[str]) -> None:
        for record in records:
            if record.directory:
                shutil.rmtree(self._cache.mounts / record.directory, ignore_errors=True)
            if record.listing and record.listing not in listings:
                (self._cache.listings / record.listing).unlink(missing_ok=True)


def prunable(usages: Sequence[Usage], filters: Filters, *, everything: bool) -> list[Usage]:
    """What may go of all usages (the newest first), those that were not used for longest first.

    Without ``everything`` those stay that images share. Records have no labels: none fits a filter by one, which
    ``system prune`` may have. Raises InvalidArgument for a filter that there is not.
    """
    filters.check(FILTERS)
    if "label" in filters:
        return []
    before = _until(filters)
    return [
        usage
        for usage in reversed(usages)
        if not usage.in_use and (everything or not usage.shared) and _chosen(usage, filters, before)
    ]


def _context_usage(kept: KeptContext) -> Usage:
    used = int(kept.used * 1e9)
    return Usage(Record(kept.key, LOCAL, "local source for context", used, used), kept.size, False, kept.in_use)


def _until(filters: Filters) -> int | None:
    """The time that records must be older than, in nanoseconds."""
    text = filters.single("until") or filters.single("unused-for")
    if not text:
        return None
    try:
        return parse_moment(text)
    except InvalidArgument as error:
        raise InvalidArgument(f"invalid filter 'until={text}': {error.message}") from error


def _chosen(usage: Usage, filters: Filters, before: int | None) -> bool:
    record = usage.record
    if before is not None and record.used >= before:
        return False
    if not filters.prefix_of("id", record.key) or not filters.one_of("type", record.kind):
        return False
    if "parent" in filters and not filters.one_of("parent", record.parts.get("parent", "")):
        return False
    flags = {"shared": usage.shared, "private": not usage.shared, "inuse": usage.in_use}
    if any(name in filters and not value for name, value in flags.items()):
        return False
    return filters.part_of("description", record.description)


def _tree_size(path: str) -> int:
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
