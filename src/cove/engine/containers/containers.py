"""The API's requests about containers as records: list, inspect, remove, prune, top, changes; others are handed on."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from cove.engine.bundle.bundles import Bundles
from cove.engine.containers import listing
from cove.engine.containers.changing import Changing
from cove.engine.containers.commits import Commits
from cove.engine.containers.container import Container
from cove.engine.containers.making import Making
from cove.engine.containers.processes import table
from cove.engine.containers.record import Record
from cove.engine.containers.registry import Registry
from cove.engine.containers.views import Views
from cove.engine.events.announcements import Announcements
from cove.engine.networking.links import Links
from cove.engine.removing.removal import Removal
from cove.engine.sizes import Sizes
from cove.engine.volumes.mounts import VolumeMounts
from cove.errors import Conflict, CoveError, NotFound
from cove.filters import Filters
from cove.images import Images
from cove.kernel.cgroups import Cgroup, layout
from cove.layers import Worker
from cove.layers.looking.difference_lines import read_lines
from cove.layers.worker.jobs import Compare, CompareDone
from cove.layers.worker.staging import written
from cove.units import parse_moment
from cove.wire.containers import (
    Change,
    ContainerInspect,
    ContainersPruned,
    ContainerSummary,
    ContainerTop,
)


class Containers:
    """Shows and removes containers; what makes and changes them has modules of its own."""

    def __init__(
        self,
        *,
        registry: Registry,
        making: Making,
        changing: Changing,
        commits: Commits,
        removal: Removal,
        announcements: Announcements,
        images: Images,
        bundles: Bundles,
        links: Links,
        views: Views,
        worker: Worker,
        volume_mounts: VolumeMounts,
        sizes: Sizes,
    ) -> None:
        self._registry = registry
        self.create = making.create
        self.rename = changing.rename
        self.update = changing.update
        self.commit = commits.commit
        self._removal = removal
        self._announcements = announcements
        self._images = images
        self._bundles = bundles
        self._links = links
        self._views = views
        self._worker = worker
        self._mounts = volume_mounts
        self._sizes = sizes

    async def list(self, *, all: bool, limit: int, size: bool, filters: Filters) -> Sequence[ContainerSummary]:
        self._sizes.retain(self._registry)
        found = listing.select(self._registry, self._images, self._views, filters, all_=all, limit=limit)
        shown = []
        for container in found:
            summary = self._views.summary(container, self._image_name(container.record))
            if size:
                summary.size_rw, summary.size_root_fs = await self._sizes_of(container)
            shown.append(summary)
        return shown

    def _image_name(self, record: Record) -> str:
        """What the user called the image, while that name still means it; its id after that."""
        with contextlib.suppress(CoveError):
            if record.image in self._images.target(record.image_name).images:
                return record.image_name
        return record.image

    async def inspect(self, ref: str, *, size: bool) -> ContainerInspect:
        container = self._registry.get(ref)
        shown = self._views.inspect(container)
        if size:
            shown.size_rw, shown.size_root_fs = await self._sizes_of(container)
        return shown

    async def _sizes_of(self, container: Container) -> tuple[int, int]:
        own = await self.own_size(container)
        return own, own + self._images.get(container.record.image).size

    async def own_size(self, container: Container) -> int:
        """Bytes of its writable layer; what changes while it runs is measured again."""
        mark = None if container.running else (container.record.state.finished_at, container.writes)
        used = self._mounts.roots.used(container)
        return used if used is not None else await self._sizes.of(container.id, container.paths.upper, mark)

    async def remove(self, ref: str, *, force: bool, volumes: bool, link: bool, now: bool) -> None:
        if link:
            await self._links.remove(ref)
            return
        await self._removal.remove(self._registry.get(ref), force=force, volumes=volumes, now=now)

    def prunable(self, filters: Filters) -> Sequence[Container]:
        """Those that do not run, and that the filters ``until``, ``label`` and ``label!`` mean."""
        until = filters.single("until")
        moment = parse_moment(until) if until else None
        return [
            container
            for container in self._registry
            if not container.running
            and container.status != "restarting"
            and filters.labels(container.record.config.labels or {})
            and filters.without_labels(container.record.config.labels or {})
            and (moment is None or container.record.created < moment)
        ]

    async def prune(self, filters: Filters, *, now: bool) -> ContainersPruned:
        filters.check(("until", "label", "label!"))
        removed, reclaimed = [], 0
        for container in self.prunable(filters):
            size = await self.own_size(container)
            with contextlib.suppress(Conflict, NotFound):
                await self._removal.remove(container, force=False, volumes=False, now=now)
                removed.append(container.id)
                reclaimed += size
        self._announcements.pruned(reclaimed)
        return ContainersPruned(containers_deleted=removed or None, space_reclaimed=reclaimed)

    async def top(self, ref: str, ps_args: str) -> ContainerTop:
        container = self._registry.get(ref)
        container.require_shim()
        titles, rows = table(Cgroup(layout(), self._bundles.cgroup(container)).pids(), ps_args)
        self._announcements.publish(container, "top")
        return ContainerTop(titles=titles, processes=rows)

    async def changes(self, ref: str) -> AsyncIterator[Sequence[Change]]:
        return self._changes(self._registry.get(ref))

    async def _changes(self, container: Container) -> AsyncIterator[Sequence[Change]]:
        lower = await self._images.lower_directories(container.record.image)
        async with self._mounts.roots.attached(container, f"{container.id}-diff") as staged:
            mounts = written(staged)
            job = Compare([str(directory) for directory in lower], str(container.paths.upper), mounts)
            output = self._worker.output(job, CompareDone)
            async with contextlib.aclosing(output):
                with self._registry.needed(container):
                    async for found in read_lines(output):
                        yield [Change(path=difference.path, kind=difference.kind) for difference in found]
