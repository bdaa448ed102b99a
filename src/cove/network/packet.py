"""The first packet of a flow, on its way through the host; what rules of nftables may ask of it."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "ipv6-icmp": 58, "sctp": 132}
"""Numbers of IANA's registry."""

_WITH_PORTS = (6, 17, 132)
_NFPROTO = {4: 2, 6: 10}
_STATE_NEW, _STATUS_DNAT, _TYPE_UNICAST, _TYPE_LOCAL = 8, 32, 1, 2


@dataclass(frozen=True)
class Packet:
    """``port``: of the destination, 0 for protocols without. ``incoming``, ``outgoing``: links of the host, or "".

    ``translated``: its destination is not the one that it was sent to. ``local``: the destination is the host.
    """

    source: Address
    destination: Address
    protocol: int
    port: int = 0
    incoming: str = ""
    outgoing: str = ""
    translated: bool = False
    local: bool = False


Value = str | int | Address


class Unknown(Exception):
    """A rule asks for something that is not known of a packet which was never sent, like its mark."""


def meta(packet: Packet, key: str) -> Value:
    """``meta KEY``. Raises Unknown."""
    known: dict[str, Value] = {
        "iifname": packet.incoming,
        "oifname": packet.outgoing,
        "iif": packet.incoming,
        "oif": packet.outgoing,
        "l4proto": packet.protocol,
        "nfproto": _NFPROTO[packet.source.version],
        "protocol": 0x0800 if packet.source.version == 4 else 0x86DD,
        "pkttype": 0,
    }
    if key not in known:
        raise Unknown(f"meta {key}")
    return known[key]


def payload(packet: Packet, protocol: str, field: str) -> Value | None:
    """``PROTOCOL FIELD``; None when the packet has no such header. Raises Unknown."""
    if protocol in ("ip", "ip6"):
        return _network_header(packet, protocol, field)
    if protocol in ("tcp", "udp", "sctp", "th"):
        wrong = packet.protocol not in _WITH_PORTS if protocol == "th" else packet.protocol != PROTOCOLS[protocol]
        if wrong:
            return None
        if field == "dport":
            return packet.port
    if protocol in ("icmp", "icmpv6"):
        if packet.protocol != (1 if protocol == "icmp" else 58):
            return None
        if field == "type":
            return 8 if protocol == "icmp" else 128
    if protocol == "arp":
        return None
    raise Unknown(f"{protocol} {field}")


def _network_header(packet: Packet, protocol: str, field: str) -> Value | None:
    if (protocol == "ip6") != (packet.source.version == 6):
        return None
    known: dict[str, Value] = {
        "saddr": packet.source,
        "daddr": packet.destination,
        "protocol": packet.protocol,
        "nexthdr": packet.protocol,
    }
    if field not in known:
        raise Unknown(f"{protocol} {field}")
    return known[field]


def tracked(packet: Packet, key: str) -> Value:
    """``ct KEY``. Raises Unknown."""
    known: dict[str, Value] = {
        "state": _STATE_NEW,
        "status": _STATUS_DNAT if packet.translated else 0,
        "direction": 0,
    }
    if key not in known:
        raise Unknown(f"ct {key}")
    return known[key]


def destination_type(packet: Packet) -> Value:
    """``fib daddr type``."""
    return _TYPE_LOCAL if packet.local else _TYPE_UNICAST
