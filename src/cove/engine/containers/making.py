"""Containers are made: from a request to a record, its directories and its row."""

import contextlib
import errno

from cove.engine import platforms
from cove.engine.bundle import capacities, discards
from cove.engine.bundle.bundles import Bundles
from cove.engine.bundle.defaults import Defaults
from cove.engine.containers import creation, names
from cove.engine.containers.container import Container, Locations
from cove.engine.containers.record import MountPoint, Record
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.logs import target as log_target
from cove.engine.mounting import mounts
from cove.engine.mounting.mount_sources import MountSources
from cove.engine.networking.connectivity import Connectivity
from cove.engine.networking.links import Links
from cove.engine.networking.nameservice import NameService
from cove.engine.networking.policies import Policies
from cove.engine.networking.sandboxes import uses_resolver
from cove.engine.volumes.mounts import VolumeMounts
from cove.engine.volumes.populating import Populating
from cove.errors import Conflict, Internal, InvalidArgument, NoSpace, NotFound
from cove.images import Images
from cove.kernel.cgroups import layout
from cove.trash import Trash
from cove.wire.containers import ContainerCreate, ContainerCreated


class Making:
    """The API's request to create a container. ``group``: the daemon's control group."""

    def __init__(
        self,
        *,
        registry: Registry,
        announcements: Announcements,
        images: Images,
        bundles: Bundles,
        names: NameService,
        links: Links,
        connectivity: Connectivity,
        policies: Policies,
        sources: MountSources,
        populating: Populating,
        volume_mounts: VolumeMounts,
        trash: Trash,
        locations: Locations,
        group: str,
    ) -> None:
        self._registry = registry
        self._announcements = announcements
        self._images = images
        self._bundles = bundles
        self._names = names
        self._links = links
        self._connectivity = connectivity
        self._policies = policies
        self._sources = sources
        self._populating = populating
        self._mounts = volume_mounts
        self._trash = trash
        self._locations = locations
        self._group = group
        self.defaults = Defaults()

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
        self._policies.check(record.host_config, record.networking.endpoints_config or {})
        self._join_others(record)
        self._bundles.label(record)
        self._links.settle(record)
        self._connectivity.name_known(record.networking)
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
        container = Container(record, self._locations.paths(record.id))
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
            name, mode = mounts.volumes_from(reference)
            found = mounts.inherited(mode, self._lender(name).record.mounts, taken)
            brought |= {mount.destination: mount for mount in found}
        kept = [mount for mount in record.mounts if mount.destination not in brought]
        record.mounts = [*kept, *brought.values()]

    def _lender(self, name: str) -> Container:
        """The container of a ``--volumes-from``. Its absence is no 404, as in ``_joined``."""
        try:
            return self._registry.get(name)
        except NotFound as error:
            raise InvalidArgument(error.message) from error

    def _joined(self, mode: str) -> Container:
        """The container of a ``container:NAME`` mode. Its absence is no 404, which clients take for a missing image."""
        try:
            return self._registry.get(mode.removeprefix("container:"))
        except NotFound as error:
            raise Conflict(error.message) from error


def _make_files(container: Container) -> None:
    paths = container.paths
    paths.root.mkdir(mode=0o755)
    for file in (paths.hosts, paths.hostname, paths.resolv_conf):
        file.touch(mode=0o644)
