"""Connections to published ports that the kernel cannot translate, carried by the daemon.

The kernel translates addresses within one family, and not to or from ::1. What is left (IPv6 to a container that has
only IPv4, ::1, and ports that the host's own rules for what comes in are to judge) arrives at the sockets that reserve
the ports. It stops while the daemon is down; all else goes on.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from cove.network.datagrams import DatagramRelay, link_of
from cove.network.records import PortRecord

log = logging.getLogger(__name__)

_CHUNK = 1 << 16
_CONNECT_SECONDS = 10.0


class Relay:
    """The connections carried for published ports. Used from one event loop.

    ``turned_away``: senders that nothing is carried for, by their addresses and the links of those that are link-local:
    the firewall knows of what is forwarded, and what is carried is not.
    """

    def __init__(self, turned_away: Callable[[str, str], bool]) -> None:
        self._turned_away = turned_away
        self._listeners: dict[int, socket.socket] = {}
        self._datagrams: dict[int, DatagramRelay] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, listener: socket.socket, port: PortRecord) -> None:
        """Carry what arrives at a bound (TCP: listening) non-blocking socket to the port's target, until ``stop``."""
        if port.protocol == "udp":
            self._datagrams[listener.fileno()] = DatagramRelay(listener, port, self._turned_away)
            return
        self._listeners[listener.fileno()] = listener
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener, port)

    def stop(self, listener: socket.socket) -> None:
        """Take no more connections; to be called before the socket is closed."""
        if (datagrams := self._datagrams.pop(listener.fileno(), None)) is not None:
            datagrams.close()
        if self._listeners.pop(listener.fileno(), None) is not None:
            asyncio.get_running_loop().remove_reader(listener.fileno())

    async def close(self) -> None:
        """Take no more connections and end those that are carried."""
        for listener in list(self._listeners.values()):
            self.stop(listener)
        for datagrams in self._datagrams.values():
            datagrams.close()
        self._datagrams.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, listener: socket.socket, port: PortRecord) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, sender = listener.accept()
            if self._turned_away(sender[0], link_of(sender)):
                connection.close()
                return
            task = asyncio.get_running_loop().create_task(self._carry(connection, port))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, connection: socket.socket, port: PortRecord) -> None:
        with connection:
            connection.setblocking(False)
            target = socket.socket(socket.AF_INET6 if ":" in port.target else socket.AF_INET, socket.SOCK_STREAM)
            with target:
                target.setblocking(False)
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(_CONNECT_SECONDS):
                        await asyncio.get_running_loop().sock_connect(target, (port.target, port.container_port))
                    await asyncio.gather(_copy(connection, target), _copy(target, connection))


async def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the end of ``source``, and pass the end on, so that a half-closed connection works."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, _CHUNK):
        await loop.sock_sendall(sink, data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
