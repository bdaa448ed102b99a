"""A DNS server to ask from containers: ``python -m harness.dns_server ADDRESS NAME=ADDRESS[/TTL]…``, over UDP and TCP.

``big.test`` has an answer too long for a datagram; ``slow.test`` has none at all. It prints each name that it is asked.
"""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

from harness.netns import NetworkNamespace

Zone = dict[str, list[tuple[str, int]]]


def answer(query: dns.message.Message, zone: Zone, *, stream: bool) -> bytes | None:
    """What the server says; None is nothing."""
    asked = query.question[0]
    name, kind = asked.name.to_text().rstrip(".").lower(), dns.rdatatype.to_text(asked.rdtype)
    print(f"{name} {kind} {'tcp' if stream else 'udp'}", flush=True)
    made = dns.message.make_response(query)
    if name == "slow.test":
        return None
    if name == "big.test" and kind == "A":
        if not stream:
            made.flags |= dns.flags.TC
        else:
            made.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "A", *(f"192.0.2.{n}" for n in range(100))))
        return made.to_wire(max_size=65535)
    if name not in zone:
        made.set_rcode(dns.rcode.NXDOMAIN)
    for address, ttl in zone.get(name, []):
        if kind == ("AAAA" if ":" in address else "A"):
            made.answer.append(dns.rrset.from_text(asked.name, ttl, "IN", kind, address))
    return made.to_wire()


def serve(address: str, zone: Zone) -> None:
    """Answer for ever at port 53 of an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    datagrams = socket.socket(family, socket.SOCK_DGRAM)
    datagrams.bind((address, 53))
    stream = socket.create_server((address, 53), family=family)
    threading.Thread(target=_streams, args=(stream, zone), daemon=True).start()
    print("ready", flush=True)
    while True:
        data, client = datagrams.recvfrom(4096)
        if (made := answer(dns.message.from_wire(data), zone, stream=False)) is not None:
            datagrams.sendto(made, client)


def _streams(listener: socket.socket, zone: Zone) -> None:
    while True:
        connection, _client = listener.accept()
        with connection, contextlib.suppress(OSError, EOFError):
            query, _when = dns.query.receive_tcp(connection, time.time() + 5)
            if (made := answer(query, zone, stream=True)) is not None:
                connection.sendall(len(made).to_bytes(2, "big") + made)


@contextlib.contextmanager
def running(command: Sequence[str], address: str, *names: str) -> Iterator[list[str]]:
    """A server in another process; ``command``: how to get where it is to be. Gives the questions, which fill up."""
    argv = [*command, sys.executable, "-m", "harness.dns_server", address, *names]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
    questions: list[str] = []
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    reading = threading.Thread(target=lambda: questions.extend(_lines(process)))
    reading.start()
    try:
        yield questions
    finally:
        process.kill()
        process.wait()
        reading.join()
        process.stdout.close()


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.strip()


def host_server() -> str:
    """The first server of this machine's resolv.conf: an engine in a network namespace of its own asks there."""
    words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    return next(each[1] for each in words if each[:1] == ["nameserver"])


@contextlib.contextmanager
def host_address(netns: NetworkNamespace, address: str) -> Iterator[None]:
    """An address on the loopback of a network namespace."""
    length = 128 if ":" in address else 32
    netns.run(["ip", "address", "add", f"{address}/{length}", "dev", "lo"])
    try:
        yield
    finally:
        netns.run(["ip", "address", "del", f"{address}/{length}", "dev", "lo"])


if __name__ == "__main__":
    given: Zone = {}
    for entry in sys.argv[2:]:
        known, _, value = entry.partition("=")
        where, _, ttl = value.partition("/")
        given.setdefault(known, []).append((where, int(ttl or 60)))
    serve(sys.argv[1], given)
