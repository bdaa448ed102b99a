"""Containers are changed: renamed, and given other limits, ports, mounts and policies, while they run or not."""

from cove.engine.bundle import capacities, discards
from cove.engine.containers import names, updates
from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.lifecycle.shims import NotRunning
from cove.engine.mounting.live_mounts import LiveMounts
from cove.engine.networking.connectivity import wanted
from cove.engine.networking.nameservice import NameService
from cove.engine.networking.policies import Policies
from cove.engine.networking.publications import Edit, Publications
from cove.errors import Conflict, InvalidArgument
from cove.kernel.cgroups import layout
from cove.oci.runtime import Resources
from cove.wire.containers import ContainerUpdate, ContainerUpdated
from cove.wire.host_config import HostConfig

RENAMING = "Error when allocating new name: "


class Changing:
    """The API's requests to rename and update a container. ``group``: the daemon's control group."""

    def __init__(
        self,
        *,
        registry: Registry,
        announcements: Announcements,
        names: NameService,
        policies: Policies,
        publications: Publications,
        live_mounts: LiveMounts,
        group: str,
    ) -> None:
        self._registry = registry
        self._announcements = announcements
        self._names = names
        self._policies = policies
        self._publications = publications
        self._live_mounts = live_mounts
        self._group = group

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
                wished = updates.updated(container.record.host_config, request)  # what is wrong with it is said first
                self._policies.check(wished, wanted(container))
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
        await _limit(container, updates.resources(host, request))
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
            await _limit(container, updates.resources(before, ContainerUpdate()))
            raise


async def _limit(container: Container, resources: Resources) -> None:
    """Limit what runs; a container that has just ended is limited when it starts again. Raises Conflict."""
    if not container.running:
        return
    try:
        await container.require_shim().update(resources)
    except NotRunning:
        return
    except Conflict as error:
        raise _not_updated(container, error) from error


def _not_updated(container: Container, error: Conflict) -> Conflict:
    return Conflict(f"Cannot update container {container.id}: {error.message}")
