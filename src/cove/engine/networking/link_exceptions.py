"""Links as exceptions: where containers of the default bridge may not talk, a link opens its target's exposed ports.

As with Docker, that is one direction; unlike there, it is IPv6 too.
"""

from collections.abc import Iterable, Iterator

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.networking.connectivity import Connectivity, split_port
from cove.engine.networking.links import Links
from cove.network import LinkedFlow, Networks


class LinkExceptions:
    def __init__(self, registry: Registry, networks: Networks, connectivity: Connectivity, links: Links) -> None:
        self._registry = registry
        self._networks = networks
        self._connectivity = connectivity
        self._links = links

    async def apply(self, container: Container) -> None:
        """For a container that has addresses now: what it has links to, and who has links to it. Raises OSError."""
        if self._needed() and (container.record.links or self._registry.linked_to(container.id)):
            await self._networks.allow([*self._of(container), *self._to(container)])

    async def apply_all(self, containers: Iterable[Container]) -> None:
        """For those that an earlier daemon has left running."""
        if self._needed():
            await self._networks.allow([flow for container in containers for flow in self._of(container)])

    def _needed(self) -> bool:
        found = self._networks.default()
        return found is not None and not found.icc

    def _of(self, container: Container) -> Iterator[LinkedFlow]:
        for link in self._links.of(container):
            yield from self._flows(container, link.target)

    def _to(self, target: Container) -> Iterator[LinkedFlow]:
        for user in self._links.users(target):
            yield from self._flows(user, target)

    def _flows(self, container: Container, target: Container) -> Iterator[LinkedFlow]:
        exposed = [split_port(key) for key in target.record.config.exposed_ports or {}]
        for source, destination in zip(self._links.addresses(container), self._links.addresses(target), strict=True):
            if source and destination:
                yield from (LinkedFlow(source, destination, protocol, number) for number, protocol in exposed)
