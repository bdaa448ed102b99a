"""The networks that there are, found by name or id, each with its address pools."""

import logging
import re
import secrets
from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_interface, ip_network

import msgspec

from cove.errors import Conflict, Forbidden, InvalidArgument, NotFound
from cove.network.addresses import AddressPool, IPNetwork, choose_subnet, overlap, parse_subnet
from cove.network.records import (
    BRIDGE_NAME_OPTION,
    DEFAULT_BRIDGE_OPTION,
    HOST_BINDING_OPTION,
    ICC_OPTION,
    MASQUERADE_OPTION,
    MTU_OPTION,
    PREDEFINED,
    ROUTE_KEYS,
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
        self._pools: dict[str, tuple[AddressPool, ...]] = {}

    def add(self, network: NetworkRecord) -> None:
        """Add or replace a network. Raises InvalidArgument when its pools contradict themselves."""
        pools = () if network.config_only else network.pools  # which nobody has addresses of
        self._pools[network.id] = tuple(AddressPool(f"{network.name} ({network.id})", pool) for pool in pools)
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

    def pools(self, network_id: str, version: int | None = None) -> tuple[AddressPool, ...]:
        """The addresses of a network, of one family or of both."""
        return tuple(pool for pool in self._pools.get(network_id, ()) if version in (None, pool.subnet.version))

    def inside_internal(self, address: str, link: str) -> bool:
        """Whether a sender is of an internal network, whose containers reach nothing outside of it.

        ``link``: of the host, where the address is link-local; else "".
        """
        host = ip_address(address)
        internal = (network for network in self._records.values() if network.internal and not network.config_only)
        return any(
            link == network.link if link else any(host in pool.subnet for pool in self._pools[network.id])
            for network in internal
        )

    def subnets(self) -> list[IPNetwork]:
        return [pool.subnet for pools in self._pools.values() for pool in pools]


def predefined(name: str, driver: str) -> NetworkRecord:
    """The record of ``host`` or ``none``."""
    return NetworkRecord(secrets.token_hex(32), name, driver)


def default_bridge(
    settings: NetworkSettings, used: Iterable[IPNetwork], former: NetworkRecord | None, in_use: bool
) -> NetworkRecord:
    """The record of the network ``bridge``: ``former`` where it still fits the settings, or has endpoints (``in_use``).

    ``used``: destinations of the host's routes, those through this bridge left out. Raises InvalidArgument (bip).
    """
    fits = former is not None and former.pools and not _overlaps(former.pools[0].subnet, used)
    if in_use and not settings.bip and former is not None:
        fits = True  # the bridge's own route is not in its way
    pools = [_default_pool(settings, 4, former.pools[0].subnet if former and fits else "", used)]
    if settings.ipv6:
        known = next((pool.subnet for pool in former.pools if pool.version == 6), "") if former else ""
        pools.append(_default_pool(settings, 6, known, used))
    options = {
        DEFAULT_BRIDGE_OPTION: "true",
        ICC_OPTION: str(settings.icc).lower(),
        MASQUERADE_OPTION: str(settings.masquerade).lower(),
        HOST_BINDING_OPTION: settings.host_address or "0.0.0.0",
        BRIDGE_NAME_OPTION: settings.bridge,
        MTU_OPTION: str(settings.mtu),
    }
    fresh = NetworkRecord(
        former.id if former else secrets.token_hex(32),
        "bridge",
        "bridge",
        pools=tuple(pools),
        options=options,
        ipv6=settings.ipv6,
    )
    if former is None:
        return fresh
    if (former.pools, former.options, former.ipv6) == (fresh.pools, fresh.options, fresh.ipv6):
        return former
    if in_use:
        log.warning("the default bridge stays as it is while containers are on it")
        return former
    return fresh


def check_default_network(settings: NetworkSettings) -> None:
    """Whether the default network can be what the settings say of its addresses. Raises InvalidArgument."""
    for version, given in ((4, settings.bip or settings.range4), (6, settings.bip6 or settings.range6)):
        if given:
            _default_pool(settings, version, "", ())


def _default_pool(settings: NetworkSettings, version: int, former: str, used: Iterable[IPNetwork]) -> Pool:
    """The addresses of the default network of one family. ``former``: the subnet that it had, if it may keep it.

    Without a subnet of its own (``bip``) the range is the subnet, as in Docker. Raises InvalidArgument.
    """
    bip, inner, route = (
        (settings.bip, settings.range4, settings.gateway4)
        if version == 4
        else (settings.bip6, settings.range6, settings.gateway6)
    )
    if bip:
        pool = _bip_pool(bip, version)
    else:
        subnet = _ranged(inner, version) or former or str(choose_subnet(settings.all_pools, used, version))
        pool = Pool(subnet, str(parse_subnet(subnet)[1]))
    if inner and _ranged(inner, version) != pool.subnet:
        pool = msgspec.structs.replace(pool, range=_ranged(inner, version))
    if route:
        _check_route(route, pool)
        pool = msgspec.structs.replace(pool, auxiliary={ROUTE_KEYS[version]: route})
        if route == pool.gateway:
            pool = msgspec.structs.replace(pool, auxiliary={})
    AddressPool("bridge", pool)  # contradictions of the settings
    return pool


def _check_route(route: str, pool: Pool) -> None:
    """Raises InvalidArgument, in dockerd's words, for a default route that is not in the subnet."""
    if ip_address(route) not in ip_network(pool.subnet):
        key = ROUTE_KEYS[pool.version]
        raise InvalidArgument(f"auxiliary address: ({key}:{route}) must belong to the master pool: {pool.subnet}")


def _ranged(text: str, version: int) -> str:
    """A range of the settings, as the kernel writes it. Raises InvalidArgument."""
    if not text:
        return ""
    network = ip_interface(text).network
    if network.version != version:
        key = "fixed-cidr" if version == 4 else "fixed-cidr-v6"
        raise InvalidArgument(f"invalid {key} {text!r}: it must be of IPv{version}")
    return str(network)


def user_network(
    network: NetworkRecord,
    settings: NetworkSettings,
    subnets: Sequence[IPNetwork],
    routes: Sequence[IPNetwork],
    *,
    routed_by_host: bool,
) -> NetworkRecord:
    """A network that a user asks for, with the addresses that they left open.

    ``subnets``: of other networks. ``routes``: destinations of the host's. ``routed_by_host``: of the driver; without
    it the host may well have a route to a subnet that is asked for, which is its own network as a rule.
    Raises InvalidArgument, Forbidden (overlap).
    """
    if not _NAME.fullmatch(network.name):
        raise InvalidArgument(f"invalid network name {network.name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
    if network.name in PREDEFINED:
        raise Forbidden(f"operation is not permitted on predefined {network.name} network")
    if network.config_only:
        return network
    chosen = _chosen_subnets(network, settings, [*subnets, *routes])
    completed = tuple(_complete(pool, routed_by_host) for pool in chosen)
    _refuse_overlaps(completed, [*subnets, *routes] if routed_by_host else subnets)
    return msgspec.structs.replace(network, pools=completed)


def _chosen_subnets(network: NetworkRecord, settings: NetworkSettings, used: Sequence[IPNetwork]) -> list[Pool]:
    """The subnets asked for, of the families that the network has, and one for each family that has none."""
    if not (network.ipv4 or network.ipv6):
        raise InvalidArgument("IPv4 or IPv6 must be enabled")
    wanted = {version for version, on in ((4, network.ipv4), (6, network.ipv6)) if on}
    for pool in network.pools:
        if pool.subnet:
            _refuse_special(parse_subnet(pool.subnet))
    given = [pool for pool in network.pools if pool.subnet and pool.version in wanted]
    open_ = next((pool for pool in network.pools if not pool.subnet), None)
    for version in sorted(wanted - {pool.version for pool in given}):
        taken = [*used, *(parse_subnet(pool.subnet) for pool in given)]
        subnet = choose_subnet(settings.all_pools, taken, version)
        extra = open_ if open_ is not None and version == 4 else Pool("", "")
        fresh = msgspec.structs.replace(extra, subnet=str(subnet))
        given.insert(0 if version == 4 else len(given), fresh)
    return given


def _refuse_special(subnet: IPNetwork) -> None:
    """Raises InvalidArgument for addresses that no container is reached at."""
    if subnet.is_loopback or subnet.is_multicast:
        kind = "loopback" if subnet.is_loopback else "multicast"
        raise InvalidArgument(f"invalid subnet {subnet}: its addresses are {kind}")


def _refuse_overlaps(pools: Sequence[Pool], used: Sequence[IPNetwork]) -> None:
    seen = list(used)
    for pool in pools:
        if _overlaps(pool.subnet, seen):
            raise Forbidden("Pool overlaps with other one on this address space")
        seen.append(parse_subnet(pool.subnet))


def refuse_taken_name(catalogue: Catalogue, name: str) -> None:
    if catalogue.named(name) is not None:
        raise Conflict(f"network with name {name} already exists")


def _complete(pool: Pool, routed_by_host: bool) -> Pool:
    subnet = parse_subnet(pool.subnet)
    inner = str(parse_subnet(pool.range)) if pool.range else ""
    bare = Pool(str(subnet), pool.gateway, inner, pool.auxiliary)
    if routed_by_host and not pool.gateway:
        bare = msgspec.structs.replace(bare, gateway=_free_gateway(bare))
    AddressPool("", bare).check_fixed(bare)  # contradictions of the request are found before anything is made
    return bare


def _free_gateway(pool: Pool) -> str:
    """The first address of the range that is not spoken for."""
    return str(AddressPool("", pool).take())


def _bip_pool(bip: str, version: int) -> Pool:
    key = "bip" if version == 4 else "bip6"
    try:
        interface = ip_interface(bip)
    except ValueError as error:
        raise InvalidArgument(f"invalid {key} {bip!r}: it must be an address with its prefix length") from error
    if interface.version != version or interface.network.num_addresses < 4 or interface.ip == interface.network[0]:
        smallest = "/30" if version == 4 else "/126"
        raise InvalidArgument(
            f"invalid {key} {bip!r}: it must be an IPv{version} address of a host in a subnet of {smallest} or larger"
        )
    return Pool(str(interface.network), str(interface.ip))


def _overlaps(subnet: str, used: Iterable[IPNetwork]) -> bool:
    mine = parse_subnet(subnet)
    return any(overlap(mine, other) for other in used)
