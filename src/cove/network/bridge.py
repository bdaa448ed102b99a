"""The bridge driver: a Linux bridge on the host, and a veth pair for each endpoint."""

import contextlib
import errno
import logging
import secrets
import socket
from collections.abc import Collection, Sequence
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network

import msgspec

from cove.errors import Conflict
from cove.kernel import sysctl
from cove.kernel.netlink import notice_carrier
from cove.kernel.rtnetlink import RouteSocket
from cove.network import bridge_options, driver
from cove.network.addresses import mac_for
from cove.network.driver import Interface
from cove.network.kernel_settings import KernelSettings
from cove.network.links import Links
from cove.network.records import BRIDGE_NAME_OPTION, EndpointRecord, NetworkRecord

log = logging.getLogger(__name__)

_LINK_LOCAL = ip_interface("fe80::1/64")
_VETH_PREFIX = "veth"


class BridgeDriver:
    """``settings``: of the host's kernel. ``forward``: whether to turn on forwarding when a network starts.

    ``families``: the address families, 4 and 6, in which the firewall leads and judges packets.
    """

    addressed = True
    user_networks = True
    routed_by_host = True
    own_mac = True

    def __init__(
        self, links: Links, settings: KernelSettings, *, forward: bool = True, families: Collection[int] = (4, 6)
    ) -> None:
        self._links = links
        self._settings = settings
        self._families = families
        self._forward = forward
        self._indexes: dict[str, int] = {}

    async def settle(self, network: NetworkRecord, others: Sequence[NetworkRecord]) -> NetworkRecord:
        """The bridge's name is filled in; a bridge of that name that the host has is adopted."""
        named = {BRIDGE_NAME_OPTION: f"br-{network.id[:12]}"} | {k: v for k, v in network.options.items() if v}
        network = msgspec.structs.replace(network, options=named)
        bridge_options.check(network)
        bridge_options.refuse_conflicts(network, others)
        found = (await self._links.run(RouteSocket.links)).get(network.link)
        if found is not None and found.kind != "bridge":
            raise Conflict(f"cannot make bridge {network.link}: a link of that name is there and is no bridge")
        return msgspec.structs.replace(network, adopted=found is not None)

    async def start_network(self, network: NetworkRecord) -> None:
        """Make the bridge or adopt the one that is there: address, MTU, up; settings of the kernel that it needs."""
        self._indexes[network.id] = await self._links.run(lambda route: _make_bridge(route, network))
        has_ipv6 = any(pool.version == 6 for pool in network.pools)
        if has_ipv6:  # which would take a second or two of each address that the kernel makes
            sysctl.write(f"net/ipv6/conf/{network.link}/accept_dad", "0")
        with contextlib.suppress(FileNotFoundError):  # a host without IPv6
            sysctl.write(f"net/ipv6/conf/{network.link}/accept_ra", "0")
        if network.internal:
            return
        if 4 in self._families:  # which leads what is sent to the host's 127.0.0.1 to containers
            self._settings.turn_on(f"net/ipv4/conf/{network.link}/route_localnet")
        elif not network.adopted:  # a daemon that was told otherwise may have been here before
            sysctl.write(f"net/ipv4/conf/{network.link}/route_localnet", "0")
        if network.is_default:
            _answer_for_links(network, answers=4 in self._families and not network.icc)
        if self._forward:
            self._settings.forward4()
            if has_ipv6:
                self._settings.forward6()

    async def stop_network(self, network: NetworkRecord) -> None:
        self._indexes.pop(network.id, None)
        if network.adopted:
            await self._links.run(lambda route: _leave(route, network))
        else:
            await self._links.delete(network.link)
            self._settings.forget(network.link)

    def host_link(self) -> str:
        return _VETH_PREFIX + secrets.token_hex(4)

    def host_links(self, network: NetworkRecord) -> tuple[str, ...]:
        return (network.link,)

    def gateways(self, network: NetworkRecord, endpoint: EndpointRecord) -> tuple[str | None, str | None]:
        return driver.gateways(network, endpoint)

    async def attach(self, network: NetworkRecord, endpoint: EndpointRecord, namespace: int) -> Interface | None:
        """A pair of the same name that a failed start left is replaced; a bridge that is gone is made."""
        try:
            await self._make_pair(network, endpoint, namespace)
        except (KeyError, OSError):
            await self.start_network(network)
            await self._make_pair(network, endpoint, namespace)
        interface = driver.interface(endpoint)
        host = next((pool.gateway for pool in network.pools if pool.version == 6), "")
        forwards = network.is_default and not network.icc and 6 in self._families  # as its rules are to judge
        return _by_host(interface, endpoint, host) if forwards and host and endpoint.address6 else interface

    async def _make_pair(self, network: NetworkRecord, endpoint: EndpointRecord, namespace: int) -> None:
        bridge = self._indexes[network.id]
        await self._links.run(lambda route: _make_pair(route, bridge, network, endpoint, namespace))

    async def detach(self, network: NetworkRecord, endpoint: EndpointRecord) -> None:
        await self._links.run(lambda route: _delete(route, endpoint.host_link))

    async def reconcile(self, network: NetworkRecord, endpoints: Sequence[EndpointRecord]) -> list[EndpointRecord]:
        """Also puts pairs back on a bridge that was made anew."""
        return await self._links.run(lambda route: _reconcile(route, network, endpoints))


def _answer_for_links(network: NetworkRecord, *, answers: bool) -> None:
    """Have the host answer, at once, when a container asks for another that its port exchanges nothing with.

    What the two send is then forwarded by the host, whose rules know which containers have a link.
    """
    if answers:
        sysctl.write(f"net/ipv4/neigh/{network.link}/proxy_delay", "0")
        sysctl.write(f"net/ipv4/conf/{network.link}/send_redirects", "0")
    sysctl.write(f"net/ipv4/conf/{network.link}/proxy_arp_pvlan", str(int(answers)))


def _by_host(interface: Interface, endpoint: EndpointRecord, host: str) -> Interface:
    """An interface that reaches all of its subnet by the host's address: the same for IPv6 as ``_answer_for_links``.

    The kernel answers for neighbours in IPv6 only one by one. Nor may the host say that a shorter way is there.
    """
    own, short = f"{endpoint.address6}/{endpoint.prefix6}", f"{endpoint.address6}/128"
    subnet = str(ip_interface(own).network)
    return replace(
        interface,
        addresses=tuple(short if address == own else address for address in interface.addresses),
        routes=((subnet, host),),
        sysctls={f"-net/ipv6/conf/{interface.name}/accept_redirects": "0"} | interface.sysctls,
    )


def _make_bridge(route: RouteSocket, network: NetworkRecord) -> int:
    found = route.links().get(network.link)
    if found is None:
        route.create_bridge(network.link, mac_for(""), network.mtu)
    elif found.kind != "bridge":
        raise Conflict(f"cannot make bridge {network.link}: a link of that name is there and is no bridge")
    elif not found.up or (found.mtu != network.mtu and not network.adopted):
        route.set_link(found.index, mtu=None if network.adopted else network.mtu)
    index = socket.if_nametoindex(network.link)
    _set_addresses(route, index, network)
    return index


def _set_addresses(route: RouteSocket, index: int, network: NetworkRecord) -> None:
    wanted = _host_addresses(network)
    present: set[IPv4Interface | IPv6Interface] = set(route.addresses(index))
    for address in wanted - present:
        route.add_address(index, address)
    for address in present - wanted:
        if not (network.adopted or address.is_link_local):
            route.delete_address(index, address)


def _host_addresses(network: NetworkRecord) -> set[IPv4Interface | IPv6Interface]:
    """What the bridge has of the network: its gateways, unless the options say that it goes without.

    With IPv6 there is a link-local one too, as with Docker: until the kernel has made its own, a second after the first
    port has a carrier, the bridge would not look for the containers that it forwards to.
    """
    without = {version for version in (4, 6) if network.gateway_mode(version) == "isolated"}
    if network.inhibits_ipv4:
        without.add(4)
    addresses = {
        ip_interface(f"{pool.gateway}/{ip_network(pool.subnet).prefixlen}")
        for pool in network.pools
        if pool.gateway and pool.version not in without
    }
    if not network.adopted and any(address.version == 6 for address in addresses):
        addresses.add(_LINK_LOCAL)
    return addresses


def _leave(route: RouteSocket, network: NetworkRecord) -> None:
    """Take the network's addresses from a bridge that is not its own."""
    if (found := route.links().get(network.link)) is not None:
        for address in _host_addresses(network) & set(route.addresses(found.index)):
            route.delete_address(found.index, address)


def _make_pair(
    route: RouteSocket, bridge: int, network: NetworkRecord, endpoint: EndpointRecord, namespace: int
) -> None:
    pair = (endpoint.host_link, bridge, endpoint.interface, endpoint.mac, network.mtu, namespace)
    try:
        route.create_veth(*pair)
    except OSError as error:
        if error.errno != errno.EEXIST or not _delete(route, endpoint.host_link):
            raise
        route.create_veth(*pair)
    _set_port(route, socket.if_nametoindex(endpoint.host_link), network, endpoint)
    notice_carrier(network.link)  # which the bridge has from its first port on


def _set_port(route: RouteSocket, index: int, network: NetworkRecord, endpoint: EndpointRecord) -> None:
    route.point_bridge_at(index, endpoint.mac)
    route.set_port(index, hairpin=True, isolated=not network.icc)


def _delete(route: RouteSocket, link: str) -> bool:
    """Remove a link; whether there was one."""
    try:
        route.delete_link(link)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return False
    return True


def _reconcile(route: RouteSocket, network: NetworkRecord, endpoints: Sequence[EndpointRecord]) -> list[EndpointRecord]:
    links = route.links()
    if (bridge := links.get(network.link)) is None:
        return list(endpoints)
    known = {endpoint.host_link for endpoint in endpoints}
    for link in links.values():
        if (
            link.master == bridge.index
            and link.kind == "veth"
            and link.name.startswith(_VETH_PREFIX)
            and link.name not in known
        ):
            log.info("removing %s, which belongs to no container", link.name)
            _delete(route, link.name)
    lost = []
    for endpoint in endpoints:
        found = links.get(endpoint.host_link)
        if found is None:
            lost.append(endpoint)
        elif found.master != bridge.index or not found.up:
            route.set_link(found.index, master=bridge.index)
            _set_port(route, found.index, network, endpoint)
    return lost
