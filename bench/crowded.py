"""A container on a bridge that a thousand others are on: what a start takes there, beside the first one's.

There is no other engine in these rows: it is ours against itself. What the kernel takes for one more port of a bridge
grows with those that it has, 1,023 at most; the whole start is to be at most 1.2 times the first one. In the row of the
network's part the others are all that the daemon knows of a thousand endpoints, in that of the whole start ports of the
bridge alone, as a thousand programs would say more about memory.
"""

import asyncio
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from bench.measure import Result, spread
from cove.kernel import sysctl
from cove.kernel.namespaces import unshare
from cove.network import EndpointRequest, Networks, NetworkSettings
from cove.store import Database
from harness.engine import Engine
from harness.netns import NetworkNamespace

OTHERS = 1000
ROUNDS = 25
NAME = f"a network's part of a start, {OTHERS} others"


STARTS = f"start with {OTHERS} others on the bridge"
PROMISES = f"start beside {OTHERS} that asked for addresses, processor time"


def starts(engines: list[Engine]) -> Result:
    """The request that starts a container. ``ours``: with the others there; ``peer``: without them. Milliseconds."""
    engine = engines[0]
    _start_over_http(engine)
    first = [_start_over_http(engine) for _ in range(ROUNDS)]
    others = NetworkNamespace(f"{engine.name}-others")
    try:
        others.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"])  # as a start does
        pair = f"link add other{{0}} type veth peer name eth{{0}} netns {others.name}\n"
        pair += "link set other{0} addrgenmode none\nlink set other{0} master cove0 up"
        for namespace, command in ((engine.netns, pair), (others, "link set eth{0} up")):
            commands = "\n".join(command.format(number) for number in range(OTHERS))
            namespace.run(["ip", "-batch", "-"], input=commands, timeout=300)
        last = [_start_over_http(engine) for _ in range(ROUNDS)]
    finally:
        others.delete()
    return Result(STARTS, statistics.median(last), statistics.median(first), "ms", ROUNDS, spread(last), 1.2, None)


def promises(engines: list[Engine]) -> Result:
    """The daemon's processor time for a start on a network. ``ours``: beside containers that do not run and have asked
    for the network's first addresses; ``peer``: without them. Milliseconds.
    """
    engine = engines[0]
    subnet = {"Config": [{"Subnet": "10.250.0.0/16", "Gateway": "10.250.0.1"}]}
    assert engine.http("POST", "/networks/create", {"Name": "promises", "IPAM": subnet}).status == 201
    network = {"HostConfig": {"NetworkMode": "promises"}}
    used = partial(_start_one, engine, network, lambda: _processor_time(engine.pid))
    used()
    first = [used() for _ in range(ROUNDS)]
    for number in range(OTHERS):
        address = str(IPv4Address("10.250.0.2") + number)
        endpoint = {"promises": {"IPAMConfig": {"IPv4Address": address}}}
        wish = {"Image": "busybox", **network, "NetworkingConfig": {"EndpointsConfig": endpoint}}
        assert engine.http("POST", f"/containers/create?name=asked{number}", wish).status == 201
    last = [used() for _ in range(ROUNDS)]
    for number in range(OTHERS):
        assert engine.http("DELETE", f"/containers/asked{number}").status == 204
    assert engine.http("DELETE", "/networks/promises").status == 204
    return Result(PROMISES, statistics.median(last), statistics.median(first), "ms", ROUNDS, spread(last), 1.1, None)


def _processor_time(pid: int) -> float:
    """Milliseconds that the threads of a process have run (the first field of schedstat is in nanoseconds)."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def _start_over_http(engine: Engine) -> float:
    return _start_one(engine, {}, lambda: time.perf_counter() * 1000)


def _start_one(engine: Engine, wish: dict[str, Any], clock: Callable[[], float]) -> float:
    """How far ``clock`` goes on while a container starts, which is then removed."""
    body = {"Image": "busybox", "Cmd": ["sleep", "600"], **wish}
    assert engine.http("POST", "/containers/create?name=one", body).status == 201
    began = clock()
    assert engine.http("POST", "/containers/one/start").status == 204
    taken = clock() - began
    assert engine.http("DELETE", "/containers/one?force=1").status == 204
    return taken


def crowded(_engines: list[Engine]) -> Result:
    """``ours``: with the others there; ``peer``: without them. Milliseconds. The engines have no part in it."""
    results: list[Result] = []
    thread = threading.Thread(target=lambda: results.append(_alone()))  # whose network namespace is its own
    thread.start()
    thread.join()
    return results[0]


def _alone() -> Result:
    theirs, mine = _container(), _container()
    unshare(["network"])
    with tempfile.TemporaryDirectory() as directory:
        database = Database(Path(directory) / "cove.db")
        try:
            return asyncio.run(_measure(database, theirs, mine))
        finally:
            database.close()
            os.close(theirs)
            os.close(mine)


def _container() -> int:
    """A namespace for containers' links, which keeps them from IPv6 as a start does."""
    unshare(["network"])
    sysctl.write("net/ipv6/conf/default/disable_ipv6", "1")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


async def _measure(database: Database, theirs: int, mine: int) -> Result:
    networks = Networks(database, NetworkSettings())
    await networks.open()
    try:
        await _timed(networks, mine)
        first = [await _timed(networks, mine) for _ in range(ROUNDS)]
        for number in range(OTHERS):
            await _start(networks, f"other{number}", theirs)
        last = [await _timed(networks, mine) for _ in range(ROUNDS)]
    finally:
        await networks.close()
    ours, peer = statistics.median(last), statistics.median(first)
    return Result(NAME, ours, peer, "ms", ROUNDS, spread(last), None, None)


async def _timed(networks: Networks, namespace: int) -> float:
    began = time.perf_counter()
    await _start(networks, "one", namespace)
    taken = (time.perf_counter() - began) * 1000
    await networks.release("one", links=True)
    return taken


async def _start(networks: Networks, name: str, namespace: int) -> None:
    """Address, row and link."""
    request = EndpointRequest(network="bridge", options={"com.docker.network.endpoint.ifname": name})
    allocation = await networks.allocate(name, name, [request])
    await networks.attach(allocation.endpoints[0], namespace)
