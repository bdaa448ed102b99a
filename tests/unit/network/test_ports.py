"""Claims on ports of this machine's loopback; no root."""

import socket

import pytest

from cove.errors import Conflict, InvalidArgument
from cove.network import EndpointRecord, PortRequest, check_request
from cove.network.ports import HostPorts, Target

ENDPOINT = EndpointRecord("e" * 64, "n" * 64, "c" * 64, address4="172.17.0.2")
WEB = Target("c" * 64, "web", ENDPOINT, None)


@pytest.fixture
def ports():
    held = HostPorts()
    yield held
    held.close()


def free_ports(count):
    """Consecutive ports that nobody has now."""
    for first in range(21000, 31000, 50):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for offset, each in enumerate(sockets):
                each.bind(("0.0.0.0", first + offset))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise AssertionError("no free ports")


def claim(ports, *requests):
    return [(port.address, port.port) for port in ports.claim(WEB, requests)]


def test_all_addresses_of_both_families_unless_one_is_named(ports):
    first = free_ports(2)
    assert claim(ports, PortRequest("tcp", 80, host_port=str(first))) == [("0.0.0.0", first), ("::", first)]
    assert claim(ports, PortRequest("tcp", 80, "127.0.0.1", str(first + 1))) == [("127.0.0.1", first + 1)]


def test_sctp_is_not_published_where_it_cannot_be_carried(ports):
    first = free_ports(1)
    assert claim(ports, PortRequest("sctp", 53, host_port=str(first))) == [("0.0.0.0", first)]
    assert claim(ports, PortRequest("udp", 53, host_port=str(first))) == [("0.0.0.0", first), ("::", first)]


def test_a_port_of_ours_is_refused_in_dockers_words_and_leaves_nothing(ports):
    first = free_ports(2)
    taken = ports.claim(WEB, [PortRequest("tcp", 80, "127.0.0.1", str(first))])
    with pytest.raises(Conflict) as refusal:
        claim(ports, PortRequest("tcp", 81, host_port=str(first + 1)), PortRequest("tcp", 80, host_port=str(first)))
    assert refusal.value.message == (
        f"driver failed programming external connectivity on endpoint web ({'e' * 64}): "
        f"Bind for 0.0.0.0:{first} failed: port is already allocated"
    )
    assert claim(ports, PortRequest("tcp", 81, host_port=str(first + 1)))
    ports.release(taken)
    assert claim(ports, PortRequest("tcp", 80, host_port=str(first)))


def test_the_same_port_on_another_address_or_protocol_is_another_port(ports):
    first = free_ports(1)
    assert claim(ports, PortRequest("tcp", 80, "127.0.0.1", str(first)))
    assert claim(ports, PortRequest("tcp", 80, "127.0.0.2", str(first)))
    assert claim(ports, PortRequest("udp", 80, "127.0.0.1", str(first)))
    with pytest.raises(Conflict, match=r"Bind for 127\.0\.0\.2:"):
        claim(ports, PortRequest("tcp", 80, "127.0.0.2", str(first)))


def test_a_port_of_another_program_is_refused(ports):
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        with pytest.raises(
            Conflict, match=rf"failed to bind host port for 127\.0\.0\.1:{number}:172\.17\.0\.2:80/tcp: address already"
        ):
            claim(ports, PortRequest("tcp", 80, "127.0.0.1", str(number)))
        with pytest.raises(Conflict, match="cannot assign requested address"):
            claim(ports, PortRequest("tcp", 80, "198.51.100.7", str(number)))


def test_other_programs_see_that_a_port_is_taken(ports):
    first = free_ports(1)
    claim(ports, PortRequest("tcp", 80, "127.0.0.1", str(first)))
    with pytest.raises(OSError, match="in use"):
        socket.create_server(("127.0.0.1", first)).close()


def test_a_range_gives_the_first_free_port(ports):
    first = free_ports(3)
    wanted = PortRequest("tcp", 80, "127.0.0.1", f"{first}-{first + 1}")
    assert claim(ports, wanted) == [("127.0.0.1", first)]
    assert claim(ports, wanted) == [("127.0.0.1", first + 1)]
    with pytest.raises(Conflict, match=f"Bind for 127.0.0.1:{first + 1} failed"):
        claim(ports, wanted)


def test_no_port_named_gives_any_free_one_of_the_ephemeral_range(ports):
    given = [claim(ports, PortRequest("tcp", 80)) for _ in range(20)]
    numbers = [pair[0][1] for pair in given]
    assert len(set(numbers)) == 20
    assert all(pair == [("0.0.0.0", number), ("::", number)] for pair, number in zip(given, numbers, strict=True))
    assert min(numbers) >= 1024


def test_ports_of_a_former_daemon_are_held_even_if_they_cannot_be_bound(ports, caplog):
    former = HostPorts()
    records = former.claim(WEB, [PortRequest("tcp", 80, "127.0.0.1", str(free_ports(1)))])
    ports.restore(records)
    former.close()
    assert "Address already in use" in caplog.text or "address already in use" in caplog.text
    with pytest.raises(Conflict, match="port is already allocated"):
        claim(ports, PortRequest("tcp", 80, "127.0.0.1", str(records[0].port)))


@pytest.mark.parametrize("text", ["99999", "80-70", "0-9", "a", "-1", "1-2-3", "²", " 80"])
def test_what_is_no_port_is_refused(text):
    with pytest.raises(InvalidArgument, match="invalid port specification"):
        check_request(PortRequest("tcp", 80, host_port=text))


@pytest.mark.parametrize(
    "request_", [PortRequest("icmp", 80), PortRequest("tcp", 0), PortRequest("tcp", 70000), PortRequest("tcp", 80, "x")]
)
def test_what_cannot_be_published_is_refused(request_):
    with pytest.raises(InvalidArgument):
        check_request(request_)
