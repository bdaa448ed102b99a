"""Routes and listening sockets of a process's network namespace, from /proc/PID/net: nobody has to enter it.

Sources: proc_net(5); net/ipv4/fib_trie.c (fib_route_seq_show), net/ipv6/route.c (rt6_info_route), linux/route.h.
"""

import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_UP, _GATEWAY, _REJECT = 1, 2, 0x200
_LISTENING = {"tcp": "0A", "udp": "07"}

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Route:
    """A route of the main table. ``gateway``: None when the destination is on the link itself."""

    destination: IPv4Network | IPv6Network
    link: str
    gateway: Address | None
    metric: int
    rejects: bool = False


@dataclass(frozen=True)
class Listener:
    """A socket that waits for connections, or a UDP socket without a peer. ``address``: ``0.0.0.0``, ``::`` for all."""

    address: Address
    port: int


def route_to(pid: int | str, address: Address) -> Route | None:
    """The best route for a destination; None where there is none. Raises OSError when there is no such process."""
    found = [route for route in routes(pid, address.version) if address in route.destination]
    best = max(found, key=lambda route: (route.destination.prefixlen, -route.metric), default=None)
    return None if best is not None and best.rejects else best


def routes(pid: int | str, version: int) -> list[Route]:
    """``version``: 4 or 6. A kernel without IPv6 has none of it."""
    try:
        with open(f"/proc/{pid}/net/{'route' if version == 4 else 'ipv6_route'}", encoding="ascii") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    return list(_routes4(lines[1:]) if version == 4 else _routes6(lines))


def _routes4(lines: list[str]) -> Iterator[Route]:
    for line in lines:
        link, destination, gateway, flags, _references, _use, metric, mask, *_rest = line.split()
        if int(flags, 16) & _UP:
            network = IPv4Network((_address4(destination), str(_address4(mask))))
            by = _address4(gateway) if int(flags, 16) & _GATEWAY else None
            yield Route(network, link, by, int(metric), bool(int(flags, 16) & _REJECT))


def _routes6(lines: list[str]) -> Iterator[Route]:
    for line in lines:
        destination, length, _source, _length, gateway, metric, _references, _use, flags, link = line.split()
        network = IPv6Network((bytes.fromhex(destination), int(length, 16)))
        by = IPv6Address(bytes.fromhex(gateway)) if int(flags, 16) & _GATEWAY else None
        yield Route(network, link, by, int(metric, 16), bool(int(flags, 16) & _REJECT))


def listeners(pid: int | str, protocol: str) -> list[Listener]:
    """``protocol``: tcp or udp; of both address families."""
    found = []
    for name in (protocol, f"{protocol}6"):
        try:
            with open(f"/proc/{pid}/net/{name}", encoding="ascii") as file:
                lines = file.read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            _number, local, _remote, state, *_rest = line.split()
            if state == _LISTENING[protocol]:
                address, _, port = local.partition(":")
                found.append(Listener(_socket_address(address), int(port, 16)))
    return found


def _address4(text: str) -> IPv4Address:
    return IPv4Address(struct.pack("=I", int(text, 16)))


def _socket_address(text: str) -> Address:
    """Groups of 32 bits in the machine's order."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    return ip_address(socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw))
