"""What containers hold of the networks while they run: endpoints and published ports.

A start takes all at once (``allocate``). A running container joins a network in three steps, with the engine's work in
the container between them: ``join`` writes the endpoint down as pending, ``attach`` makes the link, ``joined`` makes it
final, with the engine's own record in the same commit. It leaves by ``leave``, which makes the endpoint pending,
``detach``, and ``left``. What is pending when a daemon starts is undone.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from cove.errors import NotFound
from cove.network.addresses import mac_for
from cove.network.catalogue import Catalogue
from cove.network.driver import Driver, Interface
from cove.network.endpoints import Allocation, EndpointRequest, Endpoints
from cove.network.gateways import Candidate, Gateways, choose, rank
from cove.network.ports import PortRequest, Target
from cove.network.publisher import Publisher
from cove.network.records import ENDPOINTS, HOST_BINDING_OPTION, EndpointRecord, NetworkRecord, PortRecord
from cove.network.rows import delete_rows, insert_rows
from cove.store import Database
from cove.store.database import Change

NOTHING = Allocation()


class Allocations:
    """By container. Calls for one container must not overlap; those for different containers may."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        driver: Callable[[NetworkRecord], Driver],
        publisher: Publisher,
        publish: str = "",
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._driver = driver
        self._publisher = publisher
        self._publish = publish
        self._endpoints = Endpoints(catalogue, driver)
        self._held: dict[str, Allocation] = {}
        self._by_network: dict[str, dict[str, EndpointRecord]] = {}
        self._host_links: set[str] = set()

    def restore(self, endpoints: Sequence[EndpointRecord], ports: Sequence[PortRecord]) -> None:
        """Take over what the database has."""
        containers = {endpoint.container for endpoint in endpoints} | {port.container for port in ports}
        for container in containers:
            own = tuple(endpoint for endpoint in endpoints if endpoint.container == container)
            self._hold(container, Allocation(own, tuple(port for port in ports if port.container == container)))
        self._endpoints.restore(endpoints)
        self._publisher.restore(ports)

    def keep_back(self, promised: Callable[[NetworkRecord], Collection[int]]) -> None:
        """Give nobody an address that is promised on a network, unless they ask for it or no other is free."""
        self._endpoints.promised = promised

    def containers(self) -> list[str]:
        return list(self._held)

    def of(self, container_id: str) -> Allocation:
        """What a container has now; nothing for a stopped or unknown one."""
        return self._held.get(container_id, NOTHING)

    def on(self, network_id: str) -> list[EndpointRecord]:
        """The endpoints on a network."""
        return list(self._by_network.get(network_id, {}).values())

    def has_link(self, name: str) -> bool:
        """Whether a link of the host is an endpoint's."""
        return name in self._host_links

    # A start and an end

    async def allocate(
        self, container_id: str, name: str, requests: Sequence[EndpointRequest], ports: Iterable[PortRequest]
    ) -> Allocation:
        """Take addresses and host ports for a start, in one commit; on any error nothing is taken."""
        await self.release(container_id)
        taken = self._endpoints.take(container_id, name, requests)
        endpoints = self._endpoints.named(sorted(taken, key=lambda endpoint: rank(self._candidate(endpoint))))
        self._hold(container_id, Allocation(endpoints))
        try:
            claimed = self._publisher.ports.claim(self._target(container_id, name, endpoints), ports)
            allocation = Allocation(endpoints, tuple(claimed))
            self._hold(container_id, allocation)
            await self._database.run(lambda connection: insert_rows(connection, endpoints, allocation.ports))
            await self._publisher.publish(allocation.ports)
        except BaseException:
            await self.release(container_id)
            raise
        return allocation

    async def release(self, container_id: str, *, links: bool = False) -> None:
        """Give back all that a container had; ``links``: also those that somebody else's being there keeps alive."""
        if (allocation := self._held.get(container_id)) is None:
            return
        rows = self._database.run(lambda connection: delete_rows(connection, allocation.endpoints, allocation.ports))
        await asyncio.gather(self._publisher.withdraw(allocation.ports), rows)
        for endpoint in allocation.endpoints:
            if links or not endpoint.host_link or _outlived(endpoint):
                await self.detach(endpoint)
        if self._held.get(container_id) is allocation:
            self._hold(container_id, NOTHING)
            self._publisher.ports.release(allocation.ports)
            self._endpoints.free(allocation.endpoints)

    def check(self, container_id: str, name: str, request: EndpointRequest) -> None:
        """Raises what ``join`` would, but for addresses that are in use now; takes nothing."""
        self._endpoints.check(container_id, name, request)

    async def attach(self, endpoint: EndpointRecord, namespace: int, *, routes: bool = True) -> Interface | None:
        """Put the link of an endpoint into a namespace; with ``routes``, what it has of the default routes is told."""
        network = self._catalogue.get(endpoint.network)
        interface = await self._driver(network).attach(network, endpoint, namespace)
        if interface is None or not routes:
            return interface
        gateways = self.gateways(self.of(endpoint.container).endpoints)
        return _with_routes(interface, endpoint, gateways)

    async def detach(self, endpoint: EndpointRecord) -> None:
        """Remove what is of an endpoint's link on the host."""
        network = self._catalogue.get(endpoint.network)
        await self._driver(network).detach(network, endpoint)

    # A running container joins and leaves

    async def join(self, container_id: str, name: str, request: EndpointRequest) -> EndpointRecord:
        """An endpoint for a running container, pending. Raises as ``allocate``, Forbidden when it is on the network."""
        before = self.of(container_id)
        taken = self._endpoints.take(container_id, name, [request], before.endpoints)
        (endpoint,) = self._endpoints.named(taken, before.endpoints)
        endpoint = msgspec.structs.replace(endpoint, pending=True)
        self._hold(container_id, Allocation((*before.endpoints, endpoint), before.ports))
        try:
            await self._database.run(lambda connection: insert_rows(connection, [endpoint], []))
        except BaseException:
            await self._forget(endpoint)
            raise
        return endpoint

    async def joined(
        self, endpoint: EndpointRecord, name: str, ports: Iterable[PortRequest], also: Change | None = None
    ) -> None:
        """Make a joined endpoint final, and lead published ports by the new gateway. ``also``: part of the commit."""
        final = msgspec.structs.replace(endpoint, pending=False)
        before = self.of(endpoint.container)
        endpoints = tuple(final if held == endpoint else held for held in before.endpoints)
        await self._move(endpoint.container, name, endpoints, ports, [_putting(final), also])

    async def leave(self, container_id: str, reference: str, also: Change | None = None) -> EndpointRecord:
        """Make an endpoint pending, and what is published through it unreachable. Raises NotFound when there is none.

        ``also``: part of the commit.
        """
        network = self._catalogue.get(reference)
        before = self.of(container_id)
        found = next((held for held in before.endpoints if held.network == network.id), None)
        if found is None:
            raise NotFound(f"container {container_id} is not connected to network {network.name}")
        endpoint = msgspec.structs.replace(found, pending=True)
        await self._database.run(_together([_putting(endpoint), also]))
        endpoints = tuple(endpoint if held is found else held for held in before.endpoints)
        self._hold(container_id, Allocation(endpoints, before.ports))
        await self._publisher.withdraw(port for port in before.ports if port.target in endpoint.addresses)
        return endpoint

    async def left(self, endpoint: EndpointRecord, name: str, ports: Iterable[PortRequest]) -> None:
        """Forget an endpoint whose link is gone; published ports lead by the gateway that is left."""
        rest = tuple(held for held in self.of(endpoint.container).endpoints if held != endpoint)
        await self._move(
            endpoint.container, name, rest, ports, [lambda connection: delete_rows(connection, [endpoint], [])]
        )
        self._endpoints.free([endpoint])

    async def republish(
        self,
        container_id: str,
        name: str,
        gone: Sequence[PortRecord],
        requests: Iterable[PortRequest],
        also: Change | None,
    ) -> None:
        """Change what a running container publishes; on an error all is as before. ``also``: part of the commit.

        Connections to the ports that stay go on. Raises as ``allocate``.
        """
        before = self.of(container_id)
        await self._publisher.withdraw(gone)
        self._publisher.ports.release(gone)  # so that one of them can be published anew, to another place
        claimed: list[PortRecord] = []
        try:
            claimed = self._publisher.ports.claim(self._target(container_id, name, before.endpoints), requests)
            await self._database.run(_together([_replacing(gone, claimed), also]))
        except BaseException:
            self._publisher.ports.release(claimed)
            self._publisher.ports.restore(gone)
            await self._publisher.publish(gone)
            raise
        kept = tuple(port for port in before.ports if port not in set(gone))
        self._hold(container_id, Allocation(before.endpoints, (*kept, *claimed)))
        await self._publisher.publish(claimed)

    async def _forget(self, endpoint: EndpointRecord) -> None:
        """Undo ``join``."""
        await self._database.run(lambda connection: delete_rows(connection, [endpoint], []))
        before = self.of(endpoint.container)
        rest = tuple(held for held in before.endpoints if held != endpoint)
        self._hold(endpoint.container, Allocation(rest, before.ports))
        self._endpoints.free([endpoint])

    async def _move(
        self,
        container_id: str,
        name: str,
        endpoints: tuple[EndpointRecord, ...],
        requests: Iterable[PortRequest],
        changes: Sequence[Change | None],
    ) -> None:
        """From one set of endpoints to another: ports keep their numbers where the new gateway can have them."""
        before = self.of(container_id)
        target = self._target(container_id, name, endpoints)
        kept, gone = self._publisher.ports.retarget(before.ports, target)
        claimed = [] if before.ports else self._publisher.ports.claim(target, requests)
        held, staying = set(before.ports), set(kept)
        fresh = [port for port in (*kept, *claimed) if port not in held]
        stale = [port for port in before.ports if port not in staying]
        try:
            await self._database.run(_together([_replacing(stale, fresh), *changes]))
        except BaseException:
            self._publisher.ports.release(claimed)
            raise
        self._hold(container_id, Allocation(endpoints, (*kept, *claimed)))
        await self._publisher.withdraw(stale)
        self._publisher.ports.release(gone)
        await self._publisher.publish(fresh)

    # Gateways

    def gateways(self, endpoints: Iterable[EndpointRecord]) -> Gateways:
        """Which of a container's endpoints have its default routes."""
        return choose([self._candidate(endpoint) for endpoint in endpoints])

    def _candidate(self, endpoint: EndpointRecord) -> Candidate:
        network = self._catalogue.get(endpoint.network)
        return Candidate(endpoint, network.name, network.internal, *self._driver(network).gateways(network, endpoint))

    def _target(self, container_id: str, name: str, endpoints: Sequence[EndpointRecord]) -> Target:
        """Where published ports lead: by bridge networks only, as the host has no part in the traffic of others."""
        chosen = self.gateways(endpoints)
        endpoint4, network4 = self._published(chosen.ipv4)
        endpoint6, network6 = self._published(chosen.ipv6)
        address = network4.options.get(HOST_BINDING_OPTION, "") if network4 is not None else ""
        return Target(
            container_id,
            name,
            endpoint4,
            endpoint6,
            routed4=network4 is not None and network4.gateway_mode(4) == "routed",
            routed6=network6 is not None and network6.gateway_mode(6) == "routed",
            default_address="" if address == "0.0.0.0" else address,
            guarded=any(network is not None and network.guarded(self._publish) for network in (network4, network6)),
        )

    def _published(self, chosen: Candidate | None) -> tuple[EndpointRecord | None, NetworkRecord | None]:
        network = self._catalogue.get(chosen.endpoint.network) if chosen is not None else None
        if chosen is None or network is None or not network.link:
            return None, None
        return chosen.endpoint, network

    def _hold(self, container_id: str, allocation: Allocation) -> None:
        for endpoint in self.of(container_id).endpoints:
            self._by_network.get(endpoint.network, {}).pop(container_id, None)
            self._host_links.discard(endpoint.host_link)
        for endpoint in allocation.endpoints:
            self._by_network.setdefault(endpoint.network, {})[container_id] = endpoint
            self._host_links.add(endpoint.host_link)
        if allocation == NOTHING:
            self._held.pop(container_id, None)
        else:
            self._held[container_id] = allocation


def _outlived(endpoint: EndpointRecord) -> bool:
    """Whether the link has to go before its address is given to another.

    Until the kernel has taken a dead container's namespace apart, it answers for the address. A container that gets
    the same address mostly gets the MAC that follows from it, and then the bridge sends to the new one only.
    """
    return bool(endpoint.address6) or endpoint.mac != mac_for(endpoint.address4)


def _with_routes(interface: Interface, endpoint: EndpointRecord, gateways: Gateways) -> Interface:
    mine4 = gateways.ipv4 if gateways.ipv4 and gateways.ipv4.endpoint.id == endpoint.id else None
    mine6 = gateways.ipv6 if gateways.ipv6 and gateways.ipv6.endpoint.id == endpoint.id else None
    return replace(interface, gateway4=mine4.gateway4 if mine4 else None, gateway6=mine6.gateway6 if mine6 else None)


def _putting(endpoint: EndpointRecord) -> Change:
    return ENDPOINTS.putting(endpoint)


def _replacing(stale: Sequence[PortRecord], fresh: Sequence[PortRecord]) -> Change:
    def change(connection: Any) -> None:
        delete_rows(connection, [], stale)
        insert_rows(connection, [], fresh)

    return change


def _together(changes: Iterable[Change | None]) -> Change:
    """One change that makes several."""

    def change(connection: Any) -> None:
        for each in changes:
            if each is not None:
                each(connection)

    return change
