"""What is not in use, the longest unused first: told, or removed until no more than some bytes of it are left."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from cove.build.cache.pruning import FILTERS as CACHE_FILTERS
from cove.build.cache.pruning import Usage
from cove.engine.builds.builds import Builds
from cove.engine.containers.containers import Containers
from cove.engine.images.images import Images
from cove.engine.networking.networks import Networks
from cove.engine.removing.last_use import IMAGE, NETWORK, VOLUME, LastUse
from cove.engine.volumes.volumes import Volumes
from cove.errors import CoveError, InvalidArgument
from cove.filters import Filters
from cove.units import format_time, parse_moment
from cove.wire.images import ImageSummary
from cove.wire.pruning import PruneItem, PruneReport

CONTAINER, BUILD_CACHE = "container", "build-cache"
FILTERS = ("until", "label", "label!")
KINDS = (CONTAINER, NETWORK, VOLUME, IMAGE, BUILD_CACHE)


@dataclass(frozen=True)
class Candidate:
    kind: str
    id: str
    name: str
    size: int
    used: int
    remove: Callable[[], Awaitable[object]]


class Pruning:
    """Asks the services what could go."""

    def __init__(
        self,
        containers: Containers,
        networks: Networks,
        images: Images,
        volumes: Volumes,
        builds: Builds,
        uses: LastUse,
    ) -> None:
        self._containers = containers
        self._networks = networks
        self._builds = builds
        self._images = images
        self._volumes = volumes
        self._uses = uses

    async def plan(
        self,
        kinds: Sequence[str],
        filters: Filters,
        *,
        everything: bool,
        dry_run: bool,
        keep: int,
        unused: int,
        now: bool,
    ) -> PruneReport:
        """See the server's Protocol. Raises InvalidArgument for an unknown kind or filter."""
        for kind in kinds:
            if kind not in KINDS:
                raise InvalidArgument(f"kind: {kind!r} is not one of {', '.join(KINDS)}")
        filters.check(CACHE_FILTERS if list(kinds) == [BUILD_CACHE] else FILTERS)
        report = PruneReport(dry_run=dry_run)
        idle = {
            CONTAINER: self._idle_containers,
            NETWORK: self._idle_networks,
            VOLUME: self._idle_volumes,
            IMAGE: self._idle_images,
            BUILD_CACHE: self._idle_build_cache,
        }
        for kind in kinds or KINDS:
            found = idle[kind](filters, everything=everything, now=now)
            could = sorted([one async for one in found], key=lambda one: one.used)
            chosen = surplus(could, keep if kind != NETWORK else 0, time.time_ns() - unused)
            report.kept += len(could) - len(chosen)
            for candidate in chosen:
                await self._take(candidate, report)
        return report

    async def _take(self, candidate: Candidate, report: PruneReport) -> None:
        if not report.dry_run:
            try:
                await candidate.remove()
            except CoveError:  # it is used by now
                report.kept += 1
                return
        report.space_reclaimed += candidate.size
        report.items.append(
            PruneItem(
                kind=candidate.kind,
                id=candidate.id,
                name=candidate.name,
                size=candidate.size,
                last_used=format_time(candidate.used),
            )
        )

    async def _idle_containers(self, filters: Filters, *, everything: bool, now: bool) -> AsyncIterator[Candidate]:
        for container in self._containers.prunable(filters):
            record = container.record

            async def remove(reference: str = record.id) -> None:
                await self._containers.remove(reference, force=False, volumes=False, link=False, now=now)

            size = await self._containers.own_size(container)
            used = max(record.created, record.state.finished_at)
            yield Candidate(CONTAINER, record.id, record.name, size, used, remove)

    async def _idle_networks(self, filters: Filters, *, everything: bool, now: bool) -> AsyncIterator[Candidate]:
        for record in self._networks.prunable(filters):

            async def remove(identity: str = record.id) -> None:
                await self._networks.remove(identity)

            used = self._uses.of(NETWORK, record.id, record.created)
            yield Candidate(NETWORK, record.id, record.name, 0, used, remove)

    async def _idle_build_cache(self, filters: Filters, *, everything: bool, now: bool) -> AsyncIterator[Candidate]:
        for usage in await self._builds.prunable(filters, every=everything):
            record = usage.record

            async def remove(usage: Usage = usage) -> None:
                await self._builds.forget(usage)

            yield Candidate(BUILD_CACHE, record.key, record.description, usage.freed, record.used, remove)

    async def _idle_volumes(self, filters: Filters, *, everything: bool, now: bool) -> AsyncIterator[Candidate]:
        narrowed = Filters({name: filters[name] for name in ("label", "label!") if name in filters})
        for record, size in await self._volumes.prunable(narrowed, every=everything):

            async def remove(name: str = record.name) -> None:
                await self._volumes.remove(name, force=False, now=now)

            used = self._uses.of(VOLUME, record.name, record.created)
            yield Candidate(VOLUME, record.name, record.name, size, used, remove)

    async def _idle_images(self, filters: Filters, *, everything: bool, now: bool) -> AsyncIterator[Candidate]:
        until = filters.single("until")
        limit = parse_moment(until) / 1e9 if until is not None else None
        for image in await self._images.list(all=True, filters=Filters(), shared_size=True):
            labels = image.labels or {}
            tags = [tag for tag in image.repo_tags or [] if tag != "<none>:<none>"]
            fits = filters.labels(labels) and filters.without_labels(labels)
            if image.containers or not fits or (tags and not everything) or (limit and image.created >= limit):
                continue
            used = self._uses.of(IMAGE, image.id, image.created * 1_000_000_000)
            size = image.size - max(image.shared_size, 0)
            yield Candidate(IMAGE, image.id, ", ".join(tags) or "<none>", size, used, self._removal(image))

    def _removal(self, image: ImageSummary) -> Callable[[], Awaitable[object]]:
        async def remove() -> None:
            await self._images.remove(image.id, force=True, prune=True)

        return remove


def surplus(candidates: Sequence[Candidate], keep: int, before: int) -> Sequence[Candidate]:
    """Of candidates, the longest unused first, those that go until ``keep`` bytes are left: unused since ``before``."""
    left = sum(candidate.size for candidate in candidates)
    chosen = []
    for candidate in candidates:
        if candidate.used > before or (keep and left <= keep):
            break
        left -= candidate.size
        chosen.append(candidate)
    return chosen
