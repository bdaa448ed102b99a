"""The networks that there are, found by name or id, each with its address pools."""

import logging
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_interface

from cove.errors import Conflict, Forbidden, InvalidArgument, NotFound
from cove.network.addresses import AddressPool, IPNetwork, choose_subnet, parse_subnet
from cove.network.records import (
    BRIDGE_NAME_OPTION,
    DEFAULT_BRIDGE_OPTION,
    HOST_BINDING_OPTION,
    ICC_OPTION,
    MASQUERADE_OPTION,
    MTU_OPTION,
    PREDEFINED,
    NetworkRecord,
    Pool,
)
from cove.network.settings import NetworkSettings

log = logging.getLogger(__name__)

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class Catalogue:
    """Networks by id, in the order of their creation. Nothing here touches the database or the kernel."""

    def __init__(self) -> None:
        self._records: dict[str, NetworkRecord] = {}
        self._pools: dict[str, dict[int, AddressPool]] = {}

    def add(self, network: NetworkRecord) -> None:
        """Add or replace a network. Raises InvalidArgument when its pools contradict themselves."""
        pools = [AddressPool(f"{network.name} ({network.id})", pool) for pool in network.pools]
        self._pools[network.id] = {pool.subnet.version: pool for pool in pools}
        self._records[network.id] = network

    def remove(self, network: NetworkRecord) -> None:
        self._records.pop(network.id, None)
        self._pools.pop(network.id, None)

    def all(self) -> list[NetworkRecord]:
        return sorted(self._records.values(), key=lambda network: network.created)

    def named(self, name: str) -> NetworkRecord | None:
        return next((network for network in self._records.values() if network.name == name), None)

    def get(self, reference: str) -> NetworkRecord:
        """By id, name, or unambiguous start of an id. Raises NotFound, InvalidArgument when ambiguous."""
        found = self._records.get(reference) or self.named(reference)
        if found is not None:
            return found
        matches = [network for network in self._records.values() if reference and network.id.startswith(reference)]
        if len(matches) > 1:
            raise InvalidArgument(f"network {reference} is ambiguous ({len(matches)} matches found based on ID prefix)")
        if not matches:
            raise NotFound(f"network {reference} not found")
        return matches[0]

    def pool(self, network_id: str, version: int) -> AddressPool | None:
        """The addresses of one family on a network; None when it has no such subnet."""
        return self._pools.get(network_id, {}).get(version)

    def subnets(self) -> list[IPNetwork]:
        return [pool.subnet for pools in self._pools.values() for pool in pools.values()]


def predefined(name: str, driver: str) -> NetworkRecord:
    """The record of ``host`` or ``none``."""
    return NetworkRecord(secrets.token_hex(32), name, driver)


def default_bridge(
    settings: NetworkSettings, used: Iterable[IPNetwork], former: NetworkRecord | None, in_use: bool
) -> NetworkRecord:
    """The record of the network ``bridge``: ``former`` where it still fits the settings, or has endpoints (``in_use``).

    ``used``: destinations of the host's routes, those through this bridge left out. Raises InvalidArgument (bip).
    """
    if former is not None and in_use:
        if former.link != settings.bridge or (settings.bip and former.pools != (_bip_pool(settings.bip),)):
            log.warning("the default bridge stays as it is while containers are on it")
        return former
    fits = former is not None and former.pools and not _overlaps(former.pools[0].subnet, used)
    if settings.bip:
        pool = _bip_pool(settings.bip)
    elif former is not None and fits:
        pool = former.pools[0]
    else:
        subnet = choose_subnet(settings.pools, used)
        pool = Pool(str(subnet), str(subnet[1]))
    options = {
        DEFAULT_BRIDGE_OPTION: "true",
        ICC_OPTION: "true",
        MASQUERADE_OPTION: str(settings.masquerade).lower(),
        HOST_BINDING_OPTION: settings.host_address or "0.0.0.0",
        BRIDGE_NAME_OPTION: settings.bridge,
        MTU_OPTION: str(settings.mtu),
    }
    fresh = NetworkRecord(
        former.id if former else secrets.token_hex(32), "bridge", "bridge", pools=(pool,), options=options
    )
    same = former is not None and (former.pools, former.options) == (fresh.pools, fresh.options)
    return former if former is not None and same else fresh


def user_network(
    name: str,
    driver: str,
    pools: Sequence[Pool],
    options: Mapping[str, str],
    settings: NetworkSettings,
    used: Sequence[IPNetwork],
) -> NetworkRecord:
    """The record of a bridge network that a user asks for, with what they left open filled in.

    ``used``: subnets of other networks and destinations of the host's routes.
    Raises InvalidArgument, Forbidden (overlap).
    """
    if not _NAME.fullmatch(name):
        raise InvalidArgument(f"invalid network name {name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if name in PREDEFINED:
        raise Forbidden(f"operation is not permitted on predefined {name} network")
    chosen = [_complete(pool) for pool in pools]
    if not any(parse_subnet(pool.subnet).version == 4 for pool in chosen):
        subnet = choose_subnet(settings.pools, [*used, *(parse_subnet(pool.subnet) for pool in chosen)])
        chosen.insert(0, Pool(str(subnet), str(subnet[1])))
    for pool in chosen:
        if _overlaps(pool.subnet, used):
            raise Forbidden("Pool overlaps with other one on this address space")
    if len({parse_subnet(pool.subnet).version for pool in chosen}) < len(chosen):
        raise InvalidArgument("a bridge network has at most one subnet of each address family")
    identity = secrets.token_hex(32)
    named = {BRIDGE_NAME_OPTION: f"br-{identity[:12]}", **options}
    return NetworkRecord(identity, name, driver, pools=tuple(chosen), options=named)


def refuse_taken_name(catalogue: Catalogue, name: str) -> None:
    if catalogue.named(name) is not None:
        raise Conflict(f"network with name {name} already exists")


def _complete(pool: Pool) -> Pool:
    subnet = parse_subnet(pool.subnet)
    return Pool(str(subnet), pool.gateway or str(subnet[1]), pool.range, pool.auxiliary)


def _bip_pool(bip: str) -> Pool:
    try:
        interface = ip_interface(bip)
    except ValueError as error:
        raise InvalidArgument(f"invalid bip {bip!r}: it must be an address with its prefix length") from error
    if interface.version != 4 or interface.network.num_addresses < 4 or interface.ip == interface.network[0]:
        raise InvalidArgument(f"invalid bip {bip!r}: it must be an IPv4 address of a host in a subnet of /30 or larger")
    return Pool(str(interface.network), str(interface.ip))


def _overlaps(subnet: str, used: Iterable[IPNetwork]) -> bool:
    mine = parse_subnet(subnet)
    return any(mine.version == other.version and mine.overlaps(other) for other in used)
