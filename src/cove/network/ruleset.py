"""The rules of our nftables table, which never change: networks and published ports are elements of its sets and maps.

::

    prerouting, output   to an address of the host ─▶ published: by protocol, address, port; then by protocol, port
    postrouting          to a bridge from 127.0.0.0/8, or back to a bridge through the host's address ─▶ masquerade
                         from a bridge's subnet to elsewhere ─▶ masquerade
    forward              user, whose rules are the administrator's; then
                         from or to a bridge ─▶ contained: known connections, own bridge, published, routed to; else
                         not in

Packets to or from 127.0.0.0/8 that come in over a bridge are dropped before all else: ``route_localnet`` is set there,
which would let a container talk to what the host has on its loopback. So are packets from elsewhere to a port that
is published there only, wherever somebody else may have set it. There is no such setting for ::1.

From a bridge whose containers may not talk to each other (``mute``) published ports are left to the relay: with
br_netfilter the kernel translates before it bridges, and the bridge then takes the frame for one between two isolated
ports. Links on such a bridge are exceptions (``linked4``, ``linked6``): the host answers for the addresses
(``proxy_arp_pvlan``), or is in IPv6 the way to them, so that what the ports do not exchange is forwarded, and judged,
by it.
"""

import re
from collections.abc import Collection, Iterable, Iterator

USER_CHAIN = "user"
"""The administrator's chain: ours only calls it."""

_SETS = """
  set bridges { type ifname; }
  set internal { type ifname; }
  set mute { type ifname; }
  set within { type ifname . ifname; }
  set trusted { type ifname . ifname; }
  set routed4 { type ifname; }
  set routed6 { type ifname; }
  set unprotected4 { type ifname; }
  set unprotected6 { type ifname; }
  set open4 { type ipv4_addr . inet_proto . inet_service; }
  set open6 { type ipv6_addr . inet_proto . inet_service; }
  set linked4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service; }
  set linked6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service; }
  set loopback4 { type inet_proto . ipv4_addr . inet_service; }
  set subnets4 { type ipv4_addr; flags interval; }
  set subnets6 { type ipv6_addr; flags interval; }
  set masqueraded4 { type ipv4_addr; flags interval; }
  set masqueraded6 { type ipv6_addr; flags interval; }
  map published4 { type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; }
  map published6 { type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service; }
  map published4_any { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map published6_any { type inet_proto . inet_service : ipv6_addr . inet_service; }
"""

_CHAINS = """
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
    iifname != "lo" meta l4proto . ip daddr . th dport @loopback4 drop
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 127.0.0.0/8 return
    iifname @mute return
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
    jump user
    iifname @bridges goto contained
    oifname @bridges goto contained
  }
  chain contained {
    ct state vmap { established : accept, related : accept, invalid : drop }
    iifname . oifname @within accept
    ip saddr . ip daddr . meta l4proto . th dport @linked4 accept
    ip6 saddr . ip6 daddr . meta l4proto . th dport @linked6 accept
    iifname @internal drop
    oifname @internal drop
    ct status dnat accept
    meta mark accepted
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

_HOOK = re.compile(r"chain (\w+) {\n(?:    (type .*)\n)?")
_SET = re.compile(r"(set|map) (\w+) ({.*})")


def replacing(table: str, elements: Iterable[tuple[str, str]], families: Collection[int], mark: str = "") -> str:
    """One transaction after which the table has our rules and these elements, whatever it had before.

    ``mark``: of packets that may reach every container of a network that is not internal, ``MARK`` or ``MARK/MASK``.
    The administrator's chain is left as it is. The kernel refuses it where a set of the same name has another type.
    """
    chains = _HOOK.findall(_CHAINS)
    lines = [f"add table {table}", f"add chain {table} {USER_CHAIN}"]
    for name, hook in chains:
        lines += [f"add chain {table} {name}" + (f" {{ {hook} }}" if hook else ""), f"flush chain {table} {name}"]
    for kind, name, definition in _SET.findall(_SETS):
        lines += [f"add {kind} {table} {name} {definition}", f"flush {kind} {table} {name}"]
    lines += [f"add rule {table} {chain} {rule}" for chain, rule in _rules(families, mark)]
    return "\n".join([*lines, *commands("add", table, elements)])


def removing(table: str) -> str:
    """One transaction after which the table is not there."""
    return f"add table {table}\ndelete table {table}\n"


def commands(verb: str, table: str, elements: Iterable[tuple[str, str]]) -> list[str]:
    """One command per set; a deletion names a map's element without its data."""
    groups: dict[str, list[str]] = {}
    for name, element in elements:
        groups.setdefault(name, []).append(element if verb == "add" else element.partition(" : ")[0])
    return [f"{verb} element {table} {name} {{ {', '.join(members)} }}" for name, members in groups.items()]


def _rules(families: Collection[int], mark: str) -> Iterator[tuple[str, str]]:
    """(chain, rule); of an address family that is not ours, nothing is decided."""
    chain = ""
    for line in map(str.strip, _CHAINS.splitlines()):
        if line.startswith("chain "):
            chain = line.split()[1]
            yield from ((chain, f"meta nfproto ipv{other} accept") for other in (4, 6) if _left(chain, other, families))
        elif line == "meta mark accepted":
            yield from ((chain, f"meta mark {_marked(mark)} accept") for _ in filter(None, [mark]))
        elif line not in ("", "}") and not line.startswith("type "):
            yield chain, line


def _marked(mark: str) -> str:
    value, _, mask = mark.partition("/")
    return f"and {int(mask, 0)} == {int(value, 0)}" if mask else str(int(value, 0))


def _left(chain: str, family: int, families: Collection[int]) -> bool:
    return family not in families and chain not in ("published", "contained")
