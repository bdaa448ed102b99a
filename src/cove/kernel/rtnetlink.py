"""Links, addresses and routes of the network namespace that a socket was opened in: the host's side.

Messages are written by hand because attaching a container is on the start path, and because the field's library for
netlink costs a daemon 9 MiB and 100 ms of imports. Sources: rtnetlink(7), linux/if_link.h, linux/rtnetlink.h,
linux/neighbour.h, linux/veth.h.
"""

import contextlib
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_network

from cove.kernel.netlink import notice_carrier
from cove.kernel.netlink_format import (
    ACK,
    DONE,
    DUMP,
    ERROR,
    HEADER,
    NESTED,
    RECEIVE_BYTES,
    attribute,
    attributes,
    message,
    messages,
)

_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK, _RTM_SETLINK = 16, 17, 18, 19
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_RTM_GETROUTE = 26
_RTM_NEWNEIGH = 28

_REPLACE, _EXCLUSIVE, _CREATE = 0x100, 0x200, 0x400
_ACK_CAPPED, _ACK_ATTRIBUTES = 0x100, 0x200

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK = 1, 3, 4, 5
_IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 10, 18, 28
_IFLA_PROTINFO, _IFLA_BRPORT_MODE, _IFLA_BRPORT_ISOLATED = 12, 4, 33
_IFLA_AF_SPEC, _IFLA_INET6_ADDR_GEN_MODE, _NO_ADDRESS = 26, 8, 1
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER, _IFLA_VLAN_ID = 1, 2, 1, 1
_IFLA_MACVLAN_MODE, _IFLA_IPVLAN_MODE, _IFLA_IPVLAN_FLAGS = 1, 1, 2
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS = 1, 2, 4, 8
_IFA_F_NODAD = 2
_RTA_DST, _RTA_OIF, _RTA_TABLE = 1, 4, 15
_RTN_LOCAL = 2
_NDA_LLADDR = 2

_IFF_UP = 1
_NTF_MASTER, _NUD_NOARP = 4, 0x40
_TABLE_LOCAL = 255
_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 270, 10, 11, 12
_NLMSGERR_ATTR_MSG = 1

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")

_LINK_EVENTS = 1  # RTMGRP_LINK

MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
"""The names that ip-link(8) has for them. Source: linux/if_link.h."""


@dataclass(frozen=True)
class Link:
    """A link. ``master``: the index of its bridge, 0 for none. ``kind``: ``bridge``, ``veth``…, "" for hardware.

    ``address``: its MAC address, "" for a link without one.
    """

    index: int
    name: str
    kind: str
    master: int
    up: bool
    mtu: int
    address: str = ""


class RouteSocket:
    """A connection to the kernel's routing messages. Blocks; not for use by two threads at once.

    Every method raises OSError with the call and the kernel's own words when it is refused.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "RouteSocket":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def links(self) -> dict[str, Link]:
        """All links by name."""
        answers = self._dump(_RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0))
        return {link.name: link for link in map(_link, answers)}

    def routes(self) -> list[tuple[IPv4Network | IPv6Network, int]]:
        """Destinations of all routes but the default ones and those to the host itself, with their link's index."""
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            for answer in self._dump(_RTM_GETROUTE, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
                if (route := _route(answer)) is not None:
                    found.append(route)
        return found

    def route_to(self, address: IPv4Address | IPv6Address) -> tuple[int, bool]:
        """The index of the link that leads to an address, and whether it is the host's own. Raises OSError (ENETUNREACH
        and the like) when no route does.
        """
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        wanted = _ROUTE.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0) + attribute(_RTA_DST, address.packed)
        sent = self._send(_RTM_GETROUTE, ACK, wanted)
        answer = next(iter([answer for _kind, answer in self._receive(f"route to {address}", sent)]))
        kind = _ROUTE.unpack_from(answer)[7]
        index = int.from_bytes(dict(attributes(answer, _ROUTE.size)).get(_RTA_OIF, b""), sys.byteorder)
        return index, kind == _RTN_LOCAL

    def addresses(self, index: int) -> list[IPv4Interface | IPv6Interface]:
        """The addresses of a link."""
        found: list[IPv4Interface | IPv6Interface] = []
        for family, interface in ((socket.AF_INET, IPv4Interface), (socket.AF_INET6, IPv6Interface)):
            for answer in self._dump(_RTM_GETADDR, _IFADDR.pack(family, 0, 0, 0, index)):
                _family, prefix, _flags, _scope, _index = _IFADDR.unpack_from(answer)
                values = dict(attributes(answer, _IFADDR.size))
                found.append(interface((values.get(_IFA_LOCAL) or values[_IFA_ADDRESS], prefix)))
        return found

    def create_bridge(self, name: str, mac: str, mtu: int) -> None:
        """Make a bridge and set it up. Its address is given, else it would change with its ports."""
        payload = (
            _IFINFO.pack(0, 0, 0, _IFF_UP, _IFF_UP)
            + attribute(_IFLA_IFNAME, name.encode() + b"\0")
            + attribute(_IFLA_ADDRESS, _mac(mac))
            + attribute(_IFLA_MTU, struct.pack("=I", mtu))
            + attribute(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, b"bridge"))
        )
        self._request(f"create bridge {name}", _RTM_NEWLINK, _CREATE | _EXCLUSIVE, payload)

    def create_veth(self, name: str, bridge: int, peer: str, mac: str, mtu: int, namespace: int) -> None:
        """Make a pair: ``name`` here, up and on the bridge with this index; ``peer`` in ``namespace``, up as well.

        ``namespace``: a descriptor of the network namespace that the peer, with address ``mac``, is born in. Of a new
        pair only the first end can be up, which has to be the peer: an end gets its carrier when it is set up after the
        other, and it is here that the bridge must have seen the carrier before the container's first packet.
        """
        size = attribute(_IFLA_MTU, struct.pack("=I", mtu))
        ours = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, name.encode() + b"\0") + size
        payload = (
            _IFINFO.pack(0, 0, 0, _IFF_UP, _IFF_UP)
            + attribute(_IFLA_IFNAME, peer.encode() + b"\0")
            + attribute(_IFLA_ADDRESS, _mac(mac))
            + size
            + attribute(_IFLA_NET_NS_FD, struct.pack("=I", namespace))
            + attribute(
                _IFLA_LINKINFO,
                attribute(_IFLA_INFO_KIND, b"veth") + attribute(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, ours)),
            )
        )
        self._request(f"create veth {name}", _RTM_NEWLINK, _CREATE | _EXCLUSIVE, payload)
        index = socket.if_nametoindex(name)
        self._keep_from_ipv6(index)
        self.set_link(index, master=bridge)
        notice_carrier(name)

    def _keep_from_ipv6(self, index: int) -> None:
        """Have a link that is to be a bridge's port make no address of its own: nobody is there, and what it sent of it
        would be for all other ports. A kernel without IPv6 does not know the request.
        """
        mode = attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes([_NO_ADDRESS]))
        payload = _IFINFO.pack(0, 0, index, 0, 0) + attribute(_IFLA_AF_SPEC, attribute(socket.AF_INET6, mode))
        with contextlib.suppress(OSError):
            self._request(f"no IPv6 address of link {index}", _RTM_SETLINK, 0, payload)

    def create_macvlan(self, name: str, parent: int, mode: str, mac: str, mtu: int | None, namespace: int) -> None:
        """Make a link on top of the one with index ``parent``, in another namespace. ``mode``: of MACVLAN_MODES."""
        data = attribute(_IFLA_MACVLAN_MODE, struct.pack("=I", MACVLAN_MODES[mode]))
        self._create_child("macvlan", name, parent, data, mac, mtu, namespace)

    def create_ipvlan(self, name: str, parent: int, mode: str, flag: str, mtu: int | None, namespace: int) -> None:
        """As ``create_macvlan``; it has its parent's MAC address. ``mode``, ``flag``: of IPVLAN_MODES, IPVLAN_FLAGS."""
        data = attribute(_IFLA_IPVLAN_MODE, struct.pack("=H", IPVLAN_MODES[mode]))
        data += attribute(_IFLA_IPVLAN_FLAGS, struct.pack("=H", IPVLAN_FLAGS[flag]))
        self._create_child("ipvlan", name, parent, data, "", mtu, namespace)

    def create_vlan(self, name: str, parent: int, tag: int) -> None:
        """Make the sub-interface of a link that carries the frames with a VLAN tag, 1 to 4094, and set it up."""
        self._create_child("vlan", name, parent, attribute(_IFLA_VLAN_ID, struct.pack("=H", tag)), "", None, None)

    def create_dummy(self, name: str) -> None:
        """Make a link that leads nowhere, and set it up."""
        self._create_child("dummy", name, None, b"", "", None, None)

    def create_pair(self, name: str, peer: str) -> None:
        """Make a veth pair with both ends here and up."""
        other = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, peer.encode() + b"\0")
        self._create_child("veth", name, None, attribute(_VETH_INFO_PEER, other), "", None, None)
        self.set_link(socket.if_nametoindex(peer))

    def knows(self, kind: str) -> bool:
        """Whether the kernel has links of a kind, or a module for them, which it then loads."""
        information = attribute(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, kind.encode()))
        payload = _IFINFO.pack(0, 0, 0, 0, 0) + information
        try:  # of a kind that it knows, it misses the link below, or takes a name of its own choice
            self._request(f"probe for {kind}", _RTM_NEWLINK, _CREATE | _EXCLUSIVE, payload)
        except OSError as error:
            return error.errno != errno.EOPNOTSUPP
        return True

    def _create_child(
        self, kind: str, name: str, parent: int | None, data: bytes, mac: str, mtu: int | None, namespace: int | None
    ) -> None:
        """Make a link; one that stays here is set up, one for another namespace is for its owner to set up."""
        up = _IFF_UP if namespace is None else 0
        payload = _IFINFO.pack(0, 0, 0, up, up) + attribute(_IFLA_IFNAME, name.encode() + b"\0")
        if parent is not None:
            payload += attribute(_IFLA_LINK, struct.pack("=I", parent))
        if mac:
            payload += attribute(_IFLA_ADDRESS, _mac(mac))
        if mtu is not None:
            payload += attribute(_IFLA_MTU, struct.pack("=I", mtu))
        if namespace is not None:
            payload += attribute(_IFLA_NET_NS_FD, struct.pack("=I", namespace))
        information = attribute(_IFLA_INFO_KIND, kind.encode()) + (attribute(_IFLA_INFO_DATA, data) if data else b"")
        payload += attribute(_IFLA_LINKINFO, information)
        self._request(f"create {kind} {name}", _RTM_NEWLINK, _CREATE | _EXCLUSIVE, payload)

    def set_link(self, index: int, *, master: int | None = None, mtu: int | None = None) -> None:
        """Set a link up, and change its bridge (0: none) or MTU where given."""
        payload = _IFINFO.pack(0, 0, index, _IFF_UP, _IFF_UP)
        if master is not None:
            payload += attribute(_IFLA_MASTER, struct.pack("=I", master))
        if mtu is not None:
            payload += attribute(_IFLA_MTU, struct.pack("=I", mtu))
        self._request(f"set link {index}", _RTM_NEWLINK, 0, payload)

    def delete_link(self, name: str) -> None:
        """Remove a link; ENODEV when there is none."""
        payload = _IFINFO.pack(0, 0, 0, 0, 0) + attribute(_IFLA_IFNAME, name.encode() + b"\0")
        self._request(f"delete link {name}", _RTM_DELLINK, 0, payload)

    def add_address(self, index: int, address: IPv4Interface | IPv6Interface) -> None:
        """Give a link an address, without the IPv6 wait for duplicates; nothing happens when it has it."""
        payload = _address(index, address)
        if isinstance(address, IPv4Interface):
            payload += attribute(_IFA_BROADCAST, address.network.broadcast_address.packed)
        else:
            payload += attribute(_IFA_FLAGS, struct.pack("=I", _IFA_F_NODAD))
        self._request(f"add address {address}", _RTM_NEWADDR, _CREATE | _REPLACE, payload)

    def delete_address(self, index: int, address: IPv4Interface | IPv6Interface) -> None:
        self._request(f"delete address {address}", _RTM_DELADDR, 0, _address(index, address))

    def set_port(self, index: int, *, hairpin: bool, isolated: bool) -> None:
        """Set the flags of a bridge's port. ``isolated``: it exchanges nothing with other isolated ports.

        ``hairpin``: the bridge may send a frame back out of the port that it came from. With br_netfilter, addresses
        are translated inside the bridge, and a container that reaches itself by a published port needs that.
        """
        flags = attribute(_IFLA_BRPORT_MODE, bytes([hairpin])) + attribute(_IFLA_BRPORT_ISOLATED, bytes([isolated]))
        payload = _IFINFO.pack(socket.AF_BRIDGE, 0, index, 0, 0) + attribute(_IFLA_PROTINFO | NESTED, flags)
        self._request(f"set flags of bridge port {index}", _RTM_SETLINK, 0, payload)

    def point_bridge_at(self, index: int, mac: str) -> None:
        """Tell the bridge of port ``index`` that frames for ``mac`` go there, for as long as the port is there.

        A port whose container has just died may still be on the bridge; without this, frames for a container that got
        the same address go to that one until the new container speaks. Static, since the bridge takes no entry to be
        aged for a port that has no carrier yet; so no other port can take the address away either.
        """
        payload = _NEIGHBOUR.pack(socket.AF_BRIDGE, index, _NUD_NOARP, _NTF_MASTER, 0)
        payload += attribute(_NDA_LLADDR, _mac(mac))
        self._request(f"add {mac} to the bridge of link {index}", _RTM_NEWNEIGH, _CREATE | _REPLACE, payload)

    def _send(self, kind: int, flags: int, payload: bytes) -> int:
        self._sequence += 1
        self._socket.send(message(kind, flags, self._sequence, payload))
        return self._sequence

    def _receive(self, call: str, sequence: int) -> Iterator[tuple[int, bytes]]:
        """(type, payload) of each message that answers a request, up to its end; the end itself is not given."""
        while True:
            for kind, flags, number, payload in messages(self._socket.recv(RECEIVE_BYTES)):
                if number != sequence:
                    continue
                if kind in (ERROR, DONE):
                    _check(call, flags, payload)
                    return
                yield kind, payload

    def _request(self, call: str, kind: int, flags: int, payload: bytes) -> None:
        for _answer in self._receive(call, self._send(kind, flags | ACK, payload)):
            pass

    def _dump(self, kind: int, payload: bytes) -> list[bytes]:
        answers = self._receive(f"dump {kind}", self._send(kind, DUMP, payload))
        return [answer for _kind, answer in answers]


class LinkEvents:
    """Tells which links of this network namespace were removed or went down. For one event loop.

    Both methods tell of what was since the last call of either; None when the kernel had to drop some: it may be any.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, _LINK_EVENTS))

    def fileno(self) -> int:
        return self._socket.fileno()

    def removed(self) -> list[str] | None:
        """The names of links that were removed."""
        told = self._told()
        return None if told is None else [link.name for kind, link in told if kind == _RTM_DELLINK]

    def down(self) -> list[str] | None:
        """The names of links that are not up, or not any more."""
        told = self._told()
        return None if told is None else [link.name for kind, link in told if kind == _RTM_DELLINK or not link.up]

    def _told(self) -> list[tuple[int, Link]] | None:
        found: list[tuple[int, Link]] = []
        while True:
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return None
            for kind, _flags, _number, payload in messages(data):
                family = payload[0] if payload else 0
                if family != socket.AF_BRIDGE:  # those say what became of a port
                    found.append((kind, _link(payload)))

    def close(self) -> None:
        self._socket.close()


def _check(call: str, flags: int, payload: bytes) -> None:
    (result,) = struct.unpack_from("=i", payload)
    if result >= 0:
        return
    words = ""
    if flags & _ACK_ATTRIBUTES and flags & _ACK_CAPPED:
        found = dict(attributes(payload, 4 + HEADER.size))
        words = found.get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    reason = os.strerror(-result)
    raise OSError(-result, f"{call}: {reason} ({words})" if words else f"{call}: {reason}")


def _link(answer: bytes) -> Link:
    _family, _type, index, flags, _change = _IFINFO.unpack_from(answer)
    found = dict(attributes(answer, _IFINFO.size))
    information = dict(attributes(found.get(_IFLA_LINKINFO, b""), 0))
    return Link(
        index,
        found[_IFLA_IFNAME].rstrip(b"\0").decode(),
        information.get(_IFLA_INFO_KIND, b"").rstrip(b"\0").decode(),
        int.from_bytes(found.get(_IFLA_MASTER, b""), sys.byteorder),
        bool(flags & _IFF_UP),
        int.from_bytes(found.get(_IFLA_MTU, b""), sys.byteorder),
        found.get(_IFLA_ADDRESS, b"").hex(":"),
    )


def _route(answer: bytes) -> tuple[IPv4Network | IPv6Network, int] | None:
    family, length, _source, _tos, table, *_rest = _ROUTE.unpack_from(answer)
    found = dict(attributes(answer, _ROUTE.size))
    table = int.from_bytes(found.get(_RTA_TABLE, bytes([table])), sys.byteorder)
    if not length or table == _TABLE_LOCAL or family not in (socket.AF_INET, socket.AF_INET6):
        return None
    destination = ip_network((found[_RTA_DST], length), strict=False)
    return destination, int.from_bytes(found.get(_RTA_OIF, b""), sys.byteorder)


def _address(index: int, address: IPv4Interface | IPv6Interface) -> bytes:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    packed = address.ip.packed
    header = _IFADDR.pack(family, address.network.prefixlen, 0, 0, index)
    return header + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)


def _mac(text: str) -> bytes:
    try:
        address = bytes.fromhex(text.replace(":", ""))
    except ValueError:
        address = b""
    if len(address) != 6:
        raise OSError(errno.EINVAL, f"not a MAC address: {text}")
    return address
