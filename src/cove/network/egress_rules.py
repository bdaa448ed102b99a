"""The rules of egress policies, in the language of nft(8); ``cove.network.egress`` says what they mean."""

from zlib import crc32

TOLD_SECONDS = 30
"""How long the same packets are not told of again."""

MAX_REACHED = 1024
"""Destinations of an address family that are kept of a container that learns; and as many without ports."""

_RULES = """
add table inet {table}
flush table inet {table}
add table bridge {table}
flush table bridge {table}
table inet {table} {{
  set policed4 {{ type ipv4_addr; }}
  set policed6 {{ type ipv6_addr; }}
  map learning4 {{ type ipv4_addr : verdict; }}
  map learning6 {{ type ipv6_addr : verdict; }}
  set within {{ type ifname . ifname; }}
  set nets4 {{ type ipv4_addr . ipv4_addr; flags interval; }}
  set nets6 {{ type ipv6_addr . ipv6_addr; flags interval; }}
  set ports4 {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags interval; }}
  set ports6 {{ type ipv6_addr . ipv6_addr . inet_proto . inet_service; flags interval; }}
  set names4 {{ type ipv4_addr . ipv4_addr; flags timeout; }}
  set names6 {{ type ipv6_addr . ipv6_addr; flags timeout; }}
  set name_ports4 {{ type ipv4_addr . ipv4_addr . inet_proto . inet_service; flags timeout; }}
  set name_ports6 {{ type ipv6_addr . ipv6_addr . inet_proto . inet_service; flags timeout; }}
  {told}
  chain refused {{
    meta pkttype {{ broadcast, multicast }} drop
    {telling}
    drop
  }}
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
    goto refused
  }}
  chain forward {{
    type filter hook forward priority filter - 5; policy accept;
    iifname . oifname @within accept
    {by_sender}
  }}
  chain input {{
    type filter hook input priority filter - 5; policy accept;
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
    {by_sender}
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

_BY_SENDER = """
    ip saddr vmap @learning4
    ip6 saddr vmap @learning6
    ip saddr @policed4 goto judged
    ip6 saddr @policed6 goto judged"""

_TOLD = """
  set told{version} {{ type {address} . {address} . inet_proto . inet_service; {bound} timeout {seconds}s; }}
  set told_other{version} {{ type {address} . {address} . inet_proto; {bound} timeout {seconds}s; }}
  set pace{version} {{ type {address}; {bound} timeout 1m; }}"""

_BOUND = "size 4096; flags dynamic,timeout;"

_TELLING = """
    {ip} saddr . {ip} daddr . meta l4proto . th dport @told{version} drop
    {ip} saddr . {ip} daddr . meta l4proto @told_other{version} drop
    meta l4proto {{ tcp, udp }} add @told{version} {{ {ip} saddr . {ip} daddr . meta l4proto . th dport }} {tell}
    meta l4proto != {{ tcp, udp }} add @told_other{version} {{ {ip} saddr . {ip} daddr . meta l4proto }} {tell}"""

_PACE = "update @pace{version} {{ {ip} saddr limit rate 1/second burst 32 packets }} log group {group} snaplen 96"

_FAMILIES = (("4", "ip", "ipv4_addr"), ("6", "ip6", "ipv6_addr"))

_LEARNING = """
  set seen{version}_{short} {{ type {address} . inet_proto . inet_service; size {most}; flags dynamic; }}
  set other{version}_{short} {{ type {address} . inet_proto; size {most}; flags dynamic; }}"""

_NOTING = """
    meta l4proto {{ tcp, udp }} add @seen{version}_{short} {{ {ip} daddr . meta l4proto . th dport }} accept
    meta l4proto != {{ tcp, udp }} add @other{version}_{short} {{ {ip} daddr . meta l4proto }} accept"""


def log_group(table: str) -> int:
    """The group of nfnetlink_log by which packets are told of: one for each table, in a range that nobody else has."""
    return 20000 + crc32(table.encode()) % 40000


def rules(table: str) -> str:
    """Make the tables, or bring those of an earlier version up to date; what is in their sets stays."""
    told = "".join(
        _TOLD.format(version=version, address=address, bound=_BOUND, seconds=TOLD_SECONDS)
        for version, _ip, address in _FAMILIES
    )
    telling = "".join(
        _TELLING.format(
            version=version, ip=ip, tell=_PACE.format(version=version, ip=ip, group=log_group(table)).strip()
        )
        for version, ip, _address in _FAMILIES
    )
    return _RULES.format(table=table, told=told, telling=telling, by_sender=_BY_SENDER)


def learning(table: str, container: str) -> str:
    """A container's chain, which notes where it goes, and the sets for that; those that are there stay as they are.

    What a destination sends back is not noted; connections that were there before are, with their next packet.
    """
    short = container[:12]
    sets = "".join(
        _LEARNING.format(version=version, address=address, short=short, most=MAX_REACHED)
        for version, _ip, address in _FAMILIES
    )
    noting = "".join(_NOTING.format(version=version, ip=ip, short=short) for version, ip, _address in _FAMILIES)
    return f"""
add chain inet {table} learn_{short}
flush chain inet {table} learn_{short}
table inet {table} {{ {sets}
  chain learn_{short} {{
    ct direction reply accept
    ct state related accept
    meta pkttype {{ broadcast, multicast }} accept{noting}
    accept
  }}
}}
"""


def unlearning(table: str, container: str) -> list[str]:
    """Remove what ``learning`` has made, once no element leads to it."""
    short = container[:12]
    sets = [f"{kind}{version}_{short}" for kind in ("seen", "other") for version in ("4", "6")]
    return [f"delete chain inet {table} learn_{short}", *(f"delete set inet {table} {name}" for name in sets)]
