"""The drivers of networks that are links on top of one of the host's: macvlan, each with a MAC of its own; ipvlan.

Containers are on the parent's own network, side by side with the host's neighbours; the host's firewall and published
ports have no part in it, and the host itself does not reach them. The links live and die in the containers'
namespaces: there is nothing of an endpoint on the host.
"""

from collections.abc import Sequence

import msgspec

from cove.errors import Conflict, InvalidArgument
from cove.kernel.rtnetlink import IPVLAN_FLAGS, IPVLAN_MODES, MACVLAN_MODES, RouteSocket
from cove.network import driver
from cove.network.driver import ON_LINK, Interface
from cove.network.links import Links
from cove.network.parents import Parents
from cove.network.records import MTU_OPTION, EndpointRecord, NetworkRecord

MACVLAN_MODE_OPTION = "macvlan_mode"
IPVLAN_MODE_OPTION = "ipvlan_mode"
IPVLAN_FLAG_OPTION = "ipvlan_flag"


class _Sublinks:
    """What the two kinds share. ``kind``: the driver's name."""

    addressed = True
    user_networks = True
    routed_by_host = False
    own_mac = True
    kind = ""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._parents = Parents(links, self.kind)
        self._networks: dict[str, NetworkRecord] = {}
        self._indexes: dict[str, int] = {}
        self._made_on: dict[str, int] = {}  # by endpoint: the index of the parent that its link was made on

    async def start_network(self, network: NetworkRecord) -> None:
        self._indexes[network.id] = await self._parents.start(network)
        self._networks[network.id] = network

    async def stop_network(self, network: NetworkRecord) -> None:
        self._networks.pop(network.id, None)
        self._indexes.pop(network.id, None)
        await self._parents.stop(network, tuple(self._networks.values()))

    def host_link(self) -> str:
        return ""

    def host_links(self, network: NetworkRecord) -> tuple[str, ...]:
        return (network.parent,)

    def gateways(self, network: NetworkRecord, endpoint: EndpointRecord) -> tuple[str | None, str | None]:
        return driver.gateways(network, endpoint)

    async def attach(self, network: NetworkRecord, endpoint: EndpointRecord, namespace: int) -> Interface | None:
        """A parent that is gone is made again, when it was ours."""
        try:
            await self._make_link(network, endpoint, namespace)
        except (KeyError, OSError):
            await self.start_network(network)
            await self._make_link(network, endpoint, namespace)
        return driver.interface(endpoint)

    async def _make_link(self, network: NetworkRecord, endpoint: EndpointRecord, namespace: int) -> None:
        parent = self._indexes[network.id]
        await self._links.run(lambda route: self._create(route, parent, network, endpoint, namespace))
        self._made_on[endpoint.id] = parent

    async def detach(self, network: NetworkRecord, endpoint: EndpointRecord) -> None:
        self._made_on.pop(endpoint.id, None)

    async def reconcile(self, network: NetworkRecord, endpoints: Sequence[EndpointRecord]) -> list[EndpointRecord]:
        """A link is gone with its parent, and only then. Of one that an earlier daemon made the parent is not known."""
        found = (await self._links.run(RouteSocket.links)).get(network.parent)
        index = found.index if found is not None else 0
        return [endpoint for endpoint in endpoints if self._made_on.get(endpoint.id, index) != index]

    def _create(
        self, route: RouteSocket, parent: int, network: NetworkRecord, endpoint: EndpointRecord, namespace: int
    ) -> None:
        raise NotImplementedError


class MacvlanDriver(_Sublinks):
    kind = "macvlan"

    async def settle(self, network: NetworkRecord, others: Sequence[NetworkRecord]) -> NetworkRecord:
        mode = network.options.get(MACVLAN_MODE_OPTION) or "bridge"
        if mode not in MACVLAN_MODES:
            raise InvalidArgument(
                f"requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver default"
            )
        for other in (other for other in others if other.driver == "macvlan" and other.parent == network.parent):
            if mode == "passthru":
                raise Conflict(
                    f"cannot use mode passthru, macvlan network {other.id} is already using parent interface "
                    f"{network.parent}"
                )
            if other.options.get(MACVLAN_MODE_OPTION) == "passthru":
                raise Conflict(
                    f"macvlan network {other.id} is already using parent interface {network.parent} in mode passthru"
                )
        settled = await self._parents.settle(network)
        return _shared(settled, others)

    def _create(
        self, route: RouteSocket, parent: int, network: NetworkRecord, endpoint: EndpointRecord, namespace: int
    ) -> None:
        mode = network.options.get(MACVLAN_MODE_OPTION) or "bridge"
        route.create_macvlan(endpoint.interface, parent, mode, endpoint.mac, _mtu(network), namespace)


class IpvlanDriver(_Sublinks):
    kind = "ipvlan"
    own_mac = False

    async def settle(self, network: NetworkRecord, others: Sequence[NetworkRecord]) -> NetworkRecord:
        mode = network.options.get(IPVLAN_MODE_OPTION) or "l2"
        if mode not in IPVLAN_MODES:
            raise InvalidArgument(
                f"requested ipvlan mode '{mode}' is not valid, 'l2' mode is the ipvlan driver default"
            )
        flag = network.options.get(IPVLAN_FLAG_OPTION) or "bridge"
        if flag not in IPVLAN_FLAGS:
            raise InvalidArgument(f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default")
        for other in others:
            if other.driver == "ipvlan" and other.parent == network.parent:
                raise Conflict(f"network dm-{other.id[:12]} is already using parent interface {network.parent}")
        return await self._parents.settle(network)

    def gateways(self, network: NetworkRecord, endpoint: EndpointRecord) -> tuple[str | None, str | None]:
        """In the modes of layer 3 there is no neighbour to send to: the default route is the link."""
        if network.internal or network.options.get(IPVLAN_MODE_OPTION) in (None, "", "l2"):
            return driver.gateways(network, endpoint)
        return (ON_LINK[4] if endpoint.address4 else None, ON_LINK[6] if endpoint.address6 else None)

    def _create(
        self, route: RouteSocket, parent: int, network: NetworkRecord, endpoint: EndpointRecord, namespace: int
    ) -> None:
        mode = network.options.get(IPVLAN_MODE_OPTION) or "l2"
        flag = network.options.get(IPVLAN_FLAG_OPTION) or "bridge"
        route.create_ipvlan(endpoint.interface, parent, mode, flag, _mtu(network), namespace)


def _shared(network: NetworkRecord, others: Sequence[NetworkRecord]) -> NetworkRecord:
    """A parent that was made for another network goes with the last that has it, be it this one."""
    made = any(
        other.driver == network.driver and other.parent == network.parent and not other.adopted for other in others
    )
    return msgspec.structs.replace(network, adopted=network.adopted and not made)


def _mtu(network: NetworkRecord) -> int | None:
    """The MTU that was asked for; None: the parent's."""
    return network.mtu if network.options.get(MTU_OPTION) else None
