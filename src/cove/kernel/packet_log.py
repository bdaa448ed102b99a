"""Packets that rules of the firewall tell of, over nfnetlink_log (linux/netfilter/nfnetlink_log.h)."""

import errno
import os
import socket
import struct
from typing import NamedTuple

from cove.kernel.netlink_format import ACK, ERROR, RECEIVE_BYTES, attribute, attributes, message, messages

_NETLINK_NETFILTER = 12
_PACKET, _CONFIG = 0x400, 0x401  # subsystem 4, and the message's number
_CONFIG_COMMAND, _CONFIG_MODE, _CONFIG_THRESHOLD = 1, 2, 5
_BIND, _COPY_PACKET = 1, 2
_PAYLOAD = 9
_MOST_AT_ONCE = 64

_GROUP = struct.Struct("!BBH")
_PORTS = struct.Struct("!HH")
_WITH_PORTS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)


class Packet(NamedTuple):
    """``protocol``: its number in IP; ``port``: of the destination, 0 for protocols other than TCP and UDP."""

    source: str
    destination: str
    protocol: int
    port: int


class PacketLog:
    """One group, in the network namespace of the thread that makes it. For one event loop.

    Raises OSError (EPERM when another process has the group).
    """

    def __init__(self, group: int) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, _NETLINK_NETFILTER)
        try:
            self._configure(group, attribute(_CONFIG_COMMAND, bytes([_BIND])))
            mode = struct.pack("!IBx", 0xFFFF, _COPY_PACKET)
            told_at_once = struct.pack("!I", 1)
            self._configure(group, attribute(_CONFIG_MODE, mode) + attribute(_CONFIG_THRESHOLD, told_at_once))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> list[Packet]:
        """What was told since the last call, up to some; what did not fit in the kernel's queue is missing."""
        found: list[Packet] = []
        while len(found) < _MOST_AT_ONCE:
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                continue
            for kind, _flags, _number, payload in messages(data):
                if kind == _PACKET and (packet := _packet(payload)) is not None:
                    found.append(packet)
        return found

    def close(self) -> None:
        self._socket.close()

    def _configure(self, group: int, wanted: bytes) -> None:
        """The kernel answers before the request is sent."""
        self._socket.send(message(_CONFIG, ACK, 1, _GROUP.pack(socket.AF_UNSPEC, 0, group) + wanted))
        for kind, _flags, _number, payload in messages(self._socket.recv(RECEIVE_BYTES)):
            if kind == ERROR and (code := struct.unpack_from("=i", payload)[0]):
                raise OSError(-code, f"packet log {group}: {os.strerror(-code)}")


def parse(packet: bytes) -> Packet | None:
    """The addresses of an IP packet, of which only the beginning is needed; None when it is none."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        protocol, start = packet[9], (packet[0] & 15) * 4
        source, destination = socket.inet_ntop(socket.AF_INET, packet[12:16]), packet[16:20]
        return Packet(source, socket.inet_ntop(socket.AF_INET, destination), protocol, _port(packet, protocol, start))
    if version == 6 and len(packet) >= 40:
        protocol = packet[6]
        source, destination = socket.inet_ntop(socket.AF_INET6, packet[8:24]), packet[24:40]
        return Packet(source, socket.inet_ntop(socket.AF_INET6, destination), protocol, _port(packet, protocol, 40))
    return None


def _port(packet: bytes, protocol: int, start: int) -> int:
    if protocol not in _WITH_PORTS or len(packet) < start + _PORTS.size:
        return 0
    port: int = _PORTS.unpack_from(packet, start)[1]
    return port


def _packet(payload: bytes) -> Packet | None:
    found = dict(attributes(payload, _GROUP.size)).get(_PAYLOAD)
    return None if found is None else parse(found)
