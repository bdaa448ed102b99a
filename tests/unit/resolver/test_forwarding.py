"""Questions carried elsewhere, to real servers on the loopback that behave as servers do."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from cove.resolver import packets
from cove.resolver.forwarding import Lookup
from cove.resolver.servers import Health, HostServers, Server
from cove.runtime.loop import Loop

Answer = Callable[[dns.message.Message], list[bytes]]


def good(query: dns.message.Message) -> list[bytes]:
    made = dns.message.make_response(query)
    made.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.7"))
    return [made.to_wire()]


def failing(query: dns.message.Message) -> list[bytes]:
    made = dns.message.make_response(query)
    made.set_rcode(dns.rcode.SERVFAIL)
    return [made.to_wire()]


def absent(query: dns.message.Message) -> list[bytes]:
    made = dns.message.make_response(query)
    made.set_rcode(dns.rcode.NXDOMAIN)
    return [made.to_wire()]


def silent(_query: dns.message.Message) -> list[bytes]:
    return []


def lying(query: dns.message.Message) -> list[bytes]:
    """Answers that are not to the question come first."""
    other = dns.message.make_query("other.test", "A")
    other.id = query.id
    wrong = dns.message.from_wire(good(query)[0])
    wrong.id = query.id ^ 1
    return [good(other)[0], wrong.to_wire(), b"", b"\0" * 11, b"\xff" * 40, *good(query)]


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[Server]:
    """A server over UDP and TCP on one port."""
    stream = socket.create_server(("127.0.0.1", 0))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(stream.getsockname())

    def serve_datagrams() -> None:
        with contextlib.suppress(OSError):
            while True:
                data, client = datagrams.recvfrom(4096)
                if not data:
                    return
                for each in answer(dns.message.from_wire(data)):
                    datagrams.sendto(each, client)

    def serve_streams() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = stream.accept()
                with connection:
                    query, _when = dns.query.receive_tcp(connection, time.time() + 2)
                    for each in answer(query):
                        connection.sendall(len(each).to_bytes(2, "big") + each)

    threads = [threading.Thread(target=serve_datagrams), threading.Thread(target=serve_streams)]
    for thread in threads:
        thread.start()
    try:
        yield Server("127.0.0.1", False, stream.getsockname()[1])
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", datagrams.getsockname())
        stream.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        stream.close()
        datagrams.close()


@contextlib.contextmanager
def nothing() -> Iterator[None]:
    yield


def asked(servers: list[Server], *, stream: bool = False, health: Health | None = None) -> dns.message.Message | None:
    loop = Loop()
    found: list[bytes | None] = []

    def finished(response: bytes | None) -> None:
        found.append(response)
        loop.stop()

    wire = dns.message.make_query("a.test", "A", use_edns=0).to_wire()
    lookup = Lookup(loop, health or Health(), wire, packets.question(wire), nothing, finished)
    lookup.begin(servers, stream=stream)
    loop.run()
    loop.close()
    assert len(found) == 1
    if found[0] is None:
        return None
    message = dns.message.from_wire(found[0])
    assert message.id == int.from_bytes(wire[:2], "big")
    return message


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("answer", [good, absent])
def test_an_answer_comes_back(answer: Answer, stream: bool) -> None:
    with server(answer) as one:
        made = asked([one], stream=stream)
    assert made is not None and made.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) and made.edns == 0


def test_what_is_no_answer_to_the_question_is_ignored() -> None:
    with server(lying) as one:
        made = asked([one])
    assert made is not None and made.answer[0][0].to_text() == "192.0.2.7"


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_fails_is_followed_by_the_next_at_once(stream: bool) -> None:
    begun = time.monotonic()
    with server(failing) as one, server(good) as two:
        made = asked([one, two], stream=stream)
    assert made is not None and made.rcode() == dns.rcode.NOERROR and time.monotonic() - begun < 0.5


@pytest.mark.parametrize("stream", [False, True])
def test_nobody_there_is_followed_by_the_next_at_once(stream: bool) -> None:
    with server(good) as gone:
        pass
    begun = time.monotonic()
    with server(good) as two:
        made = asked([gone, two], stream=stream)
    assert made is not None and time.monotonic() - begun < 0.5


def test_a_silent_server_is_joined_after_a_second_and_asked_last_from_then_on() -> None:
    health = Health()
    with server(silent) as one, server(good) as two:
        begun = time.monotonic()
        assert asked([one, two], health=health) is not None
        assert 0.9 < time.monotonic() - begun < 1.6
        begun = time.monotonic()
        assert asked([one, two], health=health) is not None
        assert time.monotonic() - begun < 0.5


def test_the_best_bad_answer_is_better_than_none() -> None:
    with server(failing) as one:
        made = asked([one])
    assert made is not None and made.rcode() == dns.rcode.SERVFAIL


def test_no_answer_at_all_comes_to_an_end() -> None:
    begun = time.monotonic()
    with server(silent) as one:
        assert asked([one]) is None
    assert 4 < time.monotonic() - begun < 5


def test_servers_of_a_file_are_followed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "resolv.conf"
    file.write_text("# none\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver fe80::1%lo\n")
    servers = HostServers(str(file))
    assert servers.addresses == ("192.0.2.1", "fe80::1%lo")
    fresh = tmp_path / "fresh"
    fresh.write_text("nameserver 192.0.2.2\n")
    fresh.replace(file)
    servers.refresh()
    assert servers.addresses == ("192.0.2.2",)
    file.unlink()
    servers.refresh()
    assert servers.addresses == ("8.8.8.8", "8.8.4.4")
    servers.close()
