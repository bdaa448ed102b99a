"""Queries per second: local names, from inside a container's network namespace, one client with many in flight."""

import json
import subprocess
import sys

from bench.measure import Result, docker
from harness.engine import Engine

_CLIENT = """
import socket, time
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.connect(("127.0.0.11", 53))
asking.settimeout(1)
query = b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\x06target\\0\\0\\1\\0\\1"
count, window = 20000, 32
for _ in range(window):
    asking.send(query)
begun = time.monotonic()
for _ in range(count):
    try:
        asking.recv(512)
    except TimeoutError:
        asking.send(query)
    asking.send(query)
print(count / (time.monotonic() - begun))
"""


def per_query(engines: list[Engine]) -> Result:
    """Microseconds for each question, of the best of three; 100 is 10,000 in a second."""
    ours, peer = (1e6 / max(queries_per_second(engine) for _ in range(3)) for engine in engines)
    return Result("query of a local name", ours, peer, "µs", 3, (ours, ours), None, 100.0)


def queries_per_second(engine: Engine) -> float:
    """How many questions for a container's name are answered in a second. Client and engine share the machine."""
    docker(engine, "network", "create", "bench-names")
    docker(engine, "run", "-d", "--name", "target", "--network", "bench-names", "busybox", "sleep", "600")
    try:
        pid = json.loads(engine.docker("inspect", "target").out)[0]["State"]["Pid"]
        argv = ["nsenter", "-t", str(pid), "-n", sys.executable, "-I", "-S", "-c", _CLIENT]
        return float(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120).stdout)
    finally:
        docker(engine, "rm", "-f", "target")
        docker(engine, "network", "rm", "bench-names")
