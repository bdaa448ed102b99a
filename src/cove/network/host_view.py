"""The host as a packet meets it: links, routes, forwarding and the rules of nftables, as the kernel has them now."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cove.kernel import sysctl
from cove.kernel.nftables import Nftables
from cove.kernel.rtnetlink import Link, RouteSocket
from cove.network import kernel_ruleset
from cove.network.kernel_ruleset import Rule, Ruleset
from cove.network.packet import Address, Packet
from cove.network.verdict import Walk, walk


@dataclass(frozen=True)
class HostView:
    """Used from one thread, and for one look: what changes meanwhile is not noticed."""

    ruleset: Ruleset
    links: dict[str, Link]
    _route: RouteSocket
    _nftables: Nftables | None

    def route(self, address: Address) -> tuple[str, bool] | None:
        """The link that leads to an address, and whether it is one of the host's own; None where nothing leads."""
        try:
            index, local = self._route.route_to(address)
        except OSError:
            return None
        return next((link.name for link in self.links.values() if link.index == index), ""), local

    def walk(self, hook: str, packet: Packet) -> Walk:
        """What the rules of a hook do with a packet between networks."""
        return walk(self.ruleset, hook, kernel_ruleset.families(packet.source.version), packet)

    def walk_bridge(self, hook: str, packet: Packet) -> Walk:
        """The same for a frame on a bridge; ``incoming`` and ``outgoing`` are the bridge's ports."""
        return walk(self.ruleset, hook, ("bridge",), packet)

    def text(self, rule: Rule) -> str:
        """The rule in nft's language, "" for the policy of a chain."""
        if not rule.handle or self._nftables is None:
            return ""
        return self._nftables.rule_text(f"{rule.family} {rule.table} {rule.chain}", rule.handle)

    def with_opened(self, table: str, source: Address, destination: Address) -> "HostView":
        """As it will be when an egress policy's resolver has opened a destination."""
        key = ("inet", table, f"names{source.version}")
        element = {"concat": [str(source), str(destination)]}
        sets = {**self.ruleset.sets, key: [*self.ruleset.sets.get(key, []), element]}
        return replace(self, ruleset=replace(self.ruleset, sets=sets))


def forwards(version: int) -> bool:
    """Whether the host forwards packets of an address family."""
    name = "net/ipv4/ip_forward" if version == 4 else "net/ipv6/conf/all/forwarding"
    return _on(name)


def filters_bridged(version: int) -> bool:
    """Whether packets that stay on a bridge meet the rules too (br_netfilter)."""
    return _on(f"net/bridge/bridge-nf-call-{'iptables' if version == 4 else 'ip6tables'}")


def _on(name: str) -> bool:
    try:
        return sysctl.read(name).strip() == "1"
    except OSError:
        return False


@contextlib.contextmanager
def look() -> Iterator[HostView]:
    """Reads all rules of the network namespace; a host without nftables has none. Raises OSError."""
    with contextlib.ExitStack() as stack:
        route = stack.enter_context(RouteSocket())
        try:
            nftables = stack.enter_context(Nftables())
        except FileNotFoundError:
            yield HostView(Ruleset(), route.links(), route, None)
            return
        yield HostView(kernel_ruleset.read(nftables.run_json("list ruleset")), route.links(), route, nftables)
