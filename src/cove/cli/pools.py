"""The address pools of ``network create``: which range, gateway and reserved address belongs to which subnet."""

from __future__ import annotations

import ipaddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.flags import Values

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network
    Pool = dict[str, Any]


def address_pools(values: Values) -> list[Pool]:
    """The API's IPAM Config. Raises ValueError for what fits no subnet, or fits one twice."""
    subnets, ranges, gateways = values.many("subnet"), values.many("ip-range"), values.many("gateway")
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise ValueError("every ip-range or gateway must have a corresponding subnet")
    pools: dict[str, Pool] = {}
    parsed: list[Network] = []
    for subnet in subnets:
        pools[subnet] = {"Subnet": subnet}
        if len(subnets) == 1:
            # The daemon judges it.
            continue
        network = _network(subnet)
        if any(network.version == other.version and network.overlaps(other) for other in parsed):
            raise ValueError("multiple overlapping subnet configuration is not supported")
        parsed.append(network)
    for text in ranges:
        owner = _owner(pools, _network(text).network_address, f"no matching subnet for range {text}")
        if "IPRange" in owner:
            raise ValueError(f"cannot configure multiple ranges ({text}, {owner['IPRange']}) on the same subnet")
        owner["IPRange"] = text
    for text in gateways:
        owner = _owner(pools, ipaddress.ip_address(text), f"no matching subnet for gateway {text}")
        if "Gateway" in owner:
            raise ValueError(f"cannot configure multiple gateways ({text}, {owner['Gateway']}) for the same subnet")
        owner["Gateway"] = text
    for name, text in values.many("aux-address"):
        owner = _owner(pools, ipaddress.ip_address(text), f"no matching subnet for aux-address {text}")
        owner.setdefault("AuxiliaryAddresses", {})[name] = text
    return list(pools.values())


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"invalid CIDR address: {text}") from None


def _owner(pools: dict[str, Pool], address: ipaddress.IPv4Address | ipaddress.IPv6Address, complaint: str) -> Pool:
    for subnet, pool in pools.items():
        if address in _network(subnet):
            return pool
    raise ValueError(complaint)
