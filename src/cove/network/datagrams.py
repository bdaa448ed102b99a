"""Datagrams to published UDP ports that the kernel cannot translate, carried by the daemon; as ``relay`` for TCP.

Each sender has a socket of its own towards the container, by which answers find back; it ends when it was silent.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from cove.network.records import PortRecord

_LARGEST = 1 << 16
_SILENCE_SECONDS = 90.0
"""After which a flow is forgotten: as the connection tracker does with one that was answered, or a little sooner."""

_MOST_FLOWS = 1024
_ANCILLARY_BYTES = 128
_AT_ONCE = 64
_IP_PKTINFO = 8  # linux/in.h; socket has no name for it


class DatagramRelay:
    """The flows of one published port. ``listener``: the bound, non-blocking socket that reserves it.

    ``turned_away``: as of the relay.
    """

    def __init__(self, listener: socket.socket, port: PortRecord, turned_away: Callable[[str, str], bool]) -> None:
        self._listener = listener
        self._port = port
        self._turned_away = turned_away
        self._flows: dict[Any, _Flow] = {}
        self._loop = asyncio.get_running_loop()
        if listener.family == socket.AF_INET6:  # answers have to come from the address that was asked
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._loop.add_reader(listener.fileno(), self._receive)

    def close(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        for flow in list(self._flows.values()):
            flow.close()

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):  # and then others get their turn
            try:
                data, ancillary, _flags, sender = self._listener.recvmsg(_LARGEST, _ANCILLARY_BYTES)
            except OSError:
                return
            if (flow := self._flows.get(sender)) is None and (flow := self._begin(sender, ancillary)) is None:
                continue
            flow.forward(data)

    def _begin(self, sender: Any, ancillary: list[tuple[int, int, bytes]]) -> "_Flow | None":
        if self._turned_away(sender[0], link_of(sender)):
            return None
        if len(self._flows) >= _MOST_FLOWS:
            next(iter(self._flows.values())).close()
        family = socket.AF_INET6 if ":" in self._port.target else socket.AF_INET
        target = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            target.connect((self._port.target, self._port.container_port))
        except OSError:
            target.close()
            return None
        source = [
            (level, kind, value) for level, kind, value in ancillary if kind in (_IP_PKTINFO, socket.IPV6_PKTINFO)
        ]

        def answer(data: bytes) -> None:
            with contextlib.suppress(OSError):
                self._listener.sendmsg([data], source, 0, sender)

        flow = _Flow(self._loop, target, answer, lambda: self._flows.pop(sender, None))
        self._flows[sender] = flow
        return flow


def link_of(sender: Any) -> str:
    """The link by which a link-local address sends (``socket`` gives its number as the scope); "" for others."""
    scope = sender[3] if len(sender) == 4 else 0
    return socket.if_indextoname(scope) if scope else ""


class _Flow:
    """One sender's socket towards the container."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        target: socket.socket,
        answer: Callable[[bytes], None],
        ended: Callable[[], object],
    ) -> None:
        self._loop = loop
        self._target = target
        self._answer = answer
        self._ended = ended
        self._last = loop.time()
        loop.add_reader(target.fileno(), self._receive)
        self._timer = loop.call_later(_SILENCE_SECONDS, self._look)

    def forward(self, data: bytes) -> None:
        self._last = self._loop.time()
        with contextlib.suppress(OSError):  # datagrams may be lost; that nobody listens may change
            self._target.send(data)

    def close(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._target.fileno())
        self._target.close()
        self._ended()

    def _receive(self) -> None:
        with contextlib.suppress(OSError):
            for _ in range(_AT_ONCE):
                data = self._target.recv(_LARGEST)
                self._last = self._loop.time()
                self._answer(data)

    def _look(self) -> None:
        rest = self._last + _SILENCE_SECONDS - self._loop.time()
        if rest <= 0:
            self.close()
        else:
            self._timer = self._loop.call_later(rest, self._look)
