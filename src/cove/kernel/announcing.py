"""Telling the neighbours of a link which MAC address has an IP address now, before they ask the one they remember.

An ARP request for oneself (RFC 5227, 3) and an unsolicited neighbour advertisement (RFC 4861, 7.2.6) replace what a
neighbour remembers. The kernel sends them only when a link goes up that has its addresses already.
"""

import struct

from cove.lean import socket

_ARP, _IPV6 = 0x0806, 0x86DD
_EVERYBODY = b"\xff" * 6
_ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")
_ALL_NODES_MAC = b"\x33\x33\x00\x00\x00\x01"
_ICMPV6, _ADVERTISEMENT, _OVERRIDE, _TARGET_LINK_ADDRESS = 58, 136, 0x20000000, 2


def announce(link: str, addresses: list[str]) -> None:
    """Send an announcement of each address (CIDR) out of a link that is up. Raises OSError."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as packets:
        packets.bind((link, 0))
        mac: bytes = packets.getsockname()[4]
        for address in addresses:
            text = address.partition("/")[0]
            packets.send(_advertisement(mac, text) if ":" in text else _request(mac, text))


def _request(mac: bytes, address: str) -> bytes:
    packed = socket.inet_pton(socket.AF_INET, address)
    ethernet = _EVERYBODY + mac + struct.pack("!H", _ARP)
    return ethernet + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + packed + bytes(6) + packed


def _advertisement(mac: bytes, address: str) -> bytes:
    source = socket.inet_pton(socket.AF_INET6, address)
    option = struct.pack("!BB", _TARGET_LINK_ADDRESS, 1) + mac
    message = struct.pack("!I", _OVERRIDE) + source + option
    pseudo = source + _ALL_NODES + struct.pack("!II", len(message) + 4, _ICMPV6)
    checksum = _checksum(pseudo + struct.pack("!BBH", _ADVERTISEMENT, 0, 0) + message)
    icmp = struct.pack("!BBH", _ADVERTISEMENT, 0, checksum) + message
    header = struct.pack("!IHBB", 6 << 28, len(icmp), _ICMPV6, 255) + source + _ALL_NODES
    return _ALL_NODES_MAC + mac + struct.pack("!H", _IPV6) + header + icmp


def _checksum(data: bytes) -> int:
    """Of the internet protocols, RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
