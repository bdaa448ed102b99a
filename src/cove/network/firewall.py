"""One nftables table of our own: published ports, masquerade and what may be forwarded, as maps and sets.

The rules never change; a network or a published port is an element. What the table should hold is kept here, so that a
change that the kernel refuses (because somebody removed the table, or an element) is answered by replacing the whole
table in one transaction. Connections live on through that: they are the connection tracker's, not the table's.

::

    prerouting, output   to an address of the host ─▶ published: by protocol, address, port; then by protocol, port
    postrouting          to a bridge from 127.0.0.0/8, or back to a bridge through the host's address ─▶ masquerade
                         from a bridge's subnet to elsewhere ─▶ masquerade
    forward              from or to a bridge ─▶ contained: known connections, own bridge, published, routed to; else
                         not in

Packets to or from 127.0.0.0/8 that come in over a bridge are dropped before all else: ``route_localnet`` is set there,
which would let a container talk to what the host has on its loopback. There is no such setting for ::1.
"""

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cove.kernel.nftables import Nftables
from cove.network.records import PortRecord

log = logging.getLogger(__name__)

_RULES = """
  set bridges { type ifname; }
  set internal { type ifname; }
  set within { type ifname . ifname; }
  set trusted { type ifname . ifname; }
  set routed4 { type ifname; }
  set routed6 { type ifname; }
  set unprotected4 { type ifname; }
  set unprotected6 { type ifname; }
  set open4 { type ipv4_addr . inet_proto . inet_service; }
  set open6 { type ipv6_addr . inet_proto . inet_service; }
  set subnets4 { type ipv4_addr; flags interval; }
  set subnets6 { type ipv6_addr; flags interval; }
  set masqueraded4 { type ipv4_addr; flags interval; }
  set masqueraded6 { type ipv6_addr; flags interval; }
  map published4 { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }
  map published6 { type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }
  map published4_any { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map published6_any { type inet_proto . inet_service : ipv6_addr . inet_service; }
  chain published {
    dnat ip to meta l4proto . ip daddr . th dport map @published4
    meta nfproto ipv4 dnat ip to meta l4proto . th dport map @published4_any
    dnat ip6 to meta l4proto . ip6 daddr . th dport map @published6
    meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @published6_any
  }
  chain raw {
    type filter hook prerouting priority raw; policy accept;
    iifname @bridges ip saddr 127.0.0.0/8 drop
    iifname @bridges ip daddr 127.0.0.0/8 drop
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 127.0.0.0/8 return
    fib daddr type local jump published
  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip6 daddr ::1 return
    fib daddr type local jump published
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
    oifname @bridges ct status dnat ip saddr @subnets4 masquerade
    oifname @bridges ct status dnat ip6 saddr @subnets6 masquerade
    oifname != @bridges ip saddr @masqueraded4 masquerade
    oifname != @bridges ip6 saddr @masqueraded6 masquerade
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname @bridges goto contained
    oifname @bridges goto contained
  }
  chain contained {
    ct state vmap { established : accept, related : accept, invalid : drop }
    iifname . oifname @within accept
    iifname @internal drop
    oifname @internal drop
    ct status dnat accept
    iifname . oifname @trusted accept
    ip daddr . meta l4proto . th dport @open4 accept
    ip6 daddr . meta l4proto . th dport @open6 accept
    oifname @routed4 meta l4proto icmp accept
    oifname @routed6 meta l4proto ipv6-icmp accept
    iifname != @bridges oifname @unprotected4 meta nfproto ipv4 accept
    iifname != @bridges oifname @unprotected6 meta nfproto ipv6 accept
    oifname @bridges drop
  }
"""


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
        found += [("within", f"{link} . {link}")] if self.icc else []
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


class Firewall:
    """The table of one daemon. Changes that wait for each other share a transaction.

    Failures of the kernel are OSError; then the table is what it was, and the next change replaces it.
    """

    def __init__(self, table: str) -> None:
        self._table = f"inet {table}"
        self._bridges: dict[str, BridgePolicy] = {}
        self._ports: dict[tuple[str, str, int], PortRecord] = {}
        self._thread = ThreadPoolExecutor(1, "firewall")
        self._nftables: Nftables | None = None
        self._turn = asyncio.Lock()
        self._waiting: list[str] = []
        self._batch: asyncio.Task[None] | None = None
        self._unsure = False

    async def open(self, bridges: Iterable[BridgePolicy], ports: Iterable[PortRecord]) -> None:
        """Replace whatever table of ours is there with one that holds these."""
        self._bridges = {bridge.link: bridge for bridge in bridges}
        self._ports = {_key(port): port for port in ports if not port.relayed}
        await self._in_thread(self._replacement())

    async def add_bridge(self, bridge: BridgePolicy) -> None:
        self._bridges[bridge.link] = bridge
        await self._change("add", bridge.elements())

    async def remove_bridge(self, link: str) -> None:
        if (bridge := self._bridges.pop(link, None)) is not None:
            await self._change("delete", bridge.elements())

    async def publish(self, ports: Iterable[PortRecord]) -> None:
        """Lead host ports to containers. Ports that a relay carries are skipped."""
        fresh = {_key(port): port for port in ports if not port.relayed}
        self._ports |= fresh
        await self._change("add", [_mapping(port) for port in fresh.values()])

    async def withdraw(self, ports: Iterable[PortRecord]) -> None:
        """Undo ``publish``; ports that are not published are skipped."""
        gone = [port for port in ports if self._ports.pop(_key(port), None)]
        await self._change("delete", [_mapping(port) for port in gone])

    async def repair(self) -> None:
        """Put the table back as it should be."""
        async with self._turn:
            await self._in_thread(self._replacement())

    def close(self) -> None:
        """End the thread; the table stays."""
        self._thread.shutdown()
        if self._nftables is not None:
            self._nftables.close()

    async def _change(self, verb: str, elements: list[tuple[str, str]]) -> None:
        if not elements:
            return
        self._waiting += _commands(verb, self._table, elements)
        if self._batch is None:
            self._batch = asyncio.create_task(self._commit())
        await asyncio.shield(self._batch)

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
            await self._in_thread(self._replacement())
            self._unsure = False

    def _replacement(self) -> str:
        elements = [element for bridge in self._bridges.values() for element in bridge.elements()]
        elements += [_mapping(port) for port in self._ports.values()]
        head = f"table {self._table} {{ }}\ndelete table {self._table}\ntable {self._table} {{{_RULES}}}\n"
        return head + "\n".join(_commands("add", self._table, elements))

    async def _in_thread(self, commands: str) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._run, commands)

    def _run(self, commands: str) -> None:
        if self._nftables is None:
            self._nftables = Nftables()
        self._nftables.run(commands)


def _commands(verb: str, table: str, elements: Iterable[tuple[str, str]]) -> list[str]:
    """One command per set; a deletion names a map's element without its data."""
    groups: dict[str, list[str]] = {}
    for name, element in elements:
        groups.setdefault(name, []).append(element if verb == "add" else element.partition(" : ")[0])
    return [f"{verb} element {table} {name} {{ {', '.join(members)} }}" for name, members in groups.items()]


def _key(port: PortRecord) -> tuple[str, str, int]:
    return port.protocol, port.address, port.port


def _mapping(port: PortRecord) -> tuple[str, str]:
    family = 6 if ":" in port.address else 4
    if port.routed:
        return f"open{family}", f"{port.target} . {port.protocol} . {port.container_port}"
    target = f"{port.target} . {port.container_port}"
    if port.address in ("0.0.0.0", "::"):
        return f"published{family}_any", f"{port.protocol} . {port.port} : {target}"
    return f"published{family}", f"{port.protocol} . {port.address} . {port.port} : {target}"
