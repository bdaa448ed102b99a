"""The few messages of rtnetlink that a start needs inside the container: links up, addresses, default routes.

Hand-written because every import and every exchange here is on the way to the user's program; all requests travel in
one datagram and are acknowledged together (rtnetlink(7)).
"""

import errno
import fcntl
import os
import struct

from cove.kernel.netlink_format import ACK, ERROR, RECEIVE_BYTES, attribute, message, messages
from cove.lean import ctypes, socket, suppress

_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, _DELROUTE = 16, 17, 20, 24, 25
_REPLACE, _EXCLUSIVE, _CREATE = 0x100, 0x200, 0x400
_IFF_UP = 0x1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_RT_TABLE_MAIN, _RTPROT_BOOT, _RTN_UNICAST = 254, 3, 1
_RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RT_SCOPE_NOWHERE = 0, 253, 255
_IFLA_IFNAME = 3
_RTNH_F_ONLINK = 4
_SIOCETHTOOL, _ETHTOOL_GLINK = 0x8946, 0x0A
_LINK_REQUEST = struct.Struct("@16sP16x")  # struct ifreq


class Route:
    """Requests to the network namespace that the process is in; collected, then sent by ``commit``."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._requests: list[bytes] = []
        self._steps: list[tuple[str, tuple[int, ...]]] = []
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
        body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
        if family == socket.AF_INET and prefix < 31:
            mask = (1 << (32 - prefix)) - 1
            body += attribute(_IFA_BROADCAST, struct.pack("!I", struct.unpack("!I", packed)[0] | mask))
        if family == socket.AF_INET6:
            body += attribute(_IFA_FLAGS, struct.pack("=I", _IFA_F_NODAD))
        self._add(f"address {address} on {name}", _NEWADDR, _CREATE | _EXCLUSIVE, body)

    def delete_link(self, name: str) -> None:
        """Remove a link; one that is not there is no error."""
        body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, name.encode() + b"\0")
        self._add(f"link {name} away", _DELLINK, 0, body, (errno.ENODEV,))

    def add_default_route(self, name: str, gateway: str) -> None:
        """Send what has no other route to a gateway, which need not be in the link's own network.

        ``0.0.0.0`` and ``::`` stand for no gateway: all addresses are taken to be on the link.
        """
        self._add(f"default route by {gateway} on {name}", _NEWROUTE, _CREATE | _EXCLUSIVE, _route(name, gateway))

    def add_route(self, name: str, subnet: str, gateway: str) -> None:
        """Send what is for a subnet, ``2001:db8::/64``, to a gateway on the link, which may be of that subnet."""
        body = _route(name, gateway, subnet)
        self._add(f"route to {subnet} by {gateway} on {name}", _NEWROUTE, _CREATE | _EXCLUSIVE, body)

    def replace_default_route(self, name: str, gateway: str) -> None:
        """As ``add_default_route``, in place of the default route that there is."""
        self._add(f"default route by {gateway} on {name}", _NEWROUTE, _CREATE | _REPLACE, _route(name, gateway))

    def delete_default_route(self, version: int) -> None:
        """Remove the default route of an address family, 4 or 6, if there is one."""
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, _RT_TABLE_MAIN, 0, _RT_SCOPE_NOWHERE, 0, 0)
        self._add(f"no default route of IPv{version}", _DELROUTE, 0, body, (errno.ESRCH, errno.ENOENT))

    def commit(self) -> None:
        """Send what was collected. Raises OSError with the first step that the kernel refused."""
        requests, steps = self._requests, self._steps
        self._requests, self._steps = [], []
        if not requests:
            return
        self._socket.sendto(b"".join(requests), (0, 0))
        answered = 0
        while answered < len(requests):
            data = self._socket.recv(RECEIVE_BYTES)
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

    def _add(self, step: str, kind: int, flags: int, body: bytes, accepted: tuple[int, ...] = ()) -> None:
        number = len(self._requests)
        self._requests.append(message(kind, ACK | flags, number, body))
        self._steps.append((step, accepted))


def notice_carrier(name: str) -> None:
    """Have the kernel act on a link's carrier now, not when its worker gets to it: until then it drops what is sent.

    A first packet that is dropped is only sent again after a second. An older kernel may answer without acting;
    then all is as it would have been.
    """
    answer = ctypes.create_string_buffer(struct.pack("2I", _ETHTOOL_GLINK, 0), 8)
    request = _LINK_REQUEST.pack(name.encode(), ctypes.addressof(answer))
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_:
        fcntl.ioctl(any_, _SIOCETHTOOL, request)


def _route(name: str, gateway: str, subnet: str = "") -> bytes:
    """A route to a subnet, or to everywhere, as the body of a message."""
    family, packed = _pack(gateway)
    destination, _, length = subnet.partition("/")
    on_link = not any(packed)
    scope = _RT_SCOPE_LINK if on_link and family == socket.AF_INET else _RT_SCOPE_UNIVERSE
    flags = 0 if on_link else _RTNH_F_ONLINK
    bits = int(length or 0)
    body = struct.pack("=BBBBBBBBI", family, bits, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, scope, _RTN_UNICAST, flags)
    if subnet:
        body += attribute(_RTA_DST, _pack(destination)[1])
    if not on_link:
        body += attribute(_RTA_GATEWAY, packed)
    return body + attribute(_RTA_OIF, struct.pack("=I", _index(name)))


def _check_answers(data: bytes, steps: list[tuple[str, tuple[int, ...]]]) -> int:
    """How many acknowledgements a datagram holds."""
    count = 0
    for kind, _flags, number, payload in messages(data):
        if kind == ERROR:
            count += 1
            (code,) = struct.unpack_from("=i", payload)
            step, accepted = steps[number]
            if code and -code not in accepted:
                raise OSError(-code, f"{step}: {os.strerror(-code)}")
    return count


def _pack(text: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return family, socket.inet_pton(family, text)


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise OSError(error.errno, f"link {name}: {os.strerror(error.errno or 0)}") from None
