"""The few messages of rtnetlink that a start needs inside the container: links up, addresses, default routes.

Hand-written because every import and every exchange here is on the way to the user's program; all requests travel in
one datagram and are acknowledged together (rtnetlink(7)).
"""

import contextlib
import fcntl
import os
import socket
import struct
from array import array

_NEWLINK, _NEWADDR, _NEWROUTE = 16, 20, 24
_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_ERROR = 2
_IFF_UP = 0x1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD = 0x02
_RTA_OIF, _RTA_GATEWAY = 4, 5
_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST = 254, 3, 0, 1
_RTNH_F_ONLINK = 4
_HEADER = struct.Struct("=IHHII")
_BUFFER = 1 << 16
_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0A
_LINK_REQUEST = struct.Struct("@16sP16x")  # struct ifreq


class Route:
    """Requests to the network namespace that the process is in; collected, then sent by ``commit``."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._requests: list[bytes] = []
        self._steps: list[str] = []
        self._links: list[str] = []

    def set_up(self, name: str) -> None:
        """Switch a link on; after ``commit`` it carries packets."""
        self._links.append(name)
        self._add(f"link {name} up", _NEWLINK, 0, struct.pack("=BxHiII", 0, 0, _index(name), _IFF_UP, _IFF_UP))

    def add_address(self, name: str, address: str) -> None:
        """Give a link an address, ``192.0.2.7/24`` or ``2001:db8::7/64``; without the IPv6 wait for duplicates."""
        text, _, length = address.partition("/")
        family, packed = _pack(text)
        prefix = int(length) if length else len(packed) * 8
        body = struct.pack("=BBBBI", family, prefix, 0, 0, _index(name))
        body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        if family == socket.AF_INET and prefix < 31:
            mask = (1 << (32 - prefix)) - 1
            body += _attribute(_IFA_BROADCAST, struct.pack("!I", struct.unpack("!I", packed)[0] | mask))
        if family == socket.AF_INET6:
            body += _attribute(_IFA_FLAGS, struct.pack("=I", _IFA_F_NODAD))
        self._add(f"address {address} on {name}", _NEWADDR, _CREATE | _EXCLUSIVE, body)

    def add_default_route(self, name: str, gateway: str) -> None:
        """Send what has no other route to a gateway, which need not be in the link's own network."""
        family, packed = _pack(gateway)
        kind = (_RT_TABLE_MAIN, _RTPROT_BOOT, _RT_SCOPE_UNIVERSE, _RTN_UNICAST)
        body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, *kind, _RTNH_F_ONLINK)
        body += _attribute(_RTA_GATEWAY, packed) + _attribute(_RTA_OIF, struct.pack("=I", _index(name)))
        self._add(f"default route by {gateway} on {name}", _NEWROUTE, _CREATE | _EXCLUSIVE, body)

    def commit(self) -> None:
        """Send what was collected. Raises OSError with the first step that the kernel refused."""
        requests, steps = self._requests, self._steps
        self._requests, self._steps = [], []
        if not requests:
            return
        self._socket.sendto(b"".join(requests), (0, 0))
        answered = 0
        while answered < len(requests):
            data = self._socket.recv(_BUFFER)
            answered += _check_answers(data, steps)
        for name in self._links:
            notice_carrier(name)
        self._links.clear()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Route":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _add(self, step: str, kind: int, flags: int, body: bytes) -> None:
        number = len(self._requests)
        header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _ACK | flags, number, 0)
        self._requests.append(header + body)
        self._steps.append(step)


def notice_carrier(name: str) -> None:
    """Have the kernel act on a link's carrier now, not when its worker gets to it: until then it drops what is sent.

    A first packet that is dropped is only sent again after a second. An older kernel may answer without acting;
    then all is as it would have been.
    """
    answer = array("I", [_ETHTOOL_GLINK, 0])
    request = _LINK_REQUEST.pack(name.encode(), answer.buffer_info()[0])
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_:
        fcntl.ioctl(any_, _SIOCETHTOOL, request)


def _check_answers(data: bytes, steps: list[str]) -> int:
    """How many acknowledgements a datagram holds."""
    offset = count = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _flags, number, _port = _HEADER.unpack_from(data, offset)
        if kind == _ERROR:
            count += 1
            (code,) = struct.unpack_from("=i", data, offset + _HEADER.size)
            if code:
                raise OSError(-code, f"{steps[number]}: {os.strerror(-code)}")
        offset += max((length + 3) & ~3, _HEADER.size)
    return count


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def _pack(text: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return family, socket.inet_pton(family, text)


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise OSError(error.errno, f"link {name}: {os.strerror(error.errno or 0)}") from None
