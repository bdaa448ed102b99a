"""All rules of nftables that the kernel has, whoever made them, as libnftables lists them in JSON.

Source: libnftables-json(5).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from cove.network.packet import Value

Json = Any
Key = tuple[str, str]
"""Family and name of a table."""

_OF_PACKETS = {4: ("ip", "inet"), 6: ("ip6", "inet")}


@dataclass(frozen=True)
class Rule:
    """``expressions``: libnftables' own. ``handle``: the kernel's number of it; 0 for the policy of a chain."""

    family: str
    table: str
    chain: str
    handle: int
    expressions: tuple[Json, ...] = ()

    @property
    def where(self) -> str:
        place = f"{self.family} {self.table} {self.chain}"
        return f"{place} (handle {self.handle})" if self.handle else f"{place} (its policy)"


@dataclass
class Chain:
    """``hook``: "" for one that only others call."""

    family: str
    table: str
    name: str
    hook: str = ""
    kind: str = ""
    priority: int = 0
    policy: str = "accept"
    rules: list[Rule] = field(default_factory=list)


@dataclass
class Ruleset:
    chains: dict[tuple[str, str, str], Chain] = field(default_factory=dict)
    sets: dict[tuple[str, str, str], list[Json]] = field(default_factory=dict)

    def hooked(self, hook: str, families: Iterable[str]) -> list[Chain]:
        """The chains that the kernel calls at a hook, in its order."""
        wanted = tuple(families)
        found = [chain for chain in self.chains.values() if chain.hook == hook and chain.family in wanted]
        return sorted(found, key=lambda chain: chain.priority)

    def elements(self, rule: Rule, name: str) -> list[Json]:
        """Of the set or map ``@name`` in the rule's table."""
        return self.sets.get((rule.family, rule.table, name.removeprefix("@")), [])


def families(version: int) -> tuple[str, ...]:
    """The tables' families that see packets of an address family."""
    return _OF_PACKETS[version]


def read(listing: Mapping[str, Json]) -> Ruleset:
    """What ``list ruleset`` printed."""
    ruleset = Ruleset()
    for entry in listing.get("nftables", []):
        for kind, item in entry.items():
            if kind == "chain":
                ruleset.chains[item["family"], item["table"], item["name"]] = _chain(item)
            elif kind in ("set", "map"):
                ruleset.sets[item["family"], item["table"], item["name"]] = item.get("elem", [])
            elif kind == "rule":
                chain = ruleset.chains[item["family"], item["table"], item["chain"]]
                expressions = tuple(item.get("expr", ()))
                chain.rules.append(Rule(chain.family, chain.table, chain.name, item["handle"], expressions))
    return ruleset


def _chain(item: Mapping[str, Json]) -> Chain:
    return Chain(
        item["family"],
        item["table"],
        item["name"],
        item.get("hook", ""),
        item.get("type", ""),
        item.get("prio", 0),
        item.get("policy", "accept"),
    )


def fits(element: Json, value: Value | tuple[Value, ...]) -> bool:
    """Whether an element of a set, or the right side of a match, is or holds a value."""
    if isinstance(element, Mapping):
        return _within(element, value)
    if isinstance(value, tuple):
        return False
    if isinstance(value, int | str):
        return bool(element == value) or _wildcard(element, value)
    return bool(element == str(value))


def _within(element: Mapping[str, Json], value: Value | tuple[Value, ...]) -> bool:
    if "elem" in element:
        return fits(element["elem"]["val"], value)
    if "concat" in element:
        parts = element["concat"]
        return isinstance(value, tuple) and len(parts) == len(value) and all(map(fits, parts, value))
    if "set" in element:
        return any(fits(member, value) for member in element["set"])
    if isinstance(value, tuple):
        return False
    if "prefix" in element:
        network = ip_network((element["prefix"]["addr"], element["prefix"]["len"]), strict=False)
        return not isinstance(value, int | str) and value in network
    if "range" in element:
        low, high = element["range"]
        if isinstance(value, int):
            return bool(low <= value <= high)
        return not isinstance(value, str) and int(ip_address(low)) <= int(value) <= int(ip_address(high))
    return False


def _wildcard(pattern: Json, value: Value) -> bool:
    """``eth*``, of link names."""
    return isinstance(pattern, str) and pattern.endswith("*") and str(value).startswith(pattern[:-1])
