"""A host in a network namespace of its own, an outside machine that it is wired to, and namespaces for containers."""

import asyncio
import contextlib
import os
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cove.kernel import sysctl
from cove.kernel.namespaces import enter, unshare
from cove.kernel.netlink import Route
from cove.kernel.rtnetlink import RouteSocket
from cove.network import (
    Allocation,
    EndpointRequest,
    Interface,
    NetworkRecord,
    Networks,
    NetworkSettings,
    PortRequest,
)
from cove.store import Database

T = TypeVar("T")

HOST = "10.99.0.1"
OUTSIDE = "10.99.0.2"


def in_thread(call: Callable[[], T]) -> T:
    """What ``call`` returns in a thread of its own, whose namespaces are its own business."""
    answers: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return answers[0]


def new_namespace() -> int:
    """A descriptor of a new network namespace, with its loopback up."""

    def make() -> int:
        unshare(["network"])
        with Route() as route:
            route.set_up("lo")
            route.commit()
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return in_thread(make)


def inside(namespace: int, call: Callable[[], T]) -> T:
    """What ``call`` returns in a network namespace; sockets that it makes stay there."""

    def run() -> T:
        enter(namespace, "network")
        return call()

    return in_thread(run)


def configure(namespace: int, interface: Interface) -> None:
    """The container's side of an attachment."""

    def run() -> None:
        with Route() as route:
            route.set_up(interface.name)
            for address in interface.addresses:
                route.add_address(interface.name, address)
            for gateway in filter(None, (interface.gateway4, interface.gateway6)):
                route.add_default_route(interface.name, gateway)
            route.commit()

    inside(namespace, run)


class Server:
    """Answers each TCP connection or UDP datagram with the address of whoever asked. In one namespace, until closed."""

    def __init__(self, namespace: int, port: int, protocol: str = "tcp", address: str = "0.0.0.0") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        self.socket = inside(namespace, lambda: socket.socket(family, kind))
        if family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind((address, port))
        self._stream = protocol == "tcp"
        if self._stream:
            self.socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                if self._stream:
                    connection, peer = self.socket.accept()
                    with connection:
                        connection.sendall(peer[0].encode())
                else:
                    _data, peer = self.socket.recvfrom(100)
                    if not peer:  # shut down
                        return
                    self.socket.sendto(peer[0].encode(), peer)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join()


def ask(namespace: int, address: str, port: int, protocol: str = "tcp", timeout: float = 2.0) -> str:
    """What a Server answers to a client in a namespace. Raises OSError (TimeoutError) when it is not reached."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with inside(namespace, lambda: socket.socket(family, kind)) as client:
        client.settimeout(timeout)
        client.connect((address, port))
        if protocol == "udp":
            client.send(b"who am I?")
        return client.recv(100).decode()


@dataclass
class World:
    """``host``, ``outside``: namespaces. The test's own thread is in ``host``, as a daemon would be."""

    host: int
    outside: int
    path: Path
    networks: Networks | None = None
    servers: list[Server] = field(default_factory=list)
    namespaces: list[int] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def daemon(self, **settings: Any) -> AsyncIterator[Networks]:
        """The networks of a daemon on this world's database, open; several in turn make restarts."""
        database = Database(self.path / "cove.db")
        networks = Networks(database, NetworkSettings(**settings))
        try:
            await networks.open()
            yield networks
        finally:
            await networks.close()
            database.close()

    def namespace(self) -> int:
        self.namespaces.append(new_namespace())
        return self.namespaces[-1]

    def inside(self, namespace: int, call: Callable[[], T]) -> T:
        return inside(namespace, call)

    async def network(self, networks: Networks, name: str, driver: str = "bridge", **wanted: Any) -> NetworkRecord:
        return await networks.create(NetworkRecord(secrets.token_hex(32), name, driver, **wanted))

    def configure(self, namespace: int, interface: Interface) -> None:
        configure(namespace, interface)

    def serve(self, namespace: int, port: int, protocol: str = "tcp", address: str = "0.0.0.0") -> None:
        self.servers.append(Server(namespace, port, protocol, address))

    async def run(
        self, networks: Networks, container_id: str, *ports: PortRequest, network: str = "bridge", **endpoint: Any
    ) -> tuple[int, Allocation]:
        """A container with its link up; its namespace and what it was given."""
        request = EndpointRequest(network=network, **endpoint)
        allocation = await networks.allocate(container_id, container_id, [request], ports)
        namespace = self.namespace()
        for held in allocation.endpoints:
            interface = await networks.attach(held, namespace)
            assert interface is not None
            configure(namespace, interface)
        return namespace, allocation

    async def ask(self, namespace: int, address: str, port: int, protocol: str = "tcp", timeout: float = 2.0) -> str:
        """As ``ask``, beside the event loop, which may have to carry the connection."""
        return await asyncio.to_thread(ask, namespace, address, port, protocol, timeout)

    def close(self) -> None:
        for server in self.servers:
            server.close()
        for namespace in self.namespaces:
            os.close(namespace)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The test runs in the host's namespace; ``outside`` reaches it by a veth pair and routes its containers to it."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    host, outside = new_namespace(), new_namespace()
    enter(host, "network")
    world = World(host, outside, tmp_path)
    try:
        _wire(outside)
        yield world
    finally:
        world.close()
        enter(own, "network")
        for descriptor in (own, host, outside):
            os.close(descriptor)


def _wire(outside: int) -> None:
    with RouteSocket() as links:
        links.create_bridge("uplink", "02:42:00:00:00:01", 1500)
        sysctl.write("net/ipv6/conf/uplink/accept_dad", "0")  # a host that has been up for a while
        bridge = links.links()["uplink"].index
        links.create_veth("wire", bridge, "eth0", "02:42:00:00:00:02", 1500, outside)
    with Route() as route:
        route.add_address("uplink", f"{HOST}/24")
        route.add_address("uplink", "fd99::1/64")
        route.commit()
    configure(outside, Interface("eth0", (f"{OUTSIDE}/24", "fd99::2/64"), HOST, "fd99::1"))


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, T]], T]:
    """Runs a coroutine in the test's own thread."""
    return asyncio.run
