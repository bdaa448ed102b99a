"""Egress policies: where a container may go, as sets of one table that is there only while somebody has a policy.

It is a table beside the daemon's other one, because that one is replaced whenever the daemon is unsure of it, and these
sets are also filled by the resolver, while no daemon is there. A container is known by its addresses; a table of the
bridges drops every frame from its link that has another sender. What is not allowed is dropped: the sets only add.
What stays on the container's own bridge is no egress. Destinations are those after translation: a published port
of this host is the address and port of its container.

A container that learns has a chain and sets of its own, in which the kernel notes where its packets go. What they say
is read when it is asked for, and for the last time before they are removed (``on_reached``). What is dropped is told
of by ``log``, which the kernel limits for each container and destination; ``refusals`` says whose packets they were.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from cove.kernel.nftables import Nftables
from cove.kernel.packet_log import PacketLog
from cove.network.egress_policy import EgressPolicy
from cove.network.egress_rules import learning, log_group, rules, unlearning
from cove.network.reached import Reached, protocol, reached
from cove.network.records import EndpointRecord

T = TypeVar("T")

log = logging.getLogger(__name__)

_STATIC = ("policed4", "policed6", "nets4", "nets6", "ports4", "ports6", "within")
_STATIC_MAPS = ("learning4", "learning6")
_BRIDGE_STATIC = ("links", "senders4", "senders6")
_NAMED = ("names4", "names6", "name_ports4", "name_ports6")
OTHERS_SETS = _NAMED
"""Sets that the resolver fills, and takes elements from."""

_SEEN = ("seen4", "seen6", "other4", "other6")

Places = Sequence[tuple[EndpointRecord, str]]
"""A container's endpoints with their bridges."""


@dataclass
class _Held:
    """(set, element) of each element of the two tables that a container has there."""

    learns: bool = False
    inet: list[tuple[str, str]] = field(default_factory=list)
    bridge: list[tuple[str, str]] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)


class Egress:
    """The policies of running containers, in the kernel.

    ``on_reached``: is told where a container has been that learned, before the kernel forgets it.
    ``on_refused``: a packet of a container was dropped.
    """

    def __init__(self, table: str) -> None:
        self.table = f"{table}_egress"
        self.on_reached: Callable[[str, list[Reached]], None] = lambda container, places: None
        self.on_refused: Callable[[str, Reached], None] = lambda container, place: None
        self._thread = ThreadPoolExecutor(1, "egress")
        self._held: dict[str, _Held] = {}
        self._nftables: Nftables | None = None
        self._refused: PacketLog | None = None

    async def open(self, policies: Iterable[tuple[str, EgressPolicy, Places]]) -> None:
        """Go on with what an earlier daemon left: container, policy, and endpoints with their bridges.

        What the resolver and the kernel have filled in stays. Without any policy the table goes.
        """
        given = {container: _elements(container, policy, places) for container, policy, places in policies}
        left = await self._run_in_thread(self._left)
        for container in [short for short in left if not any(_short(known) == short for known in given)]:
            self.on_reached(container, await self.reached(container))
        if not given:
            await self._run(f"{_removal('inet', self.table)}\n{_removal('bridge', self.table)}")
            return
        self._held = given
        flushed = [f"flush set inet {self.table} {name}" for name in _STATIC]
        flushed += [f"flush map inet {self.table} {name}" for name in _STATIC_MAPS]
        flushed += [f"flush set bridge {self.table} {name}" for name in _BRIDGE_STATIC]
        for container in left:
            flushed += unlearning(self.table, container) if not self._learns(container) else []
        await self._run("\n".join([rules(self.table), *flushed, *self._everything()]))
        self._listen()

    async def apply(self, container: str, policy: EgressPolicy | None, places: Places) -> None:
        """Hold a container to a policy, in place of what it had; one transaction. Raises OSError."""
        before = self._held.pop(container, _Held())
        after = _elements(container, policy, places) if policy is not None else _Held()
        if before.learns and not after.learns:
            self.on_reached(container, await self.reached(container))
        if before.sources:
            await self._run_in_thread(self._forget, before.sources)
        commands = self._commands("delete", before)
        if before.learns and not after.learns:
            commands += unlearning(self.table, container)
        if policy is not None:
            self._held[container] = after
            commands += [learning(self.table, container)] if after.learns and not before.learns else []
            commands += self._commands("add", after)
        try:
            await self._change(commands)
        except BaseException:  # the transaction did nothing
            self._held.pop(container, None)
            if before.inet:
                self._held[container] = before
            raise

    async def _change(self, commands: list[str]) -> None:
        if not self._held:
            await self._run(f"{_removal('inet', self.table)}\n{_removal('bridge', self.table)}")
        elif commands:
            there = await self._there()  # else it is the first, or somebody has removed the table
            await self._run("\n".join(commands if there else [rules(self.table), *self._everything()]))
        self._listen()

    def _everything(self) -> list[str]:
        """What fills empty tables."""
        chains = [learning(self.table, container) for container, held in self._held.items() if held.learns]
        return chains + [line for held in self._held.values() for line in self._commands("add", held)]

    async def repair(self) -> None:
        """Put back what somebody has removed; what the resolver had opened is opened again when a name is asked for."""
        if self._held:
            await self._run("\n".join([rules(self.table), *self._everything()]))

    def holds(self, container: str) -> bool:
        return container in self._held

    async def reached(self, container: str) -> list[Reached]:
        """Where a container has been since it began to learn, and runs; the kernel keeps so many places and no more."""
        return await self._run_in_thread(self._read, _short(container))

    def close(self) -> None:
        self._end_listening()
        self._thread.shutdown()
        if self._nftables is not None:
            self._nftables.close()

    def _learns(self, short: str) -> bool:
        return any(held.learns and _short(known) == short for known, held in self._held.items())

    def _commands(self, verb: str, changed: _Held) -> list[str]:
        kept = {pair for held in self._held.values() for pair in held.inet} if verb == "delete" else set()
        lines = [
            f"{verb} element inet {self.table} {name} {{ {element} }}"
            for name, element in changed.inet
            if (name, element) not in kept
        ]
        return lines + [
            f"{verb} element bridge {self.table} {name} {{ {element} }}" for name, element in changed.bridge
        ]

    # Packets that were dropped

    def _listen(self) -> None:
        """While somebody has a policy; without it, policies hold as well."""
        if not self._held:
            self._end_listening()
        elif self._refused is None:
            try:
                self._refused = PacketLog(log_group(self.table))
            except OSError as error:
                log.warning("dropped packets are not told of: %s", error)
                return
            asyncio.get_running_loop().add_reader(self._refused, self._tell)

    def _end_listening(self) -> None:
        if self._refused is not None:
            asyncio.get_running_loop().remove_reader(self._refused)
            self._refused.close()
            self._refused = None

    def _tell(self) -> None:
        assert self._refused is not None
        for packet in self._refused.read():
            place = Reached(packet.destination, protocol(packet.protocol), packet.port)
            for container, held in self._held.items():
                if packet.source in held.sources:
                    self.on_refused(container, place)

    # In the thread

    async def _there(self) -> bool:
        try:
            await self._run(f"list set inet {self.table} policed4")
        except FileNotFoundError:
            return False
        return True

    async def _run(self, commands: str) -> None:
        await self._run_in_thread(self._execute, commands)

    async def _run_in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def _opened(self) -> Nftables:
        if self._nftables is None:
            self._nftables = Nftables()
        return self._nftables

    def _execute(self, commands: str) -> None:
        self._opened().run(commands)

    def _read(self, short: str) -> list[Reached]:
        found: list[Reached] = []
        for name in _SEEN:
            with contextlib.suppress(FileNotFoundError):
                found += reached(self._opened().run_json(f"list set inet {self.table} {name}_{short}"))
        return found

    def _left(self) -> list[str]:
        """The containers, by the start of their ids, that have a chain to learn."""
        try:
            listed = self._opened().run_json(f"list table inet {self.table}")
        except FileNotFoundError:
            return []
        entries = listed.get("nftables")
        chains = (entry.get("chain", {}).get("name", "") for entry in (entries if isinstance(entries, list) else []))
        return [name.removeprefix("learn_") for name in chains if name.startswith("learn_")]

    def _forget(self, sources: set[str]) -> None:
        """Close what the resolver has opened for these addresses, which may be another container's next."""
        nftables = self._opened()
        for name in _NAMED:
            for element in _listed(nftables.run_json(f"list set inet {self.table} {name}")):
                if element[0] in sources:
                    with contextlib.suppress(FileNotFoundError):  # its time is up
                        nftables.run(f"delete element inet {self.table} {name} {{ {' . '.join(element)} }}")


def _short(container: str) -> str:
    return container[:12]


def _removal(family: str, table: str) -> str:
    return f"add table {family} {table}\ndelete table {family} {table}"


def _listed(listing: dict[str, object]) -> Iterator[list[str]]:
    """The parts of each element of a set, as libnftables lists it."""
    found = listing.get("nftables")
    for item in found if isinstance(found, list) else []:
        for element in item.get("set", {}).get("elem", []):
            value = element.get("elem", {}).get("val", {}) if "elem" in element else element
            yield [str(part) for part in value.get("concat", [])]


def _elements(container: str, policy: EgressPolicy, places: Places) -> _Held:
    """What a policy is made of."""
    inet: list[tuple[str, str]] = []
    held = _Held(policy.learns)
    for endpoint, link in places:
        inet.append(("within", f'"{link}" . "{link}"'))
        held.bridge.append(("links", f'"{endpoint.host_link}"'))
        for version, address in (("4", endpoint.address4), ("6", endpoint.address6)):
            if address:
                held.sources.add(address)
                if policy.learns:
                    inet.append((f"learning{version}", f"{address} : goto learn_{_short(container)}"))
                else:
                    inet += [(f"policed{version}", address), *_allowed(policy, version, address)]
                held.bridge.append((f"senders{version}", f'"{endpoint.host_link}" . {address}'))
    held.inet = list(dict.fromkeys(inet))
    return held


def _allowed(policy: EgressPolicy, version: str, source: str) -> Iterable[tuple[str, str]]:
    for network, ports in policy.networks.items():
        if (":" in network) != (version == "6"):
            continue
        if not ports:
            yield f"nets{version}", f"{source} . {network}"
        for port in ports:
            number, _, protocol_name = port.partition("/")
            yield f"ports{version}", f"{source} . {network} . {protocol_name} . {number}"
