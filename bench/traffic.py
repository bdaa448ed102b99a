"""Traffic: what a gigabyte and what a round trip take, between containers and from the host to a published port.

All addresses are of the engines' own network namespaces. iperf3 (Debian's package) moves the gigabytes; it sends for as
many seconds as are asked for, so the figure is the time that a gigabyte took.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.measure import Result, docker
from harness.engine import Engine
from harness.waiting import eventually

SECONDS = 2
TRIPS = 20000
ROUNDS = 5
PORT = 5201
PUBLISHED = 15201
PORTS = 1000

_ECHO = """
import socket
listener = socket.create_server(("0.0.0.0", 5201))
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


def between_containers(engines: list[Engine]) -> Result:
    """Milliseconds that a gigabyte takes from one container to another; at most what Docker's takes."""
    return _best("GB between containers", "ms", engines, lambda engine: _gigabyte(engine, inside=True))


def to_published(engines: list[Engine]) -> Result:
    """Milliseconds that a gigabyte takes from the host to a published port at the host's address."""
    return _best("GB to a published port", "ms", engines, lambda engine: _gigabyte(engine, inside=False))


def to_loopback(engines: list[Engine]) -> Result:
    """The same, to the port at 127.0.0.1, which Docker has a proxy for."""
    return _best("GB to a port at 127.0.0.1", "ms", engines, lambda engine: _gigabyte(engine, False, "127.0.0.1"))


def trip_between_containers(engines: list[Engine]) -> Result:
    """Microseconds from a request to its answer, over one TCP connection."""
    return _best("round trip between containers", "µs", engines, lambda engine: _trip(engine, inside=True))


def trip_to_published(engines: list[Engine]) -> Result:
    return _best("round trip to a published port", "µs", engines, lambda engine: _trip(engine, inside=False))


def many_ports(engines: list[Engine]) -> Result:
    """Milliseconds of ``run -d`` with a thousand published ports; once for Docker, which takes its time."""
    ours, peer = (_published(engine) for engine in engines)
    return Result(f"run -d with {PORTS} ports", ours, peer, "ms", 1, (ours, ours), 0.25, None)


def _best(name: str, unit: str, engines: list[Engine], take: Any) -> Result:
    """In turns; the best of the rounds of each, as what else the machine does can only cost."""
    taken: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for engine, found in zip(engines, taken, strict=True):
            found.append(take(engine))
    ours, peer = map(min, taken)
    return Result(name, ours, peer, unit, ROUNDS, (ours, max(taken[0])), 1.0, None)


@contextmanager
def _pair(engine: Engine) -> Iterator[tuple[list[str], list[str], str, str]]:
    """How to run in a server's and a client's namespace, the server's address and the bridge's."""
    docker(engine, "network", "create", "bench-traffic")
    try:
        sleeping = ("busybox", "sleep", "86400")
        flags = ("--network", "bench-traffic")
        docker(engine, "run", "-d", "--name", "server", "-p", f"{PUBLISHED}:{PORT}", *flags, *sleeping)
        docker(engine, "run", "-d", "--name", "client", *flags, *sleeping)
        server, client = json.loads(engine.docker("inspect", "server", "client").out)
        place = server["NetworkSettings"]["Networks"]["bench-traffic"]
        enter = [["nsenter", "-t", str(each["State"]["Pid"]), "-n"] for each in (server, client)]
        yield enter[0], enter[1], place["IPAddress"], place["Gateway"]
    finally:
        docker(engine, "rm", "-f", "server", "client")
        docker(engine, "network", "rm", "bench-traffic")


def _gigabyte(engine: Engine, inside: bool, host: str = "") -> float:
    if shutil.which("iperf3") is None:
        raise RuntimeError("iperf3 is missing: apt-get install iperf3")
    with _pair(engine) as (server, client, address, gateway):
        serving = subprocess.Popen([*server, "iperf3", "-s", "-1", "-p", str(PORT)], stdout=subprocess.DEVNULL)
        try:
            eventually(lambda: f":{PORT:04X} " in _sockets(server))
            target = ["-c", address, "-p", str(PORT)] if inside else ["-c", host or gateway, "-p", str(PUBLISHED)]
            argv = ["iperf3", *target, "-t", str(SECONDS), "-J"]
            argv = [*client, *argv] if inside else engine.netns.command(argv)
            shown = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
        finally:
            serving.terminate()
            serving.wait()
    received = json.loads(shown)["end"]["sum_received"]
    return float(received["seconds"] / received["bytes"] * 1e9 * 1000)


def _sockets(enter: list[str]) -> str:
    files = ["/proc/net/tcp", "/proc/net/tcp6"]
    return subprocess.run([*enter, "cat", *files], capture_output=True, text=True, check=True).stdout


def _trip(engine: Engine, inside: bool) -> float:
    python = [sys.executable, "-I", "-S", "-c"]
    with _pair(engine) as (server, client, address, gateway):
        serving = subprocess.Popen([*server, *python, _ECHO], stdout=subprocess.PIPE, text=True)
        try:
            assert serving.stdout is not None and serving.stdout.readline() == "ready\n"
            target = [address, str(PORT)] if inside else [gateway, str(PUBLISHED)]
            argv = [*python, _ASK, *target, str(TRIPS)]
            argv = [*client, *argv] if inside else engine.netns.command(argv)
            shown = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
        finally:
            serving.terminate()
            serving.wait()
    return float(shown) * 1e6


def _published(engine: Engine) -> float:
    ports = ("-p", f"20000-{20000 + PORTS - 1}:20000-{20000 + PORTS - 1}")
    begun = time.perf_counter()
    docker(engine, "run", "-d", "--name", "many", *ports, "busybox", "sleep", "86400")
    taken = (time.perf_counter() - begun) * 1000
    docker(engine, "rm", "-f", "many")
    return taken
