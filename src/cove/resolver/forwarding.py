"""Questions that are not ours, carried to a server and back, without ever waiting for it.

A server that is silent for a second is joined by the next one, not replaced: the first good answer wins, whoever it is
from. Each attempt has a socket, and so a port, and a number of its own: an answer has to know both.
"""

import logging
import os
import socket
import struct
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial

from cove.resolver import packets
from cove.resolver.packets import Question
from cove.resolver.servers import Health, Server
from cove.resolver.upstream_address import socket_address
from cove.runtime.loop import READ, WRITE, Deadline, Loop

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds until a further server is asked."""

DEADLINE = 4.5
"""Seconds until there is no answer: just less than the 5 that a client waits."""

_FEWEST_ATTEMPTS, _MOST_ATTEMPTS = 3, 6
_LENGTH = struct.Struct("!H")
_GOOD = (packets.NOERROR, packets.NXDOMAIN)
_MAX_MESSAGE = 65535

Inside = Callable[[], AbstractContextManager[None]]
"""Makes what happens in it happen in a container's network namespace."""


class Lookup:
    """One question on its way. ``finished`` is given the response, or None when there was none; it is called once."""

    def __init__(
        self,
        loop: Loop,
        health: Health,
        query: bytes,
        asked: Question,
        inside: Inside,
        finished: Callable[[bytes | None], None],
    ) -> None:
        self._loop = loop
        self._health = health
        self._query = query
        self._asked = asked
        self._inside = inside
        self._finished = finished
        self._plan: list[Server] = []
        self._stream = False
        self._sockets: dict[int, tuple[socket.socket, Server, bytes]] = {}
        self._received: dict[int, bytes] = {}
        self._second_best: bytes | None = None
        self._timer: Deadline | None = None
        self._ends = 0.0
        self._over = False

    def begin(self, servers: list[Server], *, stream: bool) -> None:
        """Ask these, the ones first that have answered lately. ``stream``: over TCP."""
        ordered = self._health.ordered(servers)
        rounds = -(-_FEWEST_ATTEMPTS // len(ordered)) if ordered else 0
        self._plan = (ordered * max(rounds, 1))[:_MOST_ATTEMPTS]
        self._stream = stream
        self._ends = time.monotonic() + DEADLINE
        self._next()

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._over = True
        self._release()

    def _next(self) -> None:
        """Ask the next server of the plan; one that cannot be reached at all costs no time."""
        while self._plan and not self._over:
            server = self._plan.pop(0)
            try:
                self._ask(server)
            except OSError as error:
                log.debug("server %s: %s", server.address, error)
                self._health.silent(server)
                continue
            break
        else:
            if not self._sockets:
                self._finish(self._second_best)
                return
        self._schedule()

    def _schedule(self) -> None:
        if self._over:
            return
        left = max(self._ends - time.monotonic(), 0.0)
        if self._timer is not None:
            self._timer.cancel()
        if self._plan:
            self._timer = self._loop.later(min(PATIENCE, left), self._impatient)
        else:
            self._timer = self._loop.later(left, self._give_up)

    def _impatient(self) -> None:
        for _connection, server, _number in self._sockets.values():
            self._health.silent(server)
        if time.monotonic() >= self._ends:
            self._give_up()
        else:
            self._next()

    def _give_up(self) -> None:
        for _connection, server, _number in self._sockets.values():
            self._health.silent(server)
        self._finish(self._second_best)

    def _ask(self, server: Server) -> None:
        family, address = socket_address(server.address, server.port)
        kind = socket.SOCK_STREAM if self._stream else socket.SOCK_DGRAM
        with self._inside() if server.inside else nullcontext():
            connection = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        number = os.urandom(2)
        try:
            with suppress(BlockingIOError):
                connection.connect(address)
            if not self._stream:
                connection.send(number + self._query[2:])
        except OSError:
            connection.close()
            raise
        descriptor = connection.fileno()
        self._sockets[descriptor] = (connection, server, number)
        if self._stream:
            self._loop.watch(descriptor, WRITE, partial(self._connected, descriptor))
        else:
            self._loop.watch(descriptor, READ, partial(self._datagram, descriptor))

    def _datagram(self, descriptor: int, _events: int) -> None:
        if (held := self._sockets.get(descriptor)) is None:
            return
        try:
            response = held[0].recv(_MAX_MESSAGE)
        except BlockingIOError:
            return
        except OSError:  # nobody listens there
            self._drop(descriptor)
            return
        self._judge(descriptor, response)

    def _connected(self, descriptor: int, _events: int) -> None:
        if (held := self._sockets.get(descriptor)) is None:
            return
        connection, _server, number = held
        message = number + self._query[2:]
        try:
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise ConnectionError
            connection.send(_LENGTH.pack(len(message)) + message)  # fits in an empty buffer
        except OSError:
            self._drop(descriptor)
            return
        self._received[descriptor] = b""
        self._loop.forget(descriptor)
        self._loop.watch(descriptor, READ, partial(self._streamed, descriptor))

    def _streamed(self, descriptor: int, _events: int) -> None:
        if (held := self._sockets.get(descriptor)) is None:
            return
        try:
            data = held[0].recv(_MAX_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(descriptor)
            return
        received = self._received[descriptor] = self._received[descriptor] + data
        if len(received) >= 2 and len(received) - 2 >= (length := _LENGTH.unpack_from(received)[0]):
            self._judge(descriptor, received[2 : 2 + length])

    def _judge(self, descriptor: int, response: bytes) -> None:
        """Take a response, keep it in case that no better one comes, or ignore what is none."""
        _connection, server, number = self._sockets[descriptor]
        if response[:2] != number or not packets.same_question(self._query, response, self._asked.end):
            if self._stream:
                self._drop(descriptor)
            return
        self._health.answered(server)
        response = self._query[:2] + response[2:]
        if packets.response_code(response) in _GOOD:
            self._finish(response)
            return
        self._second_best = response
        self._plan = [planned for planned in self._plan if planned != server]
        self._drop(descriptor)

    def _drop(self, descriptor: int) -> None:
        """An attempt has failed: on to the next, at once."""
        self._close(descriptor)
        if not self._over:
            self._next()

    def _close(self, descriptor: int) -> None:
        connection, _server, _number = self._sockets.pop(descriptor)
        self._received.pop(descriptor, None)
        self._loop.forget(descriptor)
        connection.close()

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for descriptor in list(self._sockets):
            self._close(descriptor)

    def _finish(self, response: bytes | None) -> None:
        if not self._over:
            self._over = True
            self._release()
            self._finished(response)
