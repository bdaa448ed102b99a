"""Endpoints in the making: their addresses, names and routes, taken in memory before they are written down."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import msgspec

from cove.errors import Forbidden, InvalidArgument
from cove.network.addresses import mac_for
from cove.network.catalogue import Catalogue
from cove.network.driver import Driver
from cove.network.records import EndpointRecord, NetworkRecord, PortRecord


@dataclass(frozen=True, kw_only=True)
class EndpointRequest:
    """A container's wish to be on a network. ``network``: its name, id or unambiguous start of an id.

    "" means: choose. ``address4``/``address6`` are refused on the default bridge, as Docker does.
    """

    network: str
    address4: str = ""
    address6: str = ""
    mac: str = ""
    interface: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Allocation:
    """What a container has while it runs: endpoints in the order asked for, and its published ports."""

    endpoints: tuple[EndpointRecord, ...] = ()
    ports: tuple[PortRecord, ...] = ()


class Endpoints:
    """Makes endpoints and remembers, through the catalogue's pools, which addresses they hold."""

    def __init__(self, catalogue: Catalogue, driver: Callable[[NetworkRecord], Driver]) -> None:
        self._catalogue = catalogue
        self._driver = driver

    def take(
        self, container_id: str, name: str, requests: Sequence[EndpointRequest], held: Sequence[EndpointRecord] = ()
    ) -> tuple[EndpointRecord, ...]:
        """New endpoints for a container called ``name`` that has ``held`` already; on an error no address is taken.

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

    def restore(self, endpoints: Iterable[EndpointRecord]) -> None:
        """Mark the addresses of endpoints that the database has."""
        for endpoint in endpoints:
            for address in filter(None, (endpoint.address4, endpoint.address6)):
                pool = self._catalogue.pool(endpoint.network, ip_address(address).version)
                if pool is not None:
                    pool.restore(address)

    def free(self, endpoints: Iterable[EndpointRecord]) -> None:
        """Give the addresses of endpoints back."""
        for endpoint in endpoints:
            for address in filter(None, (endpoint.address4, endpoint.address6)):
                pool = self._catalogue.pool(endpoint.network, ip_address(address).version)
                if pool is not None:
                    pool.release(address)

    def _make(
        self, container_id: str, name: str, request: EndpointRequest, held: Sequence[EndpointRecord]
    ) -> EndpointRecord:
        network = self._catalogue.get(request.network)
        if any(endpoint.network == network.id for endpoint in held):
            raise Forbidden(f"endpoint with name {name} already exists in network {network.name}")
        bare = EndpointRecord(
            secrets.token_hex(32), network.id, container_id, default_route=False, aliases=request.aliases
        )
        driver = self._driver(network)
        if not driver.addressed:
            return bare
        if network.predefined and (request.address4 or request.address6):
            raise InvalidArgument("user specified IP address is supported on user defined networks only")
        linked = msgspec.structs.replace(
            bare,
            host_link=driver.host_link(),
            interface=request.interface or _free_name({endpoint.interface for endpoint in held}),
            default_route=not network.internal and not any(endpoint.default_route for endpoint in held),
        )
        return self._addressed(network, request, linked)

    def _addressed(self, network: NetworkRecord, request: EndpointRequest, endpoint: EndpointRecord) -> EndpointRecord:
        try:
            endpoint = self._with_address4(network, request.address4, endpoint)
            endpoint = self._with_address6(network, request.address6, endpoint)
            return msgspec.structs.replace(endpoint, mac=_mac(request.mac) or mac_for(endpoint.address4))
        except BaseException:
            self.free([endpoint])
            raise

    def _with_address4(self, network: NetworkRecord, wanted: str, endpoint: EndpointRecord) -> EndpointRecord:
        if (pool := self._catalogue.pool(network.id, 4)) is None:
            return _refuse(network, wanted, endpoint)
        address = str(pool.claim(wanted) if wanted else pool.take())
        return msgspec.structs.replace(endpoint, address4=address, prefix4=pool.subnet.prefixlen, gateway4=pool.gateway)

    def _with_address6(self, network: NetworkRecord, wanted: str, endpoint: EndpointRecord) -> EndpointRecord:
        if (pool := self._catalogue.pool(network.id, 6)) is None:
            return _refuse(network, wanted, endpoint)
        address = str(pool.claim(wanted) if wanted else pool.take())
        return msgspec.structs.replace(endpoint, address6=address, prefix6=pool.subnet.prefixlen, gateway6=pool.gateway)


def _refuse(network: NetworkRecord, wanted: str, endpoint: EndpointRecord) -> EndpointRecord:
    if wanted:
        raise InvalidArgument(f"invalid address {wanted}: network {network.name} has no subnet of its family")
    return endpoint


def _free_name(taken: set[str]) -> str:
    return next(name for index in range(len(taken) + 1) if (name := f"eth{index}") not in taken)


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
