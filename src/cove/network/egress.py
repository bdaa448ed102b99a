"""Egress policies: where a container may go, as sets of one table that is there only while somebody has a policy.

It is a table beside the daemon's other one, because that one is replaced whenever the daemon is unsure of it, and these
sets are also filled by the resolver, while no daemon is there. A container is known by its addresses; a table of the
bridges drops every frame from its link that has another sender. What is not allowed is dropped: the sets only add.
What stays on the container's own bridge is no egress. Destinations are those after translation: a published port
of this host is the address and port of its container.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import ip_network

from cove.errors import InvalidArgument
from cove.kernel.nftables import Nftables
from cove.network.records import EndpointRecord

log = logging.getLogger(__name__)

_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_STATIC = ("policed4", "policed6", "nets4", "nets6", "ports4", "ports6", "within")

_RULES = """
table inet {table} {{
  set policed4 {{ type ipv4_addr; }}
  set policed6 {{ type ipv6_addr; }}
  set within {{ type ifname . ifname; }}
  set nets4 {{ type ipv4_addr . ipv4_addr; flags interval; }}
  set nets6 {{ type ipv6_addr . ipv6_addr; flags interval; }}
  set ports4 {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags interval; }}
  set ports6 {{ type ipv6_addr . ipv6_addr . inet_proto . inet_service; flags interval; }}
  set names4 {{ type ipv4_addr . ipv4_addr; flags timeout; }}
  set names6 {{ type ipv6_addr . ipv6_addr; flags timeout; }}
  set name_ports4 {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags timeout; }}
  set name_ports6 {{ type ipv6_addr . ipv6_addr . inet_proto . inet_service; flags timeout; }}
  chain judged {{
    ct state established,related accept
    ip saddr . ip daddr @nets4 accept
    ip saddr . ip daddr @names4 accept
    ip saddr . ip daddr . meta l4proto . th dport @ports4 accept
    ip saddr . ip daddr . meta l4proto . th dport @name_ports4 accept
    ip6 saddr . ip6 daddr @nets6 accept
    ip6 saddr . ip6 daddr @names6 accept
    ip6 saddr . ip6 daddr . meta l4proto . th dport @ports6 accept
    ip6 saddr . ip6 daddr . meta l4proto . th dport @name_ports6 accept
    drop
  }}
  chain forward {{
    type filter hook forward priority filter - 5; policy accept;
    iifname . oifname @within accept
    ip saddr @policed4 goto judged
    ip6 saddr @policed6 goto judged
  }}
  chain input {{
    type filter hook input priority filter - 5; policy accept;
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
    ip saddr @policed4 goto judged
    ip6 saddr @policed6 goto judged
  }}
}}
table bridge {table} {{
  set links {{ type ifname; }}
  set senders4 {{ type ifname . ipv4_addr; }}
  set senders6 {{ type ifname . ipv6_addr; }}
  chain checked {{
    ether type arp iifname . arp saddr ip @senders4 accept
    ether type ip iifname . ip saddr @senders4 accept
    ether type ip6 iifname . ip6 saddr @senders6 accept
    ether type ip6 ip6 saddr fe80::/10 accept
    ether type ip6 ip6 saddr :: accept
    drop
  }}
  chain prerouting {{
    type filter hook prerouting priority -300; policy accept;
    iifname @links goto checked
  }}
}}
"""


@dataclass(frozen=True)
class EgressPolicy:
    """``names``: domain names with their ports, ``networks``: CIDR with theirs (``443/tcp``); no ports: all of it."""

    names: dict[str, list[str]] = field(default_factory=dict)
    networks: dict[str, list[str]] = field(default_factory=dict)


def parse_policy(text: str) -> EgressPolicy | None:
    """``deny``, ``allow=example.org,*.cdn.test:443,10.0.0.0/8:53/udp,[2001:db8::]/32:443``, or "" for none.

    Raises InvalidArgument.
    """
    mode, _, listed = text.partition("=")
    if not text or (mode == "none" and not listed):
        return None
    if mode == "deny" and not listed:
        return EgressPolicy()
    if mode != "allow" or not listed:
        raise InvalidArgument(
            f"invalid egress policy {text!r}: it must be none, deny or allow=NAME|CIDR[:PORT[/PROTO]],…"
        )
    policy = EgressPolicy()
    for entry in listed.split(","):
        target, ports = _entry(entry.strip(), text)
        known = policy.networks if _is_network(target) else policy.names
        if known is policy.networks:
            target = str(ip_network(target, strict=False))
        elif not _NAME.fullmatch(target):
            raise InvalidArgument(f"invalid egress policy {text!r}: {entry!r} is no name, address or network")
        already = known.setdefault(target, list(ports))
        known[target] = [*already, *(port for port in ports if port not in already)] if already and ports else []
    return policy


def _entry(entry: str, text: str) -> tuple[str, list[str]]:
    """The name or network, and its ports."""
    if entry.startswith("["):
        address, _, rest = entry[1:].partition("]")
        length, _, port = rest.partition(":")
        target = address + length
    elif entry.count(":") > 1:
        target, port = entry, ""
    else:
        target, _, port = entry.lower().rstrip(".").partition(":")
    if not port:
        return target, []
    number, _, protocol = port.partition("/")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 65536) or protocol not in ("", "tcp", "udp"):
        raise InvalidArgument(f"invalid egress policy {text!r}: {port!r} is no port")
    return target, [f"{int(number)}/{protocol or 'tcp'}"]


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


class Egress:
    """The policies of running containers, in the kernel."""

    def __init__(self, table: str) -> None:
        self.table = f"{table}_egress"
        self._thread = ThreadPoolExecutor(1, "egress")
        self._held: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {}
        self._nftables: Nftables | None = None

    async def open(self, policies: Iterable[tuple[str, EgressPolicy, Sequence[tuple[EndpointRecord, str]]]]) -> None:
        """Go on with what an earlier daemon left: container, policy, and endpoints with their bridges.

        What the resolver has filled in stays. Without any policy the table goes.
        """
        self._held = {container: _elements(policy, held) for container, policy, held in policies}
        if not self._held:
            await self._run(f"table inet {self.table}\ndelete table inet {self.table}\n" + self._without_bridge())
            return
        await self._run("\n".join([_RULES.format(table=self.table)]) if not await self._there() else "")
        flushed = [f"flush set inet {self.table} {name}" for name in _STATIC]
        flushed += [f"flush set bridge {self.table} {name}" for name in ("links", "senders4", "senders6")]
        added = [line for inet, bridge in self._held.values() for line in self._commands("add", inet, bridge)]
        await self._run("\n".join([*flushed, *added]))

    async def apply(
        self, container: str, policy: EgressPolicy | None, endpoints: Sequence[tuple[EndpointRecord, str]]
    ) -> None:
        """Hold a container to a policy, in place of what it had; ``endpoints`` with their bridges. One transaction."""
        before = self._held.pop(container, ([], []))
        if before[0]:
            sources = {element for name, element in before[0] if name.startswith("policed")}
            await asyncio.get_running_loop().run_in_executor(self._thread, self._forget, sources)
        commands = self._commands("delete", *before)
        if policy is not None:
            self._held[container] = _elements(policy, endpoints)
            commands += self._commands("add", *self._held[container])
        if not commands:
            return
        if not before[0] and not await self._there():
            commands = [_RULES.format(table=self.table), *commands]
        if not self._held:
            commands = [f"delete table inet {self.table}", f"delete table bridge {self.table}"]
        try:
            await self._run("\n".join(commands))
        except BaseException:  # the transaction did nothing
            self._held.pop(container, None)
            if before[0]:
                self._held[container] = before
            raise

    def holds(self, container: str) -> bool:
        return container in self._held

    def close(self) -> None:
        self._thread.shutdown()
        if self._nftables is not None:
            self._nftables.close()

    def _without_bridge(self) -> str:
        return f"table bridge {self.table}\ndelete table bridge {self.table}"

    def _commands(self, verb: str, inet: list[tuple[str, str]], bridge: list[tuple[str, str]]) -> list[str]:
        kept = {pair for held in self._held.values() for pair in held[0]} if verb == "delete" else set()
        lines = [
            f"{verb} element inet {self.table} {name} {{ {element} }}"
            for name, element in inet
            if (name, element) not in kept
        ]
        return lines + [f"{verb} element bridge {self.table} {name} {{ {element} }}" for name, element in bridge]

    async def _there(self) -> bool:
        try:
            await self._run(f"list set inet {self.table} policed4")
        except FileNotFoundError:
            return False
        return True

    async def _run(self, commands: str) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._execute, commands)

    def _forget(self, sources: set[str]) -> None:
        """Close what the resolver has opened for these addresses, which may be another container's next."""
        nftables = self._nftables = self._nftables or Nftables()
        for name in ("names4", "names6", "name_ports4", "name_ports6"):
            for element in _listed(nftables.run_json(f"list set inet {self.table} {name}")):
                if element[0] in sources:
                    with contextlib.suppress(FileNotFoundError):  # its time is up
                        nftables.run(f"delete element inet {self.table} {name} {{ {' . '.join(element)} }}")

    def _execute(self, commands: str) -> None:
        if self._nftables is None:
            self._nftables = Nftables()
        if commands:
            self._nftables.run(commands)


def _listed(listing: dict[str, object]) -> Iterator[list[str]]:
    """The parts of each element of a set, as libnftables lists it."""
    found = listing.get("nftables")
    for item in found if isinstance(found, list) else []:
        for element in item.get("set", {}).get("elem", []):
            value = element.get("elem", {}).get("val", {}) if "elem" in element else element
            yield [str(part) for part in value.get("concat", [])]


def _elements(
    policy: EgressPolicy, endpoints: Sequence[tuple[EndpointRecord, str]]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(set, element) of each element of the two tables."""
    inet: list[tuple[str, str]] = []
    bridge: list[tuple[str, str]] = []
    for endpoint, link in endpoints:
        inet.append(("within", f'"{link}" . "{link}"'))
        bridge.append(("links", f'"{endpoint.host_link}"'))
        for version, address in (("4", endpoint.address4), ("6", endpoint.address6)):
            if address:
                inet += [(f"policed{version}", address), *_allowed(policy, version, address)]
                bridge.append((f"senders{version}", f'"{endpoint.host_link}" . {address}'))
    return list(dict.fromkeys(inet)), bridge


def _allowed(policy: EgressPolicy, version: str, source: str) -> Iterable[tuple[str, str]]:
    for network, ports in policy.networks.items():
        if (":" in network) != (version == "6"):
            continue
        if not ports:
            yield f"nets{version}", f"{source} . {network}"
        for port in ports:
            number, _, protocol = port.partition("/")
            yield f"ports{version}", f"{source} . {network} . {protocol} . {number}"
