"""The API's requests about containers as records: create, list, inspect, rename, update, remove, prune, top."""

import contextlib
import errno
from collections.abc import Sequence
from pathlib import Path

from cove.engine import platforms
from cove.engine.bundle import capacities, discards
from cove.engine.bundle.bundles import Bundles
from cove.engine.bundle.defaults import Defaults
from cove.engine.containers import creation, listing, names, updates
from cove.engine.containers.commits import Commits
from cove.engine.containers.container import Container, Paths
from cove.engine.containers.processes import table
from cove.engine.containers.record import MountPoint, Record
from cove.engine.containers.registry import Registry
from cove.engine.containers.views import Views
from cove.engine.events.announcements import Announcements
from cove.engine.lifecycle.stopping import Stopping
from cove.engine.logs import target as log_target
from cove.engine.mounting import mounts
from cove.engine.mounting.live_mounts import LiveMounts
from cove.engine.mounting.mount_sources import MountSources
from cove.engine.networking.links import Links
from cove.engine.networking.nameservice import NameService
from cove.engine.networking.policies import Policies
from cove.engine.networking.publications import Edit, Publications
from cove.engine.networking.sandboxes import uses_resolver
from cove.engine.removing.removal import Removal
from cove.engine.sizes import Sizes
from cove.engine.volumes.mounts import VolumeMounts
from cove.engine.volumes.populating import Populating
from cove.engine.watched_trees import tells_of_overlays
from cove.errors import Conflict, CoveError, Internal, InvalidArgument, NoSpace, NotFound
from cove.filters import Filters
from cove.images import Images
from cove.kernel.cgroups import Cgroup, layout
from cove.layers import Worker
from cove.layers.worker.jobs import Compare, CompareDone
from cove.layers.worker.staging import written
from cove.trash import Trash
from cove.units import parse_moment
from cove.volumes import Volumes
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
from cove.wire.host_config import HostConfig

RENAMING = "Error when allocating new name: "


class Containers:
    """Makes, shows and removes containers. ``data_root``, ``run_root``, ``group`` (control group): of the daemon."""

    def __init__(
        self,
        *,
        registry: Registry,
        stopping: Stopping,
        removal: Removal,
        announcements: Announcements,
        images: Images,
        volumes: Volumes,
        bundles: Bundles,
        names: NameService,
        links: Links,
        policies: Policies,
        publications: Publications,
        views: Views,
        worker: Worker,
        volume_mounts: VolumeMounts,
        trash: Trash,
        data_root: Path,
        run_root: Path,
        group: str,
    ) -> None:
        self._registry = registry
        self._group = group
        self._removal = removal
        self._announcements = announcements
        self._images = images
        self._volumes = volumes
        self._bundles = bundles
        self._names = names
        self._links = links
        self._policies = policies
        self._publications = publications
        self._views = views
        self._worker = worker
        self._mounts = volume_mounts
        self._populating = Populating(registry, images, volumes, worker, volume_mounts.access)
        self._trash = trash
        self._sources = MountSources(volumes, images, bundles, announcements)
        self._live_mounts = LiveMounts(registry, volume_mounts, volumes, worker, self._sources, bundles)
        self._commits = Commits(registry, stopping, announcements, images, worker, volume_mounts.roots)
        self._data_root = data_root
        self._run_root = run_root
        self._sizes = Sizes(lambda: tells_of_overlays(data_root / "tmp"))
        self.defaults = Defaults()

    def paths(self, container_id: str) -> Paths:
        return Paths(self._data_root / "containers" / container_id, self._run_root / "containers" / container_id)

    async def create(self, request: ContainerCreate, *, name: str, platform: str) -> ContainerCreated:
        chosen = names.checked(name) if name else self._free_name()
        if not request.image:
            raise InvalidArgument("Config cannot be empty in order to create a container")
        wanted = platforms.asked(platform) if platform else None
        image = self._images.resolve(request.image, wanted)
        can = capacities.look(layout(), self._group)
        warnings = platforms.warnings(image.config) if wanted is None else []
        warnings += discards.discard(request.host_config, can)
        self._bundles.choose_runtime(request.host_config)
        self._bundles.check_parent(request.host_config)
        record = creation.record(
            request,
            name=chosen,
            image_id=image.id,
            image=image.config,
            image_name=request.image,
            defaults=self.defaults,
        )
        self._bundles.check_ids(record.host_config)
        self._join_others(record)
        self._links.settle(record)
        await self._bundles.prepare(record.host_config)
        with contextlib.ExitStack() as held:
            held.enter_context(self._images.hold(image.id))
            self._sources.hold_images(record.mounts, held)
            container = await self._trash.making_room(lambda: self._make(record))
        if uses_resolver(container):
            self._names.warm()  # while its user gets to the start
        self._announcements.publish(container, "create")
        return ContainerCreated(id=record.id, warnings=warnings + discards.about_network(record.host_config, can))

    async def _make(self, record: Record) -> Container:
        await self._sources.settle(record.mounts, record.host_config)
        container = Container(record, self.paths(record.id))
        log_target.check(container)
        try:
            await self._make_directories(container)
            await self._populating.fill(container)
            await self._registry.add(container)
        except OSError as error:
            container.paths.discard()
            kind = NoSpace if error.errno == errno.ENOSPC else Internal
            raise kind(f"cannot create container {record.id}: {error}") from error
        except Exception:  # not when the caller was cancelled: the row is written all the same
            container.paths.discard()
            raise
        return container

    async def _make_directories(self, container: Container) -> None:
        container.paths.data.mkdir(mode=0o710)
        await self._mounts.roots.make(container)
        for directory in (container.paths.upper, container.paths.work):
            directory.mkdir(mode=0o755)
        _make_files(container)

    def _free_name(self) -> str:
        while self._registry.name_taken(name := names.made_up()):
            pass
        return name

    def _join_others(self, record: Record) -> None:
        """Replace names of other containers by their ids, and bring in their volumes."""
        host = record.host_config
        for field in ("network_mode", "ipc_mode", "pid_mode"):
            mode = getattr(host, field)
            if mode.startswith("container:"):
                setattr(host, field, f"container:{self._joined(mode).id}")
        if host.network_mode.startswith("container:"):
            record.config.hostname = self._joined(host.network_mode).record.config.hostname
        brought: dict[str, MountPoint] = {}  # of several that bring something to a place the last one does
        taken = [mount.destination for mount in record.mounts if not mount.anonymous]
        for reference in host.volumes_from or []:
            other = self._registry.get(reference.partition(":")[0])
            found = mounts.inherited(reference, other.record.mounts, taken)
            brought |= {mount.destination: mount for mount in found}
        kept = [mount for mount in record.mounts if mount.destination not in brought]
        record.mounts = [*kept, *brought.values()]

    def _joined(self, mode: str) -> Container:
        """The container of a ``container:NAME`` mode. Its absence is no 404, which clients take for a missing image."""
        try:
            return self._registry.get(mode.removeprefix("container:"))
        except NotFound as error:
            raise Conflict(error.message) from error

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

    async def rename(self, ref: str, name: str) -> None:
        if not name:
            raise InvalidArgument("Neither old nor new names may be empty")
        container = self._registry.get(ref)
        try:
            chosen = names.checked("/" + name.removeprefix("/"))
        except InvalidArgument as error:
            raise InvalidArgument(f"{RENAMING}{error.message}") from error
        if chosen == container.name:
            raise InvalidArgument("Renaming a container with the same name as its current name")
        old = container.name
        async with self._registry.locked(container):
            try:
                await self._registry.rename(container, chosen)
            except Conflict as error:
                raise Conflict(f"{RENAMING}{error.message}") from error
            await self._names.change(container)
        self._announcements.publish(container, "rename", {"oldName": f"/{old}"})

    async def update(self, ref: str, request: ContainerUpdate) -> ContainerUpdated:
        """Change limits, of a running container at once, and the restart policy. Raises Conflict, InvalidArgument."""
        container = self._registry.get(ref)
        async with self._registry.locked(container):
            try:
                warnings = discards.discard(request, capacities.look(layout(), self._group))
                updates.updated(container.record.host_config, request)  # what is wrong with it is said first
                ports = self._publications.plan(container, request)
                edit = self._live_mounts.plan(container, request)
            except Conflict as error:
                raise _not_updated(container, error) from error
            async with self._live_mounts.applied(container, edit):
                await self._update(container, request, ports)
        self._announcements.publish(container, "update")
        return ContainerUpdated(warnings=warnings)

    async def _update(self, container: Container, request: ContainerUpdate, ports: Edit | None) -> None:
        """Limits, then ports, then where it may go."""
        record, before = container.record, container.record.host_config
        host = updates.updated(before, request)
        try:
            if container.running:
                await container.require_shim().update(updates.resources(host, request))
        except Conflict as error:
            raise _not_updated(container, error) from error
        record.host_config = host
        if ports is None:
            await self._registry.save(container)
        else:
            await self._publish(container, ports, before)
        if request.egress and container.running:
            await self._policies.apply(container, before.egress)

    async def _publish(self, container: Container, ports: Edit, before: HostConfig) -> None:
        """Change what is published; where that fails, the limits of ``before`` hold again too."""
        try:
            await self._publications.apply(container, ports)
        except BaseException:
            container.record.host_config = before
            if container.running:
                await container.require_shim().update(updates.resources(before, ContainerUpdate()))
            raise

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

    async def changes(self, ref: str) -> Sequence[Change]:
        container = self._registry.get(ref)
        lower = await self._images.lower_directories(container.record.image)
        async with self._mounts.roots.attached(container, f"{container.id}-diff") as staged:
            mounts = written(staged)
            job = Compare([str(directory) for directory in lower], str(container.paths.upper), mounts)
            with self._registry.needed(container):
                done = await self._worker.run(job, CompareDone)
        return [Change(path=found.path, kind=found.kind) for found in done.differences]

    async def commit(self, options: CommitOptions) -> str:
        return await self._commits.commit(options)

    def image_users(self, image_id: str) -> Sequence[Container]:
        """The containers made from an image, or that mount it."""
        return [
            container
            for container in self._registry
            if container.record.image == image_id or image_id in container.record.mounted_images
        ]


def _make_files(container: Container) -> None:
    paths = container.paths
    paths.root.mkdir(mode=0o755)
    for file in (paths.hosts, paths.hostname, paths.resolv_conf):
        file.touch(mode=0o644)


def _not_updated(container: Container, error: Conflict) -> Conflict:
    return Conflict(f"Cannot update container {container.id}: {error.message}")
