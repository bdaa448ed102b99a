"""One nftables table of our own: published ports, masquerade and what may be forwarded, as maps and sets.

``ruleset`` has the rules. What the table should hold is kept here, so that a change that the kernel refuses (because
somebody removed the table, or an element) is answered by replacing all that is ours in one transaction. Connections
live on through that: they are the connection tracker's, not the table's.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from cove.kernel.nftables import Nftables
from cove.network import ruleset
from cove.network.records import PortRecord
from cove.network.ruleset import USER_CHAIN

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BridgePolicy:
    """What the firewall knows of a bridge network. ``link``: of the host. ``subnets4``, ``subnets6``: CIDR.

    ``masquerade4``, ``masquerade6``: what leaves has the host's address. ``mode4``, ``mode6``: gateway modes.
    ``trusted``: links of the host by which containers are reached directly.
    """

    link: str
    subnets4: tuple[str, ...]
    subnets6: tuple[str, ...] = ()
    masquerade4: bool = True
    masquerade6: bool = True
    mode4: str = "nat"
    mode6: str = "nat"
    internal: bool = False
    icc: bool = True
    trusted: tuple[str, ...] = ()

    def elements(self) -> list[tuple[str, str]]:
        """(set, element) of each element that stands for this network."""
        link = f'"{self.link}"'
        found = [("bridges", link)]
        found += [("within", f"{link} . {link}")] if self.icc else [("mute", link)]
        found += [("internal", link)] if self.internal else []
        found += [("trusted", f'"{trusted}" . {link}') for trusted in self.trusted]
        for version, subnets, masquerade, mode in (
            ("4", self.subnets4, self.masquerade4, self.mode4),
            ("6", self.subnets6, self.masquerade6, self.mode6),
        ):
            found += [(f"subnets{version}", subnet) for subnet in subnets]
            found += [(f"masqueraded{version}", subnet) for subnet in subnets if masquerade and not self.internal]
            found += [(f"routed{version}", link)] if mode == "routed" else []
            found += [(f"unprotected{version}", link)] if mode == "nat-unprotected" else []
        return found


class LinkedFlow(NamedTuple):
    """Flows from an address to a port of another, where containers may not talk. ``protocol``: its name."""

    source: str
    target: str
    protocol: str
    port: int


class Firewall:
    """The table of one daemon. Changes that wait for each other share a transaction.

    ``families``: address families, 4 and 6, that we have rules for; without any there is no table. ``direct``:
    published ports are open at the containers' own addresses too. ``mark``: as of ``ruleset.replacing``. Failures of
    the kernel are OSError; then the table is what it was, and the next change replaces it.
    """

    def __init__(self, table: str, families: Collection[int] = (4, 6), *, direct: bool = False, mark: str = "") -> None:
        self.table = table
        self._table = f"inet {table}"
        self._families = families
        self._direct = direct
        self._mark = mark
        self._bridges: dict[str, BridgePolicy] = {}
        self._ports: dict[tuple[str, str, int], PortRecord] = {}
        self._uses: Counter[tuple[str, str]] = Counter()
        self._links: set[LinkedFlow] = set()
        self._thread = ThreadPoolExecutor(1, "firewall")
        self._nftables: Nftables | None = None
        self._turn = asyncio.Lock()
        self._waiting: list[str] = []
        self._batch: asyncio.Task[None] | None = None
        self._unsure = False

    @property
    def in_use(self) -> bool:
        """Whether we have rules at all."""
        return bool(self._families)

    async def open(self, bridges: Iterable[BridgePolicy], ports: Iterable[PortRecord]) -> None:
        """Make what is ours in the table hold these, whatever it held before."""
        self._bridges = {bridge.link: bridge for bridge in bridges}
        self._ports, self._uses = {}, Counter()
        self._note(ports)
        await self.repair()

    async def add_bridge(self, bridge: BridgePolicy) -> None:
        self._bridges[bridge.link] = bridge
        await self._change("add", bridge.elements())

    async def remove_bridge(self, link: str) -> None:
        if (bridge := self._bridges.pop(link, None)) is not None:
            await self._change("delete", bridge.elements())

    async def publish(self, ports: Iterable[PortRecord]) -> None:
        """Lead host ports to containers, but for those that a relay carries."""
        ports = tuple(ports)
        await self._change("delete", self._forget(port for port in ports if self._ports.get(_key(port), port) != port))
        await self._change("add", self._note(ports))

    async def withdraw(self, ports: Iterable[PortRecord]) -> None:
        """Undo ``publish``; ports that are not published are skipped."""
        await self._change("delete", self._forget(ports))

    async def allow(self, links: Iterable[LinkedFlow]) -> None:
        """Let these flows pass between containers that may not talk to each other."""
        fresh = [link for link in links if link not in self._links]
        self._links.update(fresh)
        await self._change("add", [_linked(link) for link in fresh])

    async def disallow(self, concerns: Callable[[LinkedFlow], bool]) -> None:
        """Undo ``allow`` for what concerns somebody."""
        gone = [link for link in self._links if concerns(link)]
        self._links.difference_update(gone)
        await self._change("delete", [_linked(link) for link in gone])

    async def repair(self) -> None:
        """Put the table back as it should be; the administrator's chain stays."""
        async with self._turn:
            await self._replace()

    def close(self) -> None:
        """End the thread; the table stays."""
        self._thread.shutdown()
        if self._nftables is not None:
            self._nftables.close()

    def _note(self, ports: Iterable[PortRecord]) -> list[tuple[str, str]]:
        """Remember ports; the elements that are new by that, as two ports may need the same one."""
        fresh = []
        for port in ports:
            if self._ports.get(_key(port)) == port:
                continue
            self._ports[_key(port)] = port
            for element in _elements(port, self._direct):
                self._uses[element] += 1
                fresh += [element] if self._uses[element] == 1 else []
        return fresh

    def _forget(self, ports: Iterable[PortRecord]) -> list[tuple[str, str]]:
        """The elements that nobody needs any more."""
        gone = []
        for port in [found for port in ports if (found := self._ports.pop(_key(port), None))]:
            for element in _elements(port, self._direct):
                self._uses[element] -= 1
                if not self._uses[element]:
                    del self._uses[element]
                    gone.append(element)
        return gone

    async def _change(self, verb: str, elements: list[tuple[str, str]]) -> None:
        elements = self._ours(elements)
        if not elements:
            return
        self._waiting += ruleset.commands(verb, self._table, elements)
        if self._batch is None:
            self._batch = asyncio.create_task(self._commit())
        await asyncio.shield(self._batch)

    def _ours(self, elements: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those of the address families that we have rules for; a set's name says which it is for."""
        if not self._families:
            return []
        strange = [str(family) for family in (4, 6) if family not in self._families]
        return [(name, element) for name, element in elements if not any(digit in name for digit in strange)]

    async def _commit(self) -> None:
        async with self._turn:  # what joins while another transaction runs goes with this one
            commands, self._waiting, self._batch = self._waiting, [], None
            if not self._unsure:
                try:
                    await self._in_thread("\n".join(commands))
                    return
                except OSError as error:
                    log.warning("firewall: %s; replacing the table", error)
            self._unsure = True  # until one transaction has put everything right
            await self._replace()
            self._unsure = False

    async def _replace(self) -> None:
        if not self._families:
            with contextlib.suppress(OSError):  # a machine where we are to have no rules need not have nftables
                await self._in_thread(ruleset.removing(self._table))
            return
        bridges = [element for bridge in self._bridges.values() for element in bridge.elements()]
        links = [_linked(link) for link in self._links]
        wanted = ruleset.replacing(self._table, self._ours([*bridges, *self._uses, *links]), self._families, self._mark)
        try:
            await self._in_thread(wanted)
        except OSError as error:
            log.warning("firewall: %s; making the table anew", error)
            await self._in_thread(ruleset.removing(self._table) + wanted + await self._administrators())

    async def _administrators(self) -> str:
        """The rules of the administrator's chain, as commands that make them again."""
        try:
            return "\n" + await self._in_thread(f"list chain {self._table} {USER_CHAIN}")
        except OSError:
            return ""

    async def _in_thread(self, commands: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, commands)

    def _run(self, commands: str) -> str:
        if self._nftables is None:
            self._nftables = Nftables()
        return self._nftables.run(commands)


def _linked(link: LinkedFlow) -> tuple[str, str]:
    """(set, element) of the element that stands for a flow."""
    return ("linked6" if ":" in link.source else "linked4"), " . ".join(map(str, link))


def _key(port: PortRecord) -> tuple[str, str, int]:
    return port.protocol, port.address, port.port


def _elements(port: PortRecord, direct: bool) -> list[tuple[str, str]]:
    """(set, element) of each element that stands for a port."""
    family = 6 if ":" in port.address else 4
    found = []
    if port.address.startswith("127."):
        found.append(("loopback4", f"{port.protocol} . {port.address} . {port.port}"))
    if port.relayed:
        return found
    if port.routed or direct:
        found.append((f"open{family}", f"{port.target} . {port.protocol} . {port.container_port}"))
    if port.routed:
        return found
    target = f"{port.target} . {port.container_port}"
    if port.address in ("0.0.0.0", "::"):
        return [*found, (f"published{family}_any", f"{port.protocol} . {port.port} : {target}")]
    return [*found, (f"published{family}", f"{port.protocol} . {port.address} . {port.port} : {target}")]
