"""What images, containers, volumes and build cache take on disk: ``docker system df``."""

from collections.abc import Sequence

from cove.engine.builds.builds import Builds
from cove.engine.containers.containers import Containers
from cove.engine.images.images import Images
from cove.engine.volumes.volumes import Volumes
from cove.errors import InvalidArgument
from cove.filters import Filters
from cove.wire.builds import BuildCacheRecord
from cove.wire.containers import ContainerSummary
from cove.wire.images import ImageSummary
from cove.wire.system import BuildCacheUsage, ContainersUsage, DiskUsage, ImagesUsage, VolumesUsage
from cove.wire.volumes import Volume

KINDS = ("container", "image", "volume", "build-cache")

_ACTIVE = ("running", "paused", "restarting")


class DiskUsages:
    """Adds up what the services know; only what may have changed is measured again."""

    def __init__(self, containers: Containers, images: Images, volumes: Volumes, builds: Builds) -> None:
        self._containers = containers
        self._images = images
        self._volumes = volumes
        self._builds = builds

    async def take(self, kinds: frozenset[str], *, verbose: bool) -> DiskUsage:
        """``kinds``: those of ``KINDS`` that are asked for; empty is all. Raises InvalidArgument for others."""
        for kind in sorted(kinds.difference(KINDS)):
            raise InvalidArgument(f"unknown object type: {kind}")
        wanted = kinds or frozenset(KINDS)
        made = DiskUsage()
        if "image" in wanted:
            made.images = list(await self._images.list(all=True, filters=Filters(), shared_size=True))
            made.layers_size = self._images.layers_size()
            made.image_usage = of_images(made.images, made.layers_size, verbose)
        if "container" in wanted:
            made.containers = list(await self._containers.list(all=True, limit=0, size=True, filters=Filters()))
            made.container_usage = of_containers(made.containers, verbose)
        if "volume" in wanted:
            made.volumes = await self._volumes.usage()
            made.volume_usage = of_volumes(made.volumes, verbose)
        if "build-cache" in wanted:
            made.build_cache = await self._builds.usage()
            made.build_cache_usage = of_build_cache(made.build_cache, verbose)
            made.builder_size = made.build_cache_usage.total_size
        return made


def of_images(images: Sequence[ImageSummary], layers_size: int, verbose: bool) -> ImagesUsage:
    """What no container uses can be reclaimed, but for layers that others need."""
    used = sum(image.size - image.shared_size for image in images if image.containers)
    return ImagesUsage(
        active_count=sum(image.containers > 0 for image in images),
        total_count=len(images),
        reclaimable=layers_size - used,
        total_size=layers_size,
        items=list(images) if verbose else None,
    )


def of_containers(containers: Sequence[ContainerSummary], verbose: bool) -> ContainersUsage:
    total = sum(container.size_rw or 0 for container in containers)
    active = [container for container in containers if container.state in _ACTIVE]
    return ContainersUsage(
        active_count=len(active),
        total_count=len(containers),
        reclaimable=total - sum(container.size_rw or 0 for container in active),
        total_size=total,
        items=list(containers) if verbose else None,
    )


def of_build_cache(records: Sequence[BuildCacheRecord], verbose: bool) -> BuildCacheUsage:
    """What images share is theirs, and not counted."""
    total = sum(record.size for record in records if not record.shared)
    return BuildCacheUsage(
        active_count=sum(record.in_use for record in records),
        total_count=len(records),
        reclaimable=sum(record.size for record in records if not record.shared and not record.in_use),
        total_size=total,
        items=list(records) if verbose else None,
    )


def of_volumes(volumes: Sequence[Volume], verbose: bool) -> VolumesUsage:
    data = [volume.usage_data for volume in volumes if volume.usage_data is not None]
    total = sum(usage.size for usage in data)
    active = [usage for usage in data if usage.ref_count > 0]
    return VolumesUsage(
        active_count=len(active),
        total_count=len(volumes),
        reclaimable=total - sum(usage.size for usage in active),
        total_size=total,
        items=list(volumes) if verbose else None,
    )
