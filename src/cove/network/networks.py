"""Networks, and the attachment of containers to them: the package's front.

A start takes what it needs in one commit (``allocate``), which may run beside the start of the shim, and puts links
into the namespace once it is there (``attach``). What is in the database is in use; the bridges, the firewall, the
sockets that reserve ports and what is kept in memory follow from it, and are made to by ``open`` and ``reconcile``.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from cove.errors import CoveError, Forbidden, NotFound
from cove.kernel.rtnetlink import RouteSocket
from cove.network.addresses import IPNetwork
from cove.network.bridge import BridgeDriver
from cove.network.catalogue import Catalogue, default_bridge, predefined, refuse_taken_name, user_network
from cove.network.driver import Driver, Interface
from cove.network.endpoints import Allocation, EndpointRequest, Endpoints
from cove.network.firewall import BridgePolicy, Firewall
from cove.network.links import Links
from cove.network.null import NullDriver
from cove.network.ports import HostPorts, PortRequest
from cove.network.publisher import Publisher
from cove.network.records import NETWORKS, EndpointRecord, NetworkRecord, Pool, PortRecord
from cove.network.rows import delete_rows, insert_rows, load_rows, put_networks
from cove.network.settings import NetworkSettings
from cove.store import Database

log = logging.getLogger(__name__)


class Networks:
    """All networks of one daemon. Used from one event loop; open, then reconcile, then the rest in any order.

    Calls for one container must not overlap; those for different containers may.
    """

    def __init__(self, database: Database, settings: NetworkSettings) -> None:
        self._database = database
        self._settings = settings
        self._links = Links()
        self._drivers: dict[str, Driver] = {
            "bridge": BridgeDriver(self._links, forward=settings.ip_forward),
            "host": NullDriver(),
            "null": NullDriver(),
        }
        self._catalogue = Catalogue()
        self._firewall = Firewall(settings.table)
        self._endpoints = Endpoints(self._catalogue, self._driver)
        self._publisher = Publisher(self._firewall, HostPorts(settings.host_address))
        self._allocations: dict[str, Allocation] = {}

    async def open(self) -> None:
        """Read the records, make the predefined networks, bridges and firewall, reserve published ports again.

        What the database says is in use stays in use, whether its container lives or not, until ``reconcile``.
        Raises OSError when the kernel refuses, InvalidArgument when ``bip`` cannot be used.
        """
        networks, endpoints, ports = await self._database.run(load_rows)
        await self._open_catalogue(networks, endpoints)
        for network in self._catalogue.all():
            await self._start(network)
        await self._firewall.open(filter(None, map(_policy, self._catalogue.all())), ports)
        self._restore(endpoints, ports)

    async def reconcile(self, running: Mapping[str, int]) -> dict[str, list[Interface]]:
        """Release what containers other than ``running`` had, and give back links that running ones have lost.

        ``running``: container id to a descriptor of its network namespace (the caller's to close). Returns the
        restored interfaces by container id, for ``ConfigureNetwork``.
        """
        for container_id in [known for known in self._allocations if known not in running]:
            await self.release(container_id)
        restored: dict[str, list[Interface]] = {}
        for network in self._catalogue.all():
            driver = self._driver(network)
            for endpoint in await driver.reconcile(network, self.endpoints_on(network.id)):
                try:
                    interface = await driver.attach(network, endpoint, running[endpoint.container])
                except OSError as error:
                    log.error(
                        "network %s: cannot give container %s its link back: %s",
                        network.name,
                        endpoint.container,
                        error,
                    )
                else:
                    restored.setdefault(endpoint.container, []).extend([interface] if interface else [])
        return restored

    def all(self) -> list[NetworkRecord]:
        """All networks, in the order of their creation."""
        return self._catalogue.all()

    def get(self, reference: str) -> NetworkRecord:
        """A network by id, name or unambiguous start of an id. Raises NotFound, or InvalidArgument when ambiguous."""
        return self._catalogue.get(reference)

    async def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        pools: Sequence[Pool] = (),
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        internal: bool = False,
        attachable: bool = False,
        ipv6: bool = False,
    ) -> NetworkRecord:
        """Make a network. ``pools`` with an empty gateway get their first address as gateway; none: choose a subnet.

        Raises NotFound (driver), Conflict (name), Forbidden (overlap, predefined name), InvalidArgument.
        """
        if driver not in self._drivers or not self._drivers[driver].user_networks:
            raise NotFound(f'plugin "{driver}" not found')
        routes = await self._routes(without="")
        refuse_taken_name(self._catalogue, name)
        used = [*self._catalogue.subnets(), *routes]
        record = user_network(name, driver, pools, options or {}, self._settings, used)
        record = msgspec.structs.replace(
            record, labels=dict(labels or {}), internal=internal, attachable=attachable, ipv6=ipv6
        )
        self._catalogue.add(record)
        try:
            await self._database.run(lambda connection: NETWORKS.insert(connection, record))
            await self._driver(record).start_network(record)
            if (policy := _policy(record)) is not None:
                await self._firewall.add_bridge(policy)
        except BaseException:
            await self._discard(record)
            raise
        return record

    async def remove(self, reference: str) -> NetworkRecord:
        """Remove a network. Raises Forbidden when it is predefined or has endpoints."""
        network = self.get(reference)
        if network.predefined:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        if self.endpoints_on(network.id):
            raise Forbidden(
                f"error while removing network: network {network.name} id {network.id} has active endpoints"
            )
        await self._discard(network)
        return network

    def endpoints_on(self, network_id: str) -> list[EndpointRecord]:
        """The endpoints on a network: what ``network inspect`` shows."""
        held = (endpoint for allocation in self._allocations.values() for endpoint in allocation.endpoints)
        return [endpoint for endpoint in held if endpoint.network == network_id]

    def allocation(self, container_id: str) -> Allocation:
        """What a container has now; empty for a stopped or unknown one."""
        return self._allocations.get(container_id, Allocation())

    async def allocate(
        self,
        container_id: str,
        name: str,
        requests: Sequence[EndpointRequest],
        ports: Iterable[PortRequest] = (),
    ) -> Allocation:
        """Take addresses and host ports for a start, in one commit; firewall included. Needs no namespace yet.

        Called again for a container that has an allocation, it releases that one first. On any error nothing is taken.
        Raises NotFound (network), InvalidArgument (address, port), Conflict with Docker's words for a taken port
        or address, Unavailable when the network has no address left.
        """
        await self.release(container_id)
        allocation = Allocation(self._endpoints.take(container_id, name, requests))
        self._allocations[container_id] = allocation
        try:
            allocation = Allocation(allocation.endpoints, self._claim(name, allocation.endpoints, ports))
            self._allocations[container_id] = allocation
            await self._database.run(lambda connection: insert_rows(connection, allocation.endpoints, allocation.ports))
            await self._publisher.publish(allocation.ports)
        except BaseException:
            await self.release(container_id)
            raise
        return allocation

    async def attach(self, endpoint: EndpointRecord, namespace: int) -> Interface | None:
        """Put the link of an endpoint into a network namespace; None for networks without links (host, none)."""
        network = self.get(endpoint.network)
        return await self._driver(network).attach(network, endpoint, namespace)

    async def connect(self, container_id: str, request: EndpointRequest, name: str = "") -> EndpointRecord:
        """Add an endpoint to a running container; ``attach`` follows. Raises as ``allocate``, Forbidden when on it."""
        before = self.allocation(container_id)
        (endpoint,) = self._endpoints.take(container_id, name or container_id, [request], before.endpoints)
        self._allocations[container_id] = Allocation((*before.endpoints, endpoint), before.ports)
        try:
            await self._database.run(lambda connection: insert_rows(connection, [endpoint], []))
        except BaseException:
            await self._database.run(lambda connection: delete_rows(connection, [endpoint], []))
            self._allocations[container_id] = before
            self._endpoints.free([endpoint])
            raise
        return endpoint

    async def disconnect(self, container_id: str, reference: str) -> EndpointRecord:
        """Remove one endpoint, its link and what is published through it. Raises NotFound when there is none."""
        network = self.get(reference)
        before = self.allocation(container_id)
        endpoint = next((held for held in before.endpoints if held.network == network.id), None)
        if endpoint is None:
            raise NotFound(f"container {container_id} is not connected to network {network.name}")
        gone = [port for port in before.ports if port.target in (endpoint.address4, endpoint.address6)]
        await self._publisher.withdraw(gone)
        await self._driver(network).detach(network, endpoint)
        await self._database.run(lambda connection: delete_rows(connection, [endpoint], gone))
        rest = tuple(held for held in before.endpoints if held is not endpoint)
        self._allocations[container_id] = Allocation(rest, tuple(port for port in before.ports if port not in gone))
        self._publisher.ports.release(gone)
        self._endpoints.free([endpoint])
        return endpoint

    async def release(self, container_id: str) -> None:
        """Give back all that a container had. Links die with the namespace. Does nothing the second time.

        When it raises (the database cannot be written), the container still has it, and it can be called again.
        """
        if (allocation := self._allocations.get(container_id)) is None:
            return
        rows = self._database.run(lambda connection: delete_rows(connection, allocation.endpoints, allocation.ports))
        await asyncio.gather(self._publisher.withdraw(allocation.ports), rows)
        if self._allocations.get(container_id) is allocation:
            del self._allocations[container_id]
            self._publisher.ports.release(allocation.ports)
            self._endpoints.free(allocation.endpoints)

    async def close(self) -> None:
        """Stop the daemon's side: sockets and threads. Bridges and firewall stay for the running containers."""
        await self._publisher.close()
        self._firewall.close()
        self._links.close()

    # Opening

    async def _open_catalogue(self, networks: Sequence[NetworkRecord], endpoints: Sequence[EndpointRecord]) -> None:
        known = {network.name: network for network in networks}
        former = known.get("bridge")
        in_use = former is not None and any(endpoint.network == former.id for endpoint in endpoints)
        others = [network for network in networks if network.name != "bridge"]
        for network in others:
            self._catalogue.add(network)
        used = [*self._catalogue.subnets(), *await self._routes(without=self._settings.bridge)]
        made = [
            default_bridge(self._settings, used, former, in_use),
            known.get("host") or predefined("host", "host"),
            known.get("none") or predefined("none", "null"),
        ]
        fresh = [network for network in made if known.get(network.name) != network]
        if former is not None and former.link != made[0].link:
            await self._drivers["bridge"].stop_network(former)
        await self._database.run(lambda connection: put_networks(connection, fresh))
        for network in made:
            self._catalogue.add(network)

    async def _routes(self, without: str) -> list[IPNetwork]:
        """Destinations of the host's routes, those through the link ``without`` left out."""

        def read(route: RouteSocket) -> list[IPNetwork]:
            own = route.links().get(without)
            return [destination for destination, index in route.routes() if own is None or index != own.index]

        return await self._links.run(read)

    async def _start(self, network: NetworkRecord) -> None:
        """A network of a user's that cannot be made now is tried again when a container is attached to it."""
        try:
            await self._driver(network).start_network(network)
        except (CoveError, OSError) as error:
            if network.predefined:
                raise
            log.error("network %s: %s", network.name, error)

    def _restore(self, endpoints: Sequence[EndpointRecord], ports: Sequence[PortRecord]) -> None:
        for endpoint in endpoints:
            held = self.allocation(endpoint.container)
            self._allocations[endpoint.container] = Allocation((*held.endpoints, endpoint), held.ports)
        for port in ports:
            held = self.allocation(port.container)
            self._allocations[port.container] = Allocation(held.endpoints, (*held.ports, port))
        self._endpoints.restore(endpoints)
        self._publisher.restore(ports)

    # Taking and giving back

    def _driver(self, network: NetworkRecord) -> Driver:
        return self._drivers[network.driver]

    def _claim(
        self, name: str, endpoints: Sequence[EndpointRecord], ports: Iterable[PortRequest]
    ) -> tuple[PortRecord, ...]:
        """Host ports lead to the endpoint that has the default route; without one there are none, as with Docker."""
        routed = next((endpoint for endpoint in endpoints if endpoint.default_route), None)
        return tuple(self._publisher.ports.claim(name, routed, ports)) if routed is not None else ()

    async def _discard(self, network: NetworkRecord) -> None:
        self._catalogue.remove(network)  # so that no container gets on it meanwhile
        try:
            await self._firewall.remove_bridge(network.link)
            await self._driver(network).stop_network(network)
            await self._database.run(lambda connection: NETWORKS.delete(connection, id=network.id))
        except BaseException:
            self._catalogue.add(network)
            raise


def _policy(network: NetworkRecord) -> BridgePolicy | None:
    """What the firewall is to know of a network; None for those that it has nothing to do with."""
    if not network.link:
        return None
    subnets = [pool.subnet for pool in network.pools]
    return BridgePolicy(
        network.link,
        tuple(subnet for subnet in subnets if ":" not in subnet),
        tuple(subnet for subnet in subnets if ":" in subnet),
        masquerade=network.masquerade,
        internal=network.internal,
        icc=network.icc,
    )
