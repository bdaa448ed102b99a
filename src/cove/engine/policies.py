"""Egress policies of running containers: changed live, and what they keep containers from is told."""

from cove.engine.announcements import Announcements
from cove.engine.connectivity import Connectivity
from cove.engine.container import Container
from cove.engine.namefiles import NameFiles
from cove.engine.nameservice import NameService
from cove.engine.registry import Registry
from cove.resolver.messages import Seen


class Policies:
    """Applies what a container's record says."""

    def __init__(
        self,
        registry: Registry,
        connectivity: Connectivity,
        names: NameService,
        files: NameFiles,
        announcements: Announcements,
    ) -> None:
        self._registry = registry
        self._connectivity = connectivity
        self._names = names
        self._files = files
        self._announcements = announcements
        names.on_seen = self._seen

    async def apply(self, container: Container) -> None:
        """Hold a running container to its new policy; flows that are there go on. Raises CoveError.

        The resolver comes first, so that it opens nothing any more that the firewall has just closed.
        """
        await self._names.change(container)
        await self._connectivity.police(container)
        self._files.change_resolv_conf(container)

    def _seen(self, seen: Seen) -> None:
        if seen.denied and seen.container in self._registry:
            container = self._registry.get(seen.container)
            self._announcements.publish(container, "egress_denied", {"destination": seen.name})
