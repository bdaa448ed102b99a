"""One container that is served: its sockets, what it is told, and what it waits for from elsewhere."""

import logging
import socket
import time
from collections.abc import Callable
from functools import partial

from cove.kernel.nftables import Nftables
from cove.resolver import egress, packets
from cove.resolver.answers import Answers
from cove.resolver.clients import Clients
from cove.resolver.forwarding import Lookup
from cove.resolver.learning import Learning
from cove.resolver.messages import Message, Sandbox, Seen
from cove.resolver.names import Names
from cove.resolver.packets import Malformed, Question
from cove.resolver.sandbox import Namespace, Sockets
from cove.resolver.servers import Health, HostServers, Server
from cove.runtime.loop import READ, Loop

log = logging.getLogger(__name__)

MAX_LOOKUPS = 256
"""Questions of one container that are under way elsewhere; further ones fail at once."""

_BURST = 64
"""Queries of one container that are answered before the others have their turn."""

_MAX_QUERY = 4096

_DENIALS, _DENIAL_SECONDS = 128, 30.0

Reply = Callable[[bytes], None]
Tell = Callable[[Message], bool]
"""Says whether anybody was there to hear it."""


class Around:
    """What all served containers share."""

    def __init__(self, loop: Loop, names: Names, host: HostServers, nftables: Nftables, tell: Tell) -> None:
        self.nftables = nftables
        self.tell = tell
        self.loop = loop
        self.names = names
        self.host = host
        self.health = Health()


class Served:
    """A container's 127.0.0.11, until ``close``. Raises OSError when the sockets cannot be made."""

    def __init__(self, around: Around, namespace: Namespace, sandbox: Sandbox) -> None:
        self._around = around
        self._namespace = namespace
        self._answers = Answers(around.names)
        self._lookups: dict[object, Lookup] = {}
        self._denied: dict[str, float] = {}
        self.learning = Learning(sandbox["container"], around.tell)
        self.change(sandbox)
        self._sockets = Sockets(namespace)
        self._clients = Clients(around.loop, self._sockets.streams, self._ask_by_stream)
        around.loop.watch(self._sockets.datagrams.fileno(), READ, self._serve_datagrams)

    def change(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._answers.endpoints = sandbox["endpoints"]

    def close(self) -> None:
        """Let go of the namespace; what is under way is dropped."""
        self._around.loop.forget(self._sockets.datagrams.fileno())
        self._clients.close()
        for lookup in list(self._lookups.values()):
            lookup.cancel()
        self._lookups.clear()
        self._sockets.close()

    # UDP

    def _serve_datagrams(self, _events: int) -> None:
        endpoint = self._sockets.datagrams
        prepared = self._answers.prepared
        for _ in range(_BURST):
            try:
                query, client = endpoint.recvfrom(_MAX_QUERY)
            except OSError:  # there is none, or an error of an earlier answer that nobody took
                return
            ready = prepared(query)
            if ready is not None:
                _send(endpoint, query[:2] + ready, client)
            else:
                self._answer_datagram(endpoint, query, client)

    def _answer_datagram(self, endpoint: socket.socket, query: bytes, client: tuple[str, int]) -> None:
        key = (client, query[:2])
        if key not in self._lookups:  # else it is asked again while it is under way
            reply = partial(_send_to, endpoint, client)
            self._answer(query, key, reply, stream=False)

    # TCP

    def _ask_by_stream(self, query: bytes, reply: Reply) -> None:
        self._answer(query, object(), reply, stream=True)

    # Both

    def _answer(self, query: bytes, key: object, reply: Reply, *, stream: bool) -> None:
        if not packets.is_query(query):
            return
        try:
            asked = packets.question(query)
        except Malformed:
            reply(packets.refusal(query, None, packets.FORMERR))
            return
        if packets.operation(query):
            reply(packets.refusal(query, asked, packets.NOTIMP))
        elif asked.version:
            reply(packets.refusal(query, asked, packets.BADVERS))
        else:
            self._resolve(query, asked, key, reply, stream=stream)

    def _resolve(self, query: bytes, asked: Question, key: object, reply: Reply, *, stream: bool) -> None:
        answer = self._answers.stream(query, asked) if stream else self._answers.datagram(query, asked)
        if answer is not None:
            reply(answer)
        elif self.sandbox["ndots"] and "." not in asked.name and asked.kind in (packets.A, packets.AAAA):
            reply(packets.answer(query, asked, [], 0))
        else:
            self._forward(query, asked, key, reply, stream=stream)

    def _forward(self, query: bytes, asked: Question, key: object, reply: Reply, *, stream: bool) -> None:
        if (policy := self.sandbox.get("egress")) is not None and not egress.may_ask(policy, asked.name):
            self._tell_of_denial(asked.name)
            reply(packets.refusal(query, asked, packets.NXDOMAIN, packets.PROHIBITED))
            return
        servers = self._servers()
        if not servers:
            reply(packets.refusal(query, asked, packets.NXDOMAIN, packets.PROHIBITED))
            return
        if len(self._lookups) >= MAX_LOOKUPS:
            reply(packets.refusal(query, asked, packets.SERVFAIL))
            return
        around = self._around
        finished = partial(self._finished, query, asked, key, reply)
        lookup = Lookup(around.loop, around.health, query, asked, self._namespace.inside, finished)
        self._lookups[key] = lookup
        lookup.begin(servers, stream=stream)

    def _servers(self) -> list[Server]:
        """Whom to ask: its own, from where it is, else the host's, unless it is to reach nothing outside."""
        given = self.sandbox["servers"]
        if given:
            return [Server(address, inside="egress" not in self.sandbox) for address in given]
        return (
            [Server(address, inside=False) for address in self._around.host.addresses]
            if self.sandbox["external"]
            else []
        )

    def _tell_of_denial(self, name: str) -> None:
        """Once in a while for each name, and of not too many."""
        now = time.monotonic()
        if len(self._denied) >= _DENIALS:
            self._denied = {known: until for known, until in self._denied.items() if until > now}
        if self._denied.get(name, 0.0) <= now and len(self._denied) < _DENIALS:
            self._denied[name] = now + _DENIAL_SECONDS
            self._around.tell(Seen(self.sandbox["container"], name, [], denied=True))

    def _finished(self, query: bytes, asked: Question, key: object, reply: Reply, response: bytes | None) -> None:
        self._lookups.pop(key, None)
        if response is not None and (policy := self.sandbox.get("egress")) is not None:
            try:
                if policy["learns"]:
                    self.learning.note(asked.name, egress.addresses(response))
                else:
                    egress.admit(self._around.nftables, policy, response, egress.ports(policy, asked.name) or [])
            except (OSError, Malformed) as error:
                log.warning("egress of %s: %s: %s", self.sandbox["container"][:12], asked.name, error)
                response = None
        reply(response if response is not None else packets.refusal(query, asked, packets.SERVFAIL))


def _send(endpoint: socket.socket, message: bytes, client: tuple[str, int]) -> None:
    try:
        endpoint.sendto(message, client)
    except OSError as error:  # the client asks again, or has gone
        log.debug("answer to %s: %s", client, error)


def _send_to(endpoint: socket.socket, client: tuple[str, int], message: bytes) -> None:
    _send(endpoint, message, client)
