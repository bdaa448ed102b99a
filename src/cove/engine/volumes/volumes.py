"""The API's requests about volumes."""

import time
from collections.abc import Hashable, Sequence

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.events import Events
from cove.engine.sizes import Sizes
from cove.engine.volumes import removed as removed_volumes
from cove.engine.volumes.resizing import Resizing
from cove.errors import Conflict, CoveError, NotFound
from cove.filters import Filters
from cove.trash import Trash
from cove.units import format_time
from cove.volumes import LOCAL, Seen
from cove.volumes import Volume as VolumeRecord
from cove.volumes import Volumes as VolumeStore
from cove.wire.volumes import UsageData, Volume, VolumeCreate, VolumeList, VolumeResize, VolumesPruned

REMEMBERED = 60
"""Seconds that the size of a volume which no container uses, and is too large to watch, is taken to be the same."""


class Volumes:
    """Shows, makes and removes volumes."""

    def __init__(
        self, store: VolumeStore, registry: Registry, events: Events, trash: Trash, resizing: Resizing
    ) -> None:
        self._trash = trash
        self._store = store
        self._registry = registry
        self._events = events
        self._sizes = Sizes()
        self._resizing = resizing

    async def usage(self) -> list[Volume]:
        """All volumes, with what they take on disk and how many containers have them."""
        seen, _warnings = await self._store.survey()
        self._sizes.retain({one.volume.name for one in seen})
        return [await self._with_usage(one) for one in seen]

    async def _with_usage(self, seen: Seen) -> Volume:
        record = seen.volume
        volume, users = _shown(seen), self._registry.volume_users(record.name)
        volume.usage_data = UsageData(size=await self._size(record, users), ref_count=len(users))
        return volume

    async def _size(self, record: VolumeRecord, users: Sequence[Container]) -> int:
        """Bytes, or -1 for what lies with a plug-in."""
        if record.driver != LOCAL:
            return -1
        space = self._store.space(record.name)
        if space is not None:
            return space.used
        mark = None if self._sizes.watches(record.name) else _mark(users)
        return await self._sizes.of(record.name, self._store.path(record.name), mark)

    async def list(self, filters: Filters) -> VolumeList:
        filters.check(("dangling", "driver", "label", "name"))
        dangling = filters.boolean("dangling")
        seen, warnings = await self._store.survey()
        shown = [
            _shown(one)
            for one, record in ((one, one.volume) for one in seen)
            if filters.one_of("driver", record.driver)
            and filters.part_of("name", record.name)
            and filters.labels(record.labels)
            and (dangling is None or dangling == (not self._registry.volume_users(record.name)))
        ]
        return VolumeList(volumes=shown, warnings=list(warnings) or None)

    async def inspect(self, name: str) -> Volume:
        return _shown(await self._store.find(name))

    async def create(self, request: VolumeCreate) -> Volume:
        new = not request.name or not self._store.has(request.name)
        record = await self._store.create(
            request.name, driver=request.driver, options=request.driver_opts, labels=request.labels
        )
        if new:
            self._events.publish("volume", "create", record.name, {"driver": record.driver})
        return _shown(await self._store.find(record.name))

    async def remove(self, name: str, *, force: bool, now: bool = False) -> None:
        try:
            record = self._store.get(name) if self._store.has(name) else (await self._store.find(name)).volume
        except NotFound:
            if force:
                return
            raise
        users = self._registry.volume_users(name)
        if users:
            raise Conflict(f"remove {name}: volume is in use - [{', '.join(user.id for user in users)}]")
        if self._trash.enabled and not now and self._store.is_ours(record):
            async with self._store.withdrawing([name]) as (taken, change):
                for volume in taken:
                    await self._trash.put(removed_volumes.entry(volume, self._store.directory(name)), change)
        else:
            await self._store.remove(record.name, force=force)
        self._events.publish("volume", "destroy", record.name, {"driver": record.driver})

    async def resize(self, name: str, request: VolumeResize) -> Volume:
        """Raises NotFound, InvalidArgument, Conflict."""
        await self._resizing.resize(name, request.size)
        return await self.inspect(name)

    async def prunable(self, filters: Filters, *, every: bool) -> Sequence[tuple[VolumeRecord, int]]:
        """The volumes that no container has, with their sizes: the anonymous ones, or ``every`` one."""
        found = []
        for record in self._store.list():
            fits = filters.labels(record.labels) and filters.without_labels(record.labels)
            if (every or record.anonymous) and fits and not self._registry.volume_users(record.name):
                found.append((record, await self._size(record, ())))
        return found

    async def prune(self, filters: Filters, *, now: bool = False) -> VolumesPruned:
        filters.check(("all", "label", "label!"))
        removed, reclaimed = [], 0
        for record, size in await self.prunable(filters, every=filters.boolean("all") is True):
            try:
                await self.remove(record.name, force=False, now=now)
            except CoveError:
                continue
            reclaimed += max(0, size)
            removed.append(record.name)
        self._events.publish("volume", "prune", "", {"reclaimed": str(reclaimed)})
        return VolumesPruned(volumes_deleted=removed or None, space_reclaimed=reclaimed)


def _shown(seen: Seen) -> Volume:
    record = seen.volume
    return Volume(
        name=record.name,
        driver=record.driver,
        mountpoint=seen.details.mountpoint,
        scope=seen.scope,
        created_at=format_time(record.created) if record.created else "",
        labels=dict(sorted(record.labels.items())) or None,
        options=dict(sorted(record.options.items())) or None,
        status=seen.details.status,
    )


def _mark(users: Sequence[Container]) -> Hashable | None:
    """What changes when the volume's contents may have; None while a container may write to it.

    Whoever writes to the directory on the host does so unseen, so that a size is good for ``REMEMBERED`` seconds only.
    """
    if any(user.running for user in users):
        return None
    runs = tuple((user.id, user.record.state.finished_at, user.writes) for user in users)
    return runs, int(time.monotonic()) // REMEMBERED
