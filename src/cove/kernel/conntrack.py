"""The connection tracker, over ctnetlink (linux/netfilter/nfnetlink_conntrack.h)."""

import contextlib
import os
import socket
import struct
from collections.abc import Collection, Iterator

_NETLINK_NETFILTER = 12
_CT_GET, _CT_DELETE = 0x101, 0x102  # subsystem 1, and the message's number
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_TUPLE_ORIGINAL, _TUPLE_PROTOCOL = 1, 2
_PROTOCOL_NUMBER, _PROTOCOL_DESTINATION = 1, 3
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF

_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE_BYTES = 1 << 16


def forget_udp(ports: Collection[int]) -> int:
    """Forget UDP flows whose first packet went to one of these ports, in this network namespace; how many they were.

    Looks at every flow of the namespace. Raises OSError.
    """
    forgotten = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as connection:
        for family in (socket.AF_INET, socket.AF_INET6):
            for original in list(_originals(connection, family)):
                if _udp_port(original) in ports:
                    forgotten += _forget(connection, family, original)
    return forgotten


def _originals(connection: socket.socket, family: int) -> Iterator[bytes]:
    """The tuple (addresses, protocol, ports) of the first packet of each flow, as the kernel encodes it."""
    connection.send(_request(_CT_GET, _DUMP, family, b""))
    while True:
        for kind, payload in _messages(connection.recv(_RECEIVE_BYTES)):
            if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                _check(payload)
                return
            yield from (value for name, value in _attributes(payload[_FAMILY.size :]) if name == _TUPLE_ORIGINAL)


def _udp_port(original: bytes) -> int | None:
    protocol = dict(_attributes(dict(_attributes(original)).get(_TUPLE_PROTOCOL, b"")))
    if protocol.get(_PROTOCOL_NUMBER) != bytes([socket.IPPROTO_UDP]):
        return None
    return int.from_bytes(protocol.get(_PROTOCOL_DESTINATION, b""), "big")


def _forget(connection: socket.socket, family: int, original: bytes) -> int:
    length = _ATTRIBUTE.size + len(original)
    flow = _ATTRIBUTE.pack(length, _TUPLE_ORIGINAL | _NESTED) + original + b"\0" * (-length % 4)
    connection.send(_request(_CT_DELETE, _ACK, family, flow))
    with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
        for kind, payload in _messages(connection.recv(_RECEIVE_BYTES)):
            if kind == _NLMSG_ERROR:
                _check(payload)
        return 1
    return 0


def _request(kind: int, flags: int, family: int, attributes: bytes) -> bytes:
    body = _FAMILY.pack(family, 0, 0) + attributes
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, 1, 0) + body


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, offset)
        yield kind, data[offset + _HEADER.size : offset + length]
        offset += length + (-length % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[offset + _ATTRIBUTE.size : offset + length]
        offset += length + (-length % 4)


def _check(payload: bytes) -> None:
    (result,) = struct.unpack_from("=i", payload)
    if result < 0:
        raise OSError(-result, f"connection tracker: {os.strerror(-result)}")
