"""Rules that are not ours and keep containers from the world: a firewall's that drops what the host forwards.

No table can undo what another has dropped, so all that can be done is to say so.
"""

from collections.abc import Collection, Iterable
from ipaddress import ip_address, ip_network

from cove.network.host_view import HostView
from cove.network.packet import PROTOCOLS, Packet
from cove.network.records import NetworkRecord

_ELSEWHERE = {4: ip_address("198.51.100.1"), 6: ip_address("2001:db8:ffff::1")}
"""Addresses that nobody has: RFC 5737, RFC 3849."""

_HTTPS = 443


def obstacles(host: HostView, networks: Iterable[NetworkRecord], own_tables: Collection[str]) -> list[str]:
    """For each network whose containers' packets end on their way out: the rule, in words.

    ``own_tables``: those of this daemon, whose rules are meant. A host without a way out has no obstacles on it.
    """
    found = []
    for network in networks:
        if network.driver != "bridge" or network.internal or network.config_only:
            continue
        for pool in network.pools:
            led = host.route(_ELSEWHERE[pool.version])
            if led is None:
                continue
            source = ip_network(pool.subnet)[-2]
            packet = Packet(source, _ELSEWHERE[pool.version], PROTOCOLS["tcp"], _HTTPS, network.link, led[0])
            rule = host.walk("forward", packet).dropped
            if rule is not None and rule.table not in own_tables:
                found.append(f"{rule.where} drops what {network.link} ({network.name}) sends out by {led[0]}")
    return found
