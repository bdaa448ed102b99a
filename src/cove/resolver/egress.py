"""The names of a container's egress policy: which it may ask for, and what the firewall learns from the answers."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from cove.kernel.nftables import Nftables
from cove.resolver import packets
from cove.resolver.messages import Egress

SHORTEST, LONGEST = 60, 86400
"""Seconds that an address is open, at least and at most: programs keep answers for longer than a short TTL."""


def ports(egress: Egress, name: str) -> list[str] | None:
    """The ports of a name that the policy has, none being all; None when it has no such name."""
    names = egress["names"]
    if name in names:
        return names[name]
    dot = name.find(".")
    while dot >= 0:
        if (found := names.get("*" + name[dot:])) is not None:
            return found
        dot = name.find(".", dot + 1)
    return None


def may_ask(egress: Egress, name: str) -> bool:
    """Whether a container may ask for a name."""
    return egress["learns"] or ports(egress, name) is not None


def addresses(response: bytes) -> list[str]:
    """What a name stands for, by a response. Raises packets.Malformed."""
    return [str(address) for address, _ttl in _outside(response)]


def admit(nftables: Nftables, egress: Egress, response: bytes, allowed: list[str]) -> None:
    """Open the addresses of a response, before the container has it. Raises OSError, packets.Malformed."""
    commands: list[str] = []
    for address, ttl in _outside(response):
        seconds = min(max(ttl, SHORTEST), LONGEST)
        commands += _opened(egress, str(address), address.version, seconds, allowed)
    if commands:
        nftables.run("\n".join(commands))


def _outside(response: bytes) -> Iterator[tuple[IPv4Address | IPv6Address, int]]:
    """The addresses in a response that may be outside, and how many seconds they may be kept."""
    for record in packets.records(response):
        if record.kind in (packets.A, packets.AAAA) and len(record.data) in (4, 16):
            address = ip_address(record.data)
            if not (address.is_loopback or address.is_multicast or address.is_unspecified):
                yield address, record.ttl


def _opened(egress: Egress, address: str, version: int, seconds: int, allowed: list[str]) -> list[str]:
    lines = []
    for source in egress["sources"]:
        if (":" in source) != (version == 6):
            continue
        elements = [f"{source} . {address} . {port.partition('/')[2]} . {port.partition('/')[0]}" for port in allowed]
        name = f"name_ports{version}" if allowed else f"names{version}"
        for element in elements or [f"{source} . {address}"]:
            at = f"element inet {egress['table']} {name}"
            fresh = f"add {at} {{ {element} timeout {seconds}s }}"
            lines += [fresh, f"delete {at} {{ {element} }}", fresh]  # an element that is there keeps its old timeout
    return lines
