"""Networks, and the attachment of containers to them: the package's front.

A start takes what it needs in one commit (``allocate``), which may run beside the start of the shim, and puts links
into the namespace once it is there (``attach``). What is in the database is in use; the bridges, the firewall, the
sockets that reserve ports and what is kept in memory follow from it, and are made to by ``open`` and ``reconcile``.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cove.errors import CoveError, Forbidden, NotFound
from cove.kernel.rtnetlink import RouteSocket
from cove.network.addresses import AddressPool, IPNetwork
from cove.network.allocations import Allocations
from cove.network.bridge import BridgeDriver
from cove.network.catalogue import Catalogue, default_bridge, predefined, refuse_taken_name, user_network
from cove.network.driver import Driver, Interface
from cove.network.egress import OTHERS_SETS, Egress
from cove.network.endpoints import Allocation, EndpointRequest
from cove.network.firewall import BridgePolicy, Firewall, LinkedFlow
from cove.network.gateways import Gateways
from cove.network.guard import Guard
from cove.network.host_view import look
from cove.network.inheritance import configured, with_defaults
from cove.network.kernel_settings import KernelSettings
from cove.network.links import Links
from cove.network.null import NullDriver
from cove.network.obstacles import obstacles
from cove.network.policing import Policing
from cove.network.ports import HostPorts, PortRequest
from cove.network.publisher import Publisher
from cove.network.records import NETWORKS, EndpointRecord, NetworkRecord, PortRecord
from cove.network.rows import load_rows, put_networks
from cove.network.ruleset import USER_CHAIN
from cove.network.settings import NetworkSettings
from cove.network.sublinks import IpvlanDriver, MacvlanDriver
from cove.network.trace_world import Goal, Party, Step, World
from cove.network.tracing import hint, trace
from cove.store import Database
from cove.store.database import Change

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restored:
    """What is to be done in a running container's namespace: links to remove, links to set up, default routes."""

    removed: tuple[str, ...] = ()
    interfaces: tuple[Interface, ...] = ()


class Networks:
    """All networks of one daemon. Used from one event loop; open, then reconcile, then the rest in any order.

    Calls for one container must not overlap; those for different containers may.
    ``policing`` holds them to egress policies.
    """

    def __init__(self, database: Database, settings: NetworkSettings) -> None:
        self._database = database
        self._settings = settings
        self._links = Links()
        self._changing = asyncio.Lock()  # of which networks there are, and of making their links anew
        self._kernel = KernelSettings()
        self._drivers: dict[str, Driver] = {
            "bridge": BridgeDriver(self._links, self._kernel, forward=settings.ip_forward, families=settings.families),
            "macvlan": MacvlanDriver(self._links),
            "ipvlan": IpvlanDriver(self._links),
            "host": NullDriver(),
            "null": NullDriver(),
        }
        self._catalogue = Catalogue()
        self._firewall = Firewall(
            settings.table, settings.families, direct=settings.direct_routing, mark=settings.accept_mark
        )
        self._egress = Egress(settings.table)
        self._guards = (
            Guard(settings.table, self._firewall.repair, (USER_CHAIN,)),
            Guard(self._egress.table, self._egress.repair, OTHERS_SETS),
        )
        self._publisher = Publisher(
            self._firewall, HostPorts(settings.host_address), turned_away=self._catalogue.inside_internal
        )
        self._allocations = Allocations(database, self._catalogue, self._driver, self._publisher, settings.publish)
        self.policing = Policing(self._catalogue, self._allocations, self._egress)

    @property
    def drivers(self) -> list[str]:
        """The kinds of network that there are."""
        return sorted(self._drivers)

    def keep_back(self, promised: Callable[[NetworkRecord], Collection[int]]) -> None:
        """``promised``: addresses on a network, as numbers: only who asks gets them, unless no other is free."""
        self._allocations.keep_back(promised)

    @property
    def kernel_settings(self) -> list[str]:
        """Settings of the host's kernel that networks have turned on, as ``net.ipv4.ip_forward=1``."""
        return self._kernel.kept

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
        if self._firewall.in_use:
            for guard in self._guards:
                guard.watch()
        self._allocations.restore(endpoints, ports)

    async def reconcile(self, running: Mapping[str, int]) -> dict[str, Restored]:
        """Release what containers other than ``running`` had, and give back links that running ones have lost.

        ``running``: container id to a descriptor of its network namespace (the caller's to close). Returns what the
        containers' sides have to do, by container id; what was pending is undone.
        """
        for container_id in [known for known in self._allocations.containers() if known not in running]:
            await self.release(container_id)
        undone: dict[str, Restored] = {}
        for container_id in self._allocations.containers():
            for endpoint in self.allocation(container_id).endpoints:
                if endpoint.pending:
                    await self._allocations.detach(endpoint)
                    await self._allocations.left(endpoint, "", ())
                    known = undone.get(container_id, Restored())
                    undone[container_id] = replace(known, removed=(*known.removed, endpoint.interface))
        return await self._restore_links(running, undone)

    async def repair(self, running: Mapping[str, int]) -> dict[str, Restored]:
        """Make again what somebody has removed from the host, for all networks; as ``reconcile`` otherwise."""
        async with self._changing:
            for network in self._catalogue.all():
                await self._start(network)
        return await self._restore_links(running, {})

    async def _restore_links(self, running: Mapping[str, int], found: dict[str, Restored]) -> dict[str, Restored]:
        for network in self._catalogue.all():
            lost = await self._driver(network).reconcile(network, self.endpoints_on(network.id))
            for endpoint in (endpoint for endpoint in lost if endpoint.container in running):
                try:
                    interface = await self.attach(endpoint, running[endpoint.container], routes=False)
                except OSError as error:
                    log.error(
                        "network %s: cannot give container %s its link back: %s",
                        network.name,
                        endpoint.container,
                        error,
                    )
                else:
                    known = found.get(endpoint.container, Restored())
                    added = (*known.interfaces, interface) if interface else known.interfaces
                    found[endpoint.container] = replace(known, interfaces=added)
        return found

    def depends_on(self, link: str) -> bool:
        """Whether a link of the host is one of ours, that somebody may have removed: a bridge, or an endpoint's."""
        return self._allocations.has_link(link) or any(
            link in self._driver(network).host_links(network) for network in self._catalogue.all()
        )

    def all(self) -> list[NetworkRecord]:
        """All networks, in the order of their creation."""
        return self._catalogue.all()

    def get(self, reference: str) -> NetworkRecord:
        """A network by id, name or unambiguous start of an id. Raises NotFound, or InvalidArgument when ambiguous."""
        return self._catalogue.get(reference)

    def default(self) -> NetworkRecord | None:
        """The network ``bridge``, unless the settings say that there is none."""
        return self._catalogue.named("bridge")

    async def create(self, wanted: NetworkRecord) -> NetworkRecord:
        """Make a network. ``wanted``: as asked for; pools with an empty subnet or gateway are filled in.

        Raises NotFound (driver), Conflict (name), Forbidden (overlap, predefined name), InvalidArgument, Unimplemented.
        """
        driver = self._drivers.get(wanted.driver)
        if driver is None or not driver.user_networks:
            raise NotFound(f'plugin "{wanted.driver}" not found')
        async with self._changing:
            return await self._create(wanted, driver)

    async def _create(self, wanted: NetworkRecord, driver: Driver) -> NetworkRecord:
        routes = await self._routes(without="")
        refuse_taken_name(self._catalogue, wanted.name)
        others = self._catalogue.all()
        wanted = with_defaults(wanted, self._settings.network_options)
        record = user_network(
            configured(wanted, self._catalogue),
            self._settings,
            self._catalogue.subnets(),
            routes,
            routed_by_host=driver.routed_by_host,
        )
        self._catalogue.add(record)  # from here on its name and its addresses are taken
        record = await self._settled(record, others)
        try:
            await self._database.run(lambda connection: NETWORKS.insert(connection, record))
            if not record.config_only:
                await asyncio.gather(driver.start_network(record), self._admit(record))
        except BaseException:
            await self._discard(record)
            raise
        return record

    async def _admit(self, network: NetworkRecord) -> None:
        """Tell the firewall of a network, if that is to know it."""
        if (policy := _policy(network)) is not None:
            await self._firewall.add_bridge(policy)

    async def _settled(self, record: NetworkRecord, others: Sequence[NetworkRecord]) -> NetworkRecord:
        """A network as its driver wants it; one that is refused is forgotten."""
        if record.config_only:
            return record
        try:
            settled = await self._driver(record).settle(record, others)
        except BaseException:
            self._catalogue.remove(record)
            raise
        self._catalogue.add(settled)
        return settled

    async def remove(self, reference: str) -> NetworkRecord:
        """Remove a network. Raises Forbidden when it is predefined or has endpoints."""
        async with self._changing:
            network = self.get(reference)
            self._refuse_used(network)
            await self._discard(network)
        return network

    def _refuse_used(self, network: NetworkRecord) -> None:
        """Raises Forbidden for a network that has to stay."""
        if network.predefined:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        if self.endpoints_on(network.id):
            raise Forbidden(
                f"error while removing network: network {network.name} id {network.id} has active endpoints"
            )
        if network.config_only and any(other.config_from == network.name for other in self._catalogue.all()):
            raise Forbidden(f'error while removing network: configuration network "{network.name}" is in use')

    def address_pools(self, network_id: str) -> tuple[AddressPool, ...]:
        """The addresses of a network, subnet by subnet."""
        return self._catalogue.pools(network_id)

    def endpoints_on(self, network_id: str) -> list[EndpointRecord]:
        """The endpoints on a network: what ``network inspect`` shows."""
        return self._allocations.on(network_id)

    def allocation(self, container_id: str) -> Allocation:
        """What a container has now; empty for a stopped or unknown one."""
        return self._allocations.of(container_id)

    def gateways(self, container_id: str, *, without: EndpointRecord | None = None) -> Gateways:
        """Which of a container's endpoints have its default routes; ``without`` one that it is about to lose."""
        return self._allocations.gateways(held for held in self.allocation(container_id).endpoints if held != without)

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
        return await self._allocations.allocate(container_id, name, requests, ports)

    def check(self, container_id: str, name: str, request: EndpointRequest) -> None:
        """Raises what a start would for this network, unless it is for an address that is in use; takes nothing."""
        self._allocations.check(container_id, name, request)

    async def attach(self, endpoint: EndpointRecord, namespace: int, *, routes: bool = True) -> Interface | None:
        """Put the link of an endpoint into a network namespace; None for networks without links (host, none).

        ``routes``: the answer has the default routes that lead through it.
        """
        return await self._allocations.attach(endpoint, namespace, routes=routes)

    async def detach(self, endpoint: EndpointRecord) -> None:
        """Remove what is of an endpoint's link on the host; the container's side may have to remove the rest."""
        await self._allocations.detach(endpoint)

    async def join(self, container_id: str, name: str, request: EndpointRequest) -> EndpointRecord:
        """An endpoint for a running container; ``attach`` and ``joined`` follow, or ``leave`` and ``left`` to undo it.

        Raises as ``allocate``, Forbidden when it is on the network.
        """
        return await self._allocations.join(container_id, name, request)

    async def joined(
        self, endpoint: EndpointRecord, name: str, ports: Iterable[PortRequest] = (), also: Change | None = None
    ) -> None:
        """Make it final, and have published ports follow the default route. ``also``: part of the same commit."""
        await self._allocations.joined(endpoint, name, ports, also)

    async def leave(self, container_id: str, reference: str, also: Change | None = None) -> EndpointRecord:
        """Begin to take a running container from a network; ``detach`` and ``left`` follow. Raises NotFound."""
        return await self._allocations.leave(container_id, reference, also)

    async def left(self, endpoint: EndpointRecord, name: str, ports: Iterable[PortRequest] = ()) -> None:
        """The address is free; published ports follow the default route."""
        await self._allocations.left(endpoint, name, ports)

    async def republish(
        self,
        container_id: str,
        name: str,
        gone: Sequence[PortRecord],
        requests: Iterable[PortRequest],
        also: Change | None = None,
    ) -> None:
        """Change what a running container publishes; on an error all is as before. ``also``: part of the commit."""
        await self._allocations.republish(container_id, name, gone, requests, also)

    async def release(self, container_id: str, *, links: bool = False) -> None:
        """Give back all that a container had. Does nothing the second time.

        Links die with the namespace; with ``links`` they are removed, as something else keeps the namespace.
        When it raises (the database cannot be written), the container still has it, and it can be called again.
        """
        await self.policing.let_go(container_id)
        addresses = {address for endpoint in self.allocation(container_id).endpoints for address in endpoint.addresses}
        await self._firewall.disallow(lambda flow: flow.source in addresses or flow.target in addresses)
        await self._allocations.release(container_id, links=links)

    async def trace(self, parties: Iterable[Party], origin: Party, goal: Goal) -> tuple[list[Step], str]:
        """The way of a packet that is not sent, and what could be done where it ends. Raises OSError."""
        networks = {network.id: network for network in self._catalogue.all()}
        bridges = {network.link: network for network in networks.values() if network.link and not network.config_only}
        tables = (self._settings.table, self._egress.table)
        world = World(networks, tuple(parties), tables, bridges)

        def follow() -> list[Step]:
            with look() as host:
                return trace(world, host, origin, goal)

        steps = await asyncio.to_thread(follow)
        return steps, hint(world, origin, goal, steps[-1].reason)

    def obstacles(self) -> list[str]:
        """Rules of others that drop what containers send out, in words. Blocks; may be called from a thread."""
        with look() as host:
            return obstacles(host, self._catalogue.all(), (self._settings.table, self._egress.table))

    async def allow(self, flows: Iterable[LinkedFlow]) -> None:
        """Let flows pass where containers may not talk, until one of the two is released. Raises OSError."""
        await self._firewall.allow(flows)

    async def disallow(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Undo it, from the one to the other address of each pair."""
        gone = set(pairs)
        await self._firewall.disallow(lambda flow: (flow.source, flow.target) in gone)

    @property
    def egress(self) -> Egress:
        """The egress policies of running containers."""
        return self._egress

    async def close(self) -> None:
        """Stop the daemon's side: sockets and threads. Bridges and firewall stay for the running containers."""
        for guard in self._guards:
            await guard.close()
        await self._publisher.close()
        self._firewall.close()
        self._egress.close()
        await self._links.settle()
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
        bridge = default_bridge(self._settings, used, former, in_use) if self._settings.has_bridge or in_use else None
        made = [
            *([bridge] if bridge is not None else ()),
            known.get("host") or predefined("host", "host"),
            known.get("none") or predefined("none", "null"),
        ]
        fresh = [network for network in made if known.get(network.name) != network]
        if former is not None and (bridge is None or former.link != bridge.link):
            await self._drivers["bridge"].stop_network(former)
        if former is not None and bridge is None:
            await self._database.run(lambda connection: NETWORKS.delete(connection, id=former.id))
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
        if network.config_only:
            return
        try:
            await self._driver(network).start_network(network)
        except (CoveError, OSError) as error:
            if network.predefined:
                raise
            log.error("network %s: %s", network.name, error)

    def _driver(self, network: NetworkRecord) -> Driver:
        return self._drivers[network.driver]

    async def _discard(self, network: NetworkRecord) -> None:
        self._catalogue.remove(network)  # so that no container gets on it meanwhile
        try:
            if not network.config_only:
                removed = self._firewall.remove_bridge(network.link)
                await asyncio.gather(removed, self._driver(network).stop_network(network))
            await self._database.run(lambda connection: NETWORKS.delete(connection, id=network.id))
        except BaseException:
            self._catalogue.add(network)
            raise


def _policy(network: NetworkRecord) -> BridgePolicy | None:
    """What the firewall is to know of a network; None for those that it has nothing to do with."""
    if not network.link or network.config_only:
        return None
    subnets = [pool.subnet for pool in network.pools]
    return BridgePolicy(
        network.link,
        tuple(subnet for subnet in subnets if ":" not in subnet),
        tuple(subnet for subnet in subnets if ":" in subnet),
        masquerade4=network.masquerades(4),
        masquerade6=network.masquerades(6),
        mode4=network.gateway_mode(4),
        mode6=network.gateway_mode(6),
        internal=network.internal,
        icc=network.icc,
        trusted=network.trusted,
    )
