"""What rules would do with a packet, and how a target is written."""

from ipaddress import ip_address
from typing import Any

import pytest

from cove.errors import InvalidArgument
from cove.network.kernel_ruleset import fits, read
from cove.network.packet import Packet
from cove.network.trace_target import Target, parse_target
from cove.network.verdict import walk

PACKET = Packet(ip_address("10.0.0.2"), ip_address("192.0.2.1"), 6, 80, "br0", "eth0")


def match(left: Any, right: Any, operation: str = "==") -> dict[str, Any]:
    return {"match": {"op": operation, "left": left, "right": right}}


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


DADDR = {"payload": {"protocol": "ip", "field": "daddr"}}
DPORT = {"payload": {"protocol": "th", "field": "dport"}}


def dropped(*rules: list[Any], policy: str = "accept", extra: tuple[Any, ...] = (), packet: Packet = PACKET) -> Any:
    """The handle of the rule that drops, None when nothing does; rules are numbered from 1."""
    base = {"family": "ip", "table": "t", "name": "c", "type": "filter", "hook": "forward", "prio": 0, "policy": policy}
    entries: list[Any] = [{"chain": base}, {"chain": {"family": "ip", "table": "t", "name": "sub"}}, *extra]
    for number, rule in enumerate(rules, 1):
        entries.append({"rule": {"family": "ip", "table": "t", "chain": "c", "handle": number, "expr": rule}})
    done = walk(read({"nftables": entries}), "forward", ("ip", "inet"), packet)
    return done.dropped.handle if done.dropped else None


def test_rules_are_judged_in_order() -> None:
    drop = {"drop": None}
    assert dropped([match(meta("iifname"), "br1"), drop], [match(DPORT, {"set": [22, {"range": [80, 90]}]}), drop]) == 2
    assert dropped([match(DADDR, {"prefix": {"addr": "192.0.2.0", "len": 24}}), {"accept": None}], [drop]) is None
    assert dropped([match(DADDR, {"range": ["192.0.2.2", "192.0.2.9"]}, "!="), drop]) == 1
    assert dropped([match({"ct": {"key": "state"}}, [2, 4], "in"), {"accept": None}], policy="drop") == 0
    assert dropped([match({"payload": {"protocol": "udp", "field": "dport"}}, 80), drop]) is None
    assert dropped([match(DPORT, 79, ">"), {"reject": None}]) == 1


def test_jumps_and_maps() -> None:
    inner = {
        "rule": {"family": "ip", "table": "t", "chain": "sub", "handle": 9, "expr": [match(DPORT, 81), {"drop": None}]}
    }
    assert dropped([{"jump": {"target": "sub"}}], [{"drop": None}], extra=(inner,)) == 2
    assert dropped([{"goto": {"target": "sub"}}], [{"drop": None}], extra=(inner,)) is None
    data = {"set": [[80, {"jump": {"target": "sub"}}], [81, {"accept": None}]]}
    assert dropped([{"vmap": {"key": DPORT, "data": data}}], policy="drop", extra=(inner,)) == 0
    chains = [{"jump": {"target": "c"}}]
    assert dropped(chains, policy="drop") == 0, "a chain that calls itself ends"


def test_what_cannot_be_known_is_passed_by() -> None:
    entries = {
        "nftables": [
            {"chain": {"family": "inet", "table": "t", "name": "c", "type": "filter", "hook": "forward", "prio": 0}},
            {
                "rule": {
                    "family": "inet",
                    "table": "t",
                    "chain": "c",
                    "handle": 3,
                    "expr": [match(meta("mark"), 1), {"drop": None}],
                }
            },
            {
                "rule": {
                    "family": "inet",
                    "table": "t",
                    "chain": "c",
                    "handle": 4,
                    "expr": [{"xt": None}, {"counter": None}],
                }
            },
        ]
    }
    done = walk(read(entries), "forward", ("inet",), PACKET)
    assert done.dropped is None and [rule.handle for rule in done.unsure] == [3]


def test_elements_of_sets() -> None:
    pair = {"concat": ["10.0.0.2", {"prefix": {"addr": "192.0.0.0", "len": 8}}]}
    assert fits(pair, (PACKET.source, PACKET.destination)) and not fits(pair, (PACKET.source, PACKET.source))
    assert fits({"elem": {"val": pair, "timeout": 9}}, (PACKET.source, PACKET.destination))
    assert fits("veth*", "veth12") and not fits("veth*", "eth0") and not fits(80, 81)
    assert not fits({"prefix": {"addr": "2001:db8::", "len": 32}}, PACKET.source)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("web", Target("web", 0, "icmp")),
        ("web:80", Target("web", 80, "tcp")),
        ("web:80/udp", Target("web", 80, "udp")),
        ("2001:db8::1", Target("2001:db8::1", 0, "icmp")),
        ("[2001:db8::1]:443", Target("2001:db8::1", 443, "tcp")),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["", ":80", "web:0", "web:65536", "web:x", "web:80/icmp", "x" * 500, "[]:80"])
def test_bad_targets(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_target(text)
