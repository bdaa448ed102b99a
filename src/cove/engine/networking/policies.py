"""Egress policies of running containers: changed live, what they keep containers from is told, what they learn kept."""

from collections.abc import Iterable

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.events.announcements import Announcements
from cove.engine.networking.connectivity import UNLINKED, Connectivity
from cove.engine.networking.learned import Learned
from cove.engine.networking.namefiles import NameFiles
from cove.engine.networking.nameservice import NameService
from cove.errors import InvalidArgument
from cove.network import Networks, Reached, allowing, parse_policy
from cove.resolver.messages import Seen
from cove.wire.egress import EgressDestination, EgressReport
from cove.wire.host_config import HostConfig

DENIED = "egress_denied"
"""The event of a name or a packet that a policy has kept from getting out."""


class Policies:
    """Applies what a container's record says. Made before the resolver and the firewall have anything to tell."""

    def __init__(
        self,
        *,
        registry: Registry,
        networks: Networks,
        connectivity: Connectivity,
        names: NameService,
        files: NameFiles,
        announcements: Announcements,
        learned: Learned,
    ) -> None:
        self._registry = registry
        self._networks = networks
        self._egress = networks.egress
        self._connectivity = connectivity
        self._names = names
        self._files = files
        self._announcements = announcements
        self._learned = learned
        names.on_seen = self._seen
        networks.egress.on_refused = self._refused
        networks.egress.on_reached = self._reached
        registry.on_remove.append(learned.forget)

    def check(self, host: HostConfig, networks: Iterable[str]) -> None:
        """Raises InvalidArgument for what is no policy, and for one that cannot hold.

        ``host`` has the policy and the network mode; ``networks`` are those that the container is to be on.
        """
        if parse_policy(host.egress) is None:
            return
        if host.network_mode in UNLINKED or ":" in host.network_mode:
            raise InvalidArgument(f"conflicting options: egress policy and the network mode {host.network_mode}")
        self._networks.policing.check(networks)

    async def apply(self, container: Container, before: str) -> None:
        """Hold a running container to its new policy; flows that are there go on. Raises CoveError.

        The resolver comes first, so that it opens nothing any more that the firewall has just closed. ``before``: the
        policy that it had; what was learned earlier is forgotten when it begins to learn.
        """
        if container.record.host_config.egress == "learn" != before:
            self._learned.forget(container.id)
        await self._names.change(container)
        await self._connectivity.police(container)
        self._files.change_resolv_conf(container)

    async def report(self, ref: str) -> EgressReport:
        """A container's policy, and what was learned of it. Raises NotFound."""
        container = self._registry.get(ref)
        now = await self._egress.reached(container.id) if self._egress.holds(container.id) else []
        found = self._learned.destinations(container.id, now)
        return EgressReport(
            policy=container.record.host_config.egress or "none",
            learned=[
                EgressDestination(
                    name=each.name, port=each.port, protocol=each.protocol, addresses=list(each.addresses)
                )
                for each in found
            ],
            allow=allowing(found),
        )

    def close(self) -> None:
        """Write what was not yet written."""
        self._learned.close()

    def _seen(self, seen: Seen) -> None:
        if seen.container not in self._registry:
            return
        if seen.denied:
            self._announcements.publish(self._registry.get(seen.container), DENIED, {"destination": seen.name})
        else:
            self._learned.named(seen.container, seen.name, seen.addresses)

    def _refused(self, container_id: str, place: Reached) -> None:
        if container_id in self._registry:
            port = {"port": str(place.port)} if place.port else {}
            attributes = {"destination": place.address, "protocol": place.protocol, **port}
            self._announcements.publish(self._registry.get(container_id), DENIED, attributes)

    def _reached(self, container: str, places: list[Reached]) -> None:
        """``container``: an id, or the beginning of one."""
        found = next((known.id for known in self._registry if known.id.startswith(container)), None)
        if found is not None:
            self._learned.reached(found, places)
