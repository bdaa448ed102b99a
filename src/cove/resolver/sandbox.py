"""127.0.0.11 in one network namespace: the sockets, and the rules that lead port 53 to them.

A program in the container may want port 53 of all addresses for itself; so the sockets have ports that the kernel
chose, and a table in the namespace rewrites the numbers of what goes to 127.0.0.11:53 and comes back. Only numbers
change, both ways alike, so nothing has to be remembered: a connection tracker would have an entry for each query.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from cove.kernel import namespaces
from cove.kernel.netlink import Route
from cove.kernel.nftables import Nftables

ADDRESS = "127.0.0.11"
TABLE = "cove_resolver"
_BACKLOG = 64
_RECEIVE_BUFFER = 1 << 20

_RULES = """
create table ip {table}
add chain ip {table} output {{ type filter hook output priority raw; policy accept; }}
add rule ip {table} output ip daddr {address} udp dport 53 notrack udp dport set {datagrams} accept
add rule ip {table} output ip daddr {address} tcp dport 53 notrack tcp dport set {streams} accept
add rule ip {table} output ip saddr {address} udp sport {datagrams} notrack udp sport set 53 accept
add rule ip {table} output ip saddr {address} tcp sport {streams} notrack tcp sport set 53 accept
"""


class Namespace:
    """A container's network namespace. The process must have one thread: it goes there and comes back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.inode = os.fstat(descriptor).st_ino

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What happens here happens in the namespace. Raises OSError."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            namespaces.enter(self._descriptor, "network")
            try:
                yield
            finally:
                namespaces.enter(home, "network")
        finally:
            os.close(home)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Sockets:
    """What listens in a namespace. Raises OSError when it cannot be made; then there is nothing."""

    def __init__(self, namespace: Namespace) -> None:
        with namespace.inside():
            _have_loopback()
            self.datagrams = _bound(socket.SOCK_DGRAM)
            try:
                self.streams = _bound(socket.SOCK_STREAM)
            except BaseException:
                self.datagrams.close()
                raise
            try:
                self.streams.listen(_BACKLOG)
                _lead(self.datagrams, self.streams)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        self.datagrams.close()
        self.streams.close()


def _have_loopback() -> None:
    """Not wait for the container's init to do it: before, nothing can be bound to an address of it."""
    with Route() as route:
        route.set_up("lo")
        route.commit()


def _bound(kind: socket.SocketKind) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        made.bind((ADDRESS, 0))
    except BaseException:
        made.close()
        raise
    return made


def _lead(datagrams: socket.socket, streams: socket.socket) -> None:
    rules = _RULES.format(
        table=TABLE, address=ADDRESS, datagrams=datagrams.getsockname()[1], streams=streams.getsockname()[1]
    )
    with Nftables() as nftables:
        try:
            nftables.run(rules)
        except FileExistsError:  # of a resolver before this; after a deletion the kernel takes 10 ms to let go
            nftables.run(f"delete table ip {TABLE}\n{rules}")
