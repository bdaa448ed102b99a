"""Packets that the firewall tells of."""

import errno
import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.kernel import namespaces
from cove.kernel.netlink import Route
from cove.kernel.nftables import Nftables
from cove.kernel.packet_log import Packet, PacketLog, parse

GROUP = 31337
RULES = f"""
table inet t {{
  chain o {{
    type filter hook output priority 0;
    log group {GROUP} drop
  }}
}}
"""


def ipv4(protocol: int, rest: bytes = b"", options: bytes = b"") -> bytes:
    first = 0x45 + len(options) // 4
    source, destination = socket.inet_aton("192.0.2.1"), socket.inet_aton("198.51.100.1")
    return struct.pack("!BBHHHBBH4s4s", first, 0, 40, 0, 0, 64, protocol, 0, source, destination) + options + rest


@pytest.mark.parametrize(
    ("data", "packet"),
    [
        (ipv4(6, struct.pack("!HH", 1000, 443)), Packet("192.0.2.1", "198.51.100.1", 6, 443)),
        (ipv4(17, struct.pack("!HH", 1000, 53), b"\1" * 8), Packet("192.0.2.1", "198.51.100.1", 17, 53)),
        (ipv4(1, b"\x08\x00\x12\x34"), Packet("192.0.2.1", "198.51.100.1", 1, 0)),
        (ipv4(6, b"\0"), Packet("192.0.2.1", "198.51.100.1", 6, 0)),
        (bytes([0x60]) + bytes(5) + b"\x06" + bytes(33) + struct.pack("!HH", 1, 80), Packet("::", "::", 6, 80)),
        (b"", None),
        (ipv4(6)[:19], None),
        (bytes([0x60]) + bytes(20), None),
    ],
)
def test_packets(data: bytes, packet: Packet | None) -> None:
    assert parse(data) == packet


@given(st.binary(max_size=96))
def test_any_bytes(data: bytes) -> None:
    parse(data)


@pytest.mark.root
def test_a_group_tells_of_packets_and_has_one_listener() -> None:
    found: list[object] = []

    def inside() -> None:
        try:
            namespaces.unshare(["network"])
            with Route() as route:
                route.set_up("lo")
                route.commit()
            with Nftables() as nftables:
                nftables.run(RULES)
            log = PacketLog(GROUP)
            try:
                PacketLog(GROUP)
            except OSError as error:
                found.append(error)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made, pytest.raises(PermissionError):
                made.bind(("127.0.0.1", 0))
                made.sendto(b"x", ("127.0.0.1", 99))
            found.extend(log.read())
            log.close()
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert isinstance(found[0], OSError) and found[0].errno == errno.EPERM, found
    assert found[1:] == [Packet("127.0.0.1", "127.0.0.1", 17, 99)]
