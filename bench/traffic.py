"""Traffic: what a gigabyte and what a round trip take, between containers and from the host to a published port.

All addresses are of the engines' own network namespaces. iperf3 (Debian's package) moves the gigabytes; it sends for as
many seconds as are asked for, so the figure is the time that a gigabyte took.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from bench.measure import Result, docker
from harness.engine import Engine
from harness.waiting import eventually

SECONDS = 1
ROUNDS = 8
TRIPS = 1000
ROUNDS_OF_TRIPS = 40
"""Short ones, so that some fall where nothing else runs."""
IPERF, ECHO = 5201, 5202
PUBLISHED = 10000
"""What is added to a port of a container for the host's."""

PORTS = 1000

_ECHO = """
import socket
listener = socket.create_server(("0.0.0.0", 5202))
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := connection.recv(64):
        connection.sendall(data)
"""
_ASK = """
import socket, sys, time
host, port, trips = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = socket.create_connection((host, port))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
begun = time.monotonic()
for _ in range(trips):
    connection.sendall(b"x")
    connection.recv(64)
print((time.monotonic() - begun) / trips)
"""
_PYTHON = (sys.executable, "-I", "-S", "-c")


class Pair(NamedTuple):
    """Two containers of one engine. ``client``: how to run in its namespace; ``host``: how to run in the engine's.

    ``address``: the server's, ``gateway``: the host's on their network.
    """

    client: list[str]
    host: list[str]
    address: str
    gateway: str


Take = Callable[[Pair], float]


def between_containers(engines: list[Engine]) -> Result:
    """Milliseconds that a gigabyte takes from one container to another; at most what Docker's takes."""
    return _best("GB between containers", "ms", engines, lambda pair: _gigabyte(pair.client, pair.address, IPERF))


def to_published(engines: list[Engine]) -> Result:
    """Milliseconds that a gigabyte takes from the host to a published port at the host's address."""
    take: Take = lambda pair: _gigabyte(pair.host, pair.gateway, IPERF + PUBLISHED)  # noqa: E731
    return _best("GB to a published port", "ms", engines, take)


def to_loopback(engines: list[Engine]) -> Result:
    """The same, to the port at 127.0.0.1, which Docker has a proxy for."""
    take: Take = lambda pair: _gigabyte(pair.host, "127.0.0.1", IPERF + PUBLISHED)  # noqa: E731
    return _best("GB to a port at 127.0.0.1", "ms", engines, take)


def trip_between_containers(engines: list[Engine]) -> Result:
    """Microseconds from a request to its answer, over one TCP connection."""
    take: Take = lambda pair: _trip(pair.client, pair.address, ECHO)  # noqa: E731
    return _best("round trip between containers", "µs", engines, take, ROUNDS_OF_TRIPS)


def trip_to_published(engines: list[Engine]) -> Result:
    """Microseconds from a request of the host to the answer of a published port."""
    take: Take = lambda pair: _trip(pair.host, pair.gateway, ECHO + PUBLISHED)  # noqa: E731
    return _best("round trip to a published port", "µs", engines, take, ROUNDS_OF_TRIPS)


def many_ports(engines: list[Engine]) -> Result:
    """Milliseconds of ``run -d`` with a thousand published ports; once, as Docker takes its time."""
    ours, peer = (_published(engine) for engine in engines)
    return Result(f"run -d with {PORTS} ports", ours, peer, "ms", 1, (ours, ours), 0.25, None)


def _best(name: str, unit: str, engines: list[Engine], take: Take, count: int = ROUNDS) -> Result:
    """In turns of a second or less; the best of each engine's, as what else the machine does can only cost."""
    if shutil.which("iperf3") is None:
        raise RuntimeError("iperf3 is missing: apt-get install iperf3")
    with ExitStack() as stack:
        pairs = [stack.enter_context(_pair(engine)) for engine in engines]
        rounds = [[take(pair) for pair in pairs] for _ in range(count)]
    ours, peer = ([taken[side] for taken in rounds] for side in (0, 1))
    return Result(name, min(ours), min(peer), unit, count, (min(ours), max(ours)), 1.0, None)


@contextmanager
def _pair(engine: Engine) -> Iterator[Pair]:
    """A server that sinks and echoes, and a client, on a network of their own."""
    docker(engine, "network", "create", "bench-traffic")
    try:
        ports = [word for port in (IPERF, ECHO) for word in ("-p", f"{port + PUBLISHED}:{port}")]
        for name, flags in (("server", ports), ("client", [])):
            docker(engine, "run", "-d", "--name", name, *flags, "--net", "bench-traffic", "busybox", "sleep", "86400")
        server, client = json.loads(engine.docker("inspect", "server", "client").out)
        place = server["NetworkSettings"]["Networks"]["bench-traffic"]
        enter = [["nsenter", "-t", str(each["State"]["Pid"]), "-n"] for each in (server, client)]
        with _serving(enter[0]):
            yield Pair(enter[1], engine.netns.command([]), place["IPAddress"], place["Gateway"])
    finally:
        docker(engine, "rm", "-f", "server", "client")
        docker(engine, "network", "rm", "bench-traffic")


@contextmanager
def _serving(enter: list[str]) -> Iterator[None]:
    programs = (["iperf3", "-s", "-p", str(IPERF)], [*_PYTHON, _ECHO])
    running = [subprocess.Popen([*enter, *argv], stdout=subprocess.DEVNULL) for argv in programs]
    try:
        for port in (IPERF, ECHO):
            eventually(lambda port=port: f":{port:04X} " in _sockets(enter))  # type: ignore[misc]
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _sockets(enter: list[str]) -> str:
    files = ["/proc/net/tcp", "/proc/net/tcp6"]
    return subprocess.run([*enter, "cat", *files], capture_output=True, text=True, check=True).stdout


def _gigabyte(enter: list[str], host: str, port: int) -> float:
    argv = [*enter, "iperf3", "-c", host, "-p", str(port), "-t", str(SECONDS), "-J"]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    received = json.loads(shown)["end"]["sum_received"]
    return float(received["seconds"] / received["bytes"] * 1e9 * 1000)


def _trip(enter: list[str], host: str, port: int) -> float:
    argv = [*enter, *_PYTHON, _ASK, host, str(port), str(TRIPS)]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout) * 1e6


def _published(engine: Engine) -> float:
    ports = ("-p", f"20000-{20000 + PORTS - 1}:20000-{20000 + PORTS - 1}")
    begun = time.perf_counter()
    docker(engine, "run", "-d", "--name", "many", *ports, "busybox", "sleep", "86400")
    taken = (time.perf_counter() - begun) * 1000
    docker(engine, "rm", "-f", "many")
    return taken
