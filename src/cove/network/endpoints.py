"""Endpoints in the making: their addresses, names and routes, taken in memory before they are written down."""

import contextlib
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from cove.errors import Conflict, Forbidden, InvalidArgument, Unavailable
from cove.network import endpoint_options
from cove.network.addresses import AddressPool, IPAddress, mac_for
from cove.network.catalogue import Catalogue
from cove.network.driver import Driver
from cove.network.records import EndpointRecord, NetworkRecord, PortRecord


@dataclass(frozen=True, kw_only=True)
class EndpointRequest:
    """A container's wish to be on a network. ``network``: its name, id or unambiguous start of an id.

    "" means: choose. ``address4``/``address6`` are refused on the default bridge, as Docker does. ``link_local``:
    further addresses of the interface. ``options``: Docker's keys for an endpoint (``ifname``, ``sysctls``).
    ``priority``: of several, the highest has the default route.
    """

    network: str
    address4: str = ""
    address6: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    link_local: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True)
class Allocation:
    """What a container has while it runs: endpoints in the order asked for, and its published ports."""

    endpoints: tuple[EndpointRecord, ...] = ()
    ports: tuple[PortRecord, ...] = ()


class Endpoints:
    """Makes endpoints and remembers, through the catalogue's pools, which addresses they hold.

    ``promised``: addresses of a network, as numbers, that are free and yet somebody's.
    """

    def __init__(self, catalogue: Catalogue, driver: Callable[[NetworkRecord], Driver]) -> None:
        self._catalogue = catalogue
        self._driver = driver
        self.promised: Callable[[NetworkRecord], Collection[int]] = lambda network: ()

    def take(
        self, container_id: str, name: str, requests: Sequence[EndpointRequest], held: Sequence[EndpointRecord] = ()
    ) -> tuple[EndpointRecord, ...]:
        """New endpoints for a container called ``name`` that has ``held`` already; on an error no address is taken.

        Their interfaces have the names that were asked for, else "": ``named`` gives those.

        Raises NotFound (network), InvalidArgument (address), Conflict (address taken), Unavailable (full),
        Forbidden (it is on the network).
        """
        taken: list[EndpointRecord] = []
        try:
            for request in requests:
                taken.append(self._make(container_id, name, request, [*held, *taken]))
        except BaseException:
            self.free(taken)
            raise
        return tuple(taken)

    def check(self, container_id: str, name: str, request: EndpointRequest) -> None:
        """Raises what ``take`` would for a container without endpoints, unless it is for an address in use."""
        with contextlib.suppress(Conflict, Unavailable):
            self.free(self.take(container_id, name, [request]))

    def named(
        self, endpoints: Sequence[EndpointRecord], held: Sequence[EndpointRecord] = ()
    ) -> tuple[EndpointRecord, ...]:
        """Endpoints with names for their interfaces: each network's prefix, and the lowest free number, in order."""
        taken = {endpoint.interface for endpoint in (*endpoints, *held)}
        found = []
        for endpoint in endpoints:
            network = self._catalogue.get(endpoint.network)
            if not endpoint.interface and self._driver(network).addressed:
                name = endpoint_options.free_name(network.interface_prefix, taken)
                endpoint = msgspec.structs.replace(endpoint, interface=name)
                taken.add(name)
            found.append(endpoint)
        return tuple(found)

    def restore(self, endpoints: Iterable[EndpointRecord]) -> None:
        """Mark the addresses of endpoints that the database has."""
        for endpoint in endpoints:
            for address in endpoint.addresses:
                for pool in self._pools_with(endpoint, address):
                    pool.restore(address)

    def free(self, endpoints: Iterable[EndpointRecord]) -> None:
        """Give the addresses of endpoints back."""
        for endpoint in endpoints:
            for address in endpoint.addresses:
                for pool in self._pools_with(endpoint, address):
                    pool.release(address)

    def _pools_with(self, endpoint: EndpointRecord, address: str) -> list[AddressPool]:
        return [pool for pool in self._catalogue.pools(endpoint.network) if address in pool]

    def _make(
        self, container_id: str, name: str, request: EndpointRequest, held: Sequence[EndpointRecord]
    ) -> EndpointRecord:
        network = self._catalogue.get(request.network)
        if network.config_only:
            raise Forbidden("cannot create endpoint on configuration-only network")
        if any(endpoint.network == network.id for endpoint in held):
            raise Forbidden(f"endpoint with name {name} already exists in network {network.name}")
        bare = EndpointRecord(
            secrets.token_hex(32), network.id, container_id, aliases=request.aliases, priority=request.priority
        )
        driver = self._driver(network)
        if not driver.addressed:
            return bare
        if network.predefined and (request.address4 or request.address6):
            raise InvalidArgument("user specified IP address is supported on user defined networks only")
        linked = msgspec.structs.replace(
            bare,
            host_link=driver.host_link(),
            interface=endpoint_options.interface_name(
                request.options, [endpoint.interface for endpoint in held if endpoint.interface]
            ),
            sysctls=endpoint_options.sysctls(request.options),
            link_local=endpoint_options.link_local(request.link_local),
        )
        return self._addressed(network, request, linked)

    def _addressed(self, network: NetworkRecord, request: EndpointRequest, endpoint: EndpointRecord) -> EndpointRecord:
        try:
            for version, wanted in ((4, request.address4), (6, request.address6)):
                if (place := self._place(network, version, wanted)) is not None:
                    address, pool = place
                    endpoint = _with_address(endpoint, str(address), pool)
            if not self._driver(network).own_mac:
                return endpoint
            return msgspec.structs.replace(endpoint, mac=_mac(request.mac) or mac_for(endpoint.address4))
        except BaseException:
            self.free([endpoint])
            raise

    def _place(self, network: NetworkRecord, version: int, wanted: str) -> tuple[IPAddress, AddressPool] | None:
        """An address of one family, and the pool that it is from; None on a network without the family."""
        pools = self._catalogue.pools(network.id, version)
        if wanted:
            return _claimed(endpoint_options.address(wanted, version), pools)
        for pool in pools:
            try:
                return pool.take(self.promised(network)), pool
            except Unavailable:
                if pool is pools[-1]:
                    raise
        return None


def _claimed(wanted: str, pools: Sequence[AddressPool]) -> tuple[IPAddress, AddressPool]:
    for pool in pools:
        if wanted in pool:
            return pool.claim(wanted), pool
    raise InvalidArgument(f"invalid address {wanted}: It does not belong to any of this network's subnets")


def _with_address(endpoint: EndpointRecord, address: str, pool: AddressPool) -> EndpointRecord:
    length, gateway = pool.subnet.prefixlen, pool.gateway
    if pool.subnet.version == 4:
        return msgspec.structs.replace(endpoint, address4=address, prefix4=length, gateway4=gateway)
    return msgspec.structs.replace(endpoint, address6=address, prefix6=length, gateway6=gateway)


def _mac(text: str) -> str:
    """A unicast MAC address in its usual spelling; "" for none. Raises InvalidArgument."""
    if not text:
        return ""
    parts = text.replace("-", ":").split(":")
    try:
        address = bytes(int(part, 16) for part in parts)
    except ValueError:
        address = b""
    if len(address) != 6 or address[0] & 1:
        raise InvalidArgument(f"invalid MAC address {text!r}")
    return address.hex(":")
