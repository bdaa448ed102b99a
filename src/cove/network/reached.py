"""Where containers that learn have been: what their sets say, and the policy that it makes together with names."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import msgspec

_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "ipv6-icmp", "132": "sctp"}


class Reached(msgspec.Struct, frozen=True, order=True):
    """A destination. ``port``: 0 for protocols without ports, ``icmp`` and the like."""

    address: str
    protocol: str
    port: int = 0


class Destination(msgspec.Struct, frozen=True):
    """What a policy would have to allow. ``name``: a domain name, or the address. ``addresses``: those reached."""

    name: str
    protocol: str
    port: int
    addresses: tuple[str, ...]


def reached(listing: Mapping[str, Any]) -> Iterable[Reached]:
    """The destinations in a set, as libnftables lists it."""
    for item in listing.get("nftables", []):
        for element in item.get("set", {}).get("elem", []):
            address, number, *port = element["concat"]
            yield Reached(str(address), protocol(number), int(port[0]) if port else 0)


def protocol(number: int | str) -> str:
    """A protocol of IP by its name, where it has one that is in use."""
    return _PROTOCOLS.get(str(number), str(number))


def destinations(places: Iterable[Reached], names: Mapping[str, Sequence[str]]) -> list[Destination]:
    """Names in place of the addresses that they led to. ``names``: what each name that was asked for stood for.

    Of several names for one address any may have been meant, so all are there.
    """
    called: dict[str, list[str]] = {}
    for name, addresses in names.items():
        for address in addresses:
            called.setdefault(address, []).append(name)
    found: dict[tuple[str, str, int], list[str]] = {}
    for place in sorted(set(places), key=lambda each: (ip_address(each.address).packed, each.port, each.protocol)):
        for name in called.get(place.address) or [place.address]:
            found.setdefault((name, place.protocol, place.port), []).append(place.address)
    ordered = sorted(found.items(), key=lambda item: (item[0][0] == item[1][0], item[0][0], item[0][2]))
    return [Destination(name, protocol, port, tuple(addresses)) for (name, protocol, port), addresses in ordered]


def allowing(places: Iterable[Destination]) -> str:
    """``allow=…`` of just these, or ``deny`` where there are none. What has no port needs its destination whole."""
    places = list(places)
    whole = {place.name for place in places if not place.port}
    entries = dict.fromkeys(_entry(place, whole) for place in places)
    return "allow=" + ",".join(entries) if entries else "deny"


def _entry(place: Destination, whole: set[str]) -> str:
    if place.name in whole:
        return place.name
    name = f"[{place.name}]" if ":" in place.name else place.name
    return f"{name}:{place.port}" + ("" if place.protocol == "tcp" else f"/{place.protocol}")
