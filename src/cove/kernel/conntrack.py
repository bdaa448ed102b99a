"""The connection tracker, over ctnetlink (linux/netfilter/nfnetlink_conntrack.h)."""

import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from cove.kernel.netlink_format import (
    ACK,
    DONE,
    DUMP,
    ERROR,
    NESTED,
    RECEIVE_BYTES,
    attribute,
    attributes,
    message,
    messages,
)

_NETLINK_NETFILTER = 12
_CT_GET, _CT_DELETE = 0x101, 0x102  # subsystem 1, and the message's number
_TUPLE_ORIGINAL = 1
_TUPLE_ADDRESSES, _TUPLE_PROTOCOL = 1, 2
_DESTINATION4, _DESTINATION6 = 2, 4
_PROTOCOL_NUMBER, _PROTOCOL_DESTINATION = 1, 3

Address = IPv4Address | IPv6Address

_FAMILY = struct.Struct("=BBH")


def forget_udp(concerned: Callable[[Address, int], bool]) -> int:
    """Forget UDP flows whose first packet went to an address and port that are ``concerned``; how many they were.

    Looks at every flow of this network namespace. Raises OSError.
    """
    forgotten = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as connection:
        for family in (socket.AF_INET, socket.AF_INET6):
            for original in list(_originals(connection, family)):
                destination = _udp_destination(original)
                if destination is not None and concerned(*destination):
                    forgotten += _forget(connection, family, original)
    return forgotten


def _originals(connection: socket.socket, family: int) -> Iterator[bytes]:
    """The tuple (addresses, protocol, ports) of the first packet of each flow, as the kernel encodes it."""
    connection.send(_request(_CT_GET, DUMP, family, b""))
    while True:
        for kind, _flags, _number, payload in messages(connection.recv(RECEIVE_BYTES)):
            if kind in (ERROR, DONE):
                _check(payload)
                return
            yield from (value for name, value in attributes(payload, _FAMILY.size) if name == _TUPLE_ORIGINAL)


def _udp_destination(original: bytes) -> tuple[Address, int] | None:
    parts = dict(attributes(original))
    protocol, addresses = (dict(attributes(parts.get(kind, b""))) for kind in (_TUPLE_PROTOCOL, _TUPLE_ADDRESSES))
    address = addresses.get(_DESTINATION4) or addresses.get(_DESTINATION6)
    if protocol.get(_PROTOCOL_NUMBER) != bytes([socket.IPPROTO_UDP]) or address is None:
        return None
    return ip_address(address), int.from_bytes(protocol.get(_PROTOCOL_DESTINATION, b""), "big")


def _forget(connection: socket.socket, family: int, original: bytes) -> int:
    flow = attribute(_TUPLE_ORIGINAL | NESTED, original)
    connection.send(_request(_CT_DELETE, ACK, family, flow))
    with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
        for kind, _flags, _number, payload in messages(connection.recv(RECEIVE_BYTES)):
            if kind == ERROR:
                _check(payload)
        return 1
    return 0


def _request(kind: int, flags: int, family: int, wanted: bytes) -> bytes:
    return message(kind, flags, 1, _FAMILY.pack(family, 0, 0) + wanted)


def _check(payload: bytes) -> None:
    (result,) = struct.unpack_from("=i", payload)
    if result < 0:
        raise OSError(-result, f"connection tracker: {os.strerror(-result)}")
