"""What the rules that the kernel has would do with a packet: a walk through the chains of a hook, by nft(8).

A rule that asks for what is not known of the packet (its mark, a match of iptables' own) is passed by and named.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from cove.network.kernel_ruleset import Chain, Json, Rule, Ruleset, fits
from cove.network.packet import Packet, Unknown, Value, destination_type, meta, payload, tracked

DEEPEST = 16
"""Jumps from one chain into the next, as the kernel has it (NFT_JUMP_STACK_SIZE)."""

Verdict = tuple[str, str]
"""accept, drop, return, jump, goto or continue, and the chain that it leads to."""

_GO_ON: Verdict = ("continue", "")
_FINAL = {"drop": "drop", "reject": "drop", "accept": "accept", "masquerade": "accept", "snat": "accept"}
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass
class Walk:
    """``packet``: as it is after the hook. ``dropped``: the rule that it ended at. ``unsure``: rules passed by.

    ``masqueraded``: it leaves under an address of the host.
    """

    packet: Packet
    dropped: Rule | None = None
    masqueraded: bool = False
    unsure: list[Rule] = field(default_factory=list)


def walk(ruleset: Ruleset, hook: str, families: Iterable[str], packet: Packet) -> Walk:
    """All chains of a hook, until one of them drops the packet."""
    state = Walk(packet)
    translated = False
    for chain in ruleset.hooked(hook, families):
        if chain.kind == "nat" and translated:
            continue  # one translation is all that a flow gets at a hook
        before = state.packet
        ended = _Walker(ruleset, state).through(chain, 0)
        if ended[0] == "drop" or (ended[0] in ("continue", "return") and chain.policy == "drop"):
            state.dropped = state.dropped or Rule(chain.family, chain.table, chain.name, 0)
            return state
        translated = translated or state.packet != before or state.masqueraded
    return state


class _Walker:
    def __init__(self, ruleset: Ruleset, state: Walk) -> None:
        self._ruleset = ruleset
        self._state = state

    def through(self, chain: Chain, depth: int) -> Verdict:
        """accept, drop, or return at the end of the chain."""
        for rule in chain.rules:
            try:
                verdict = self._judge(rule)
            except Unknown:
                if any(set(expression) & (_FINAL.keys() | {"jump", "goto"}) for expression in rule.expressions):
                    self._state.unsure.append(rule)
                continue
            kind, target = verdict
            if kind in ("jump", "goto") and depth < DEEPEST:
                kind, _ = self.through(self._ruleset.chains[chain.family, chain.table, target], depth + 1)
                if verdict[0] == "goto" and kind == "return":
                    return "return", ""
            if kind == "drop":
                self._state.dropped = self._state.dropped or rule
            if kind in ("accept", "drop") or verdict[0] == "return":
                return kind, ""
        return "return", ""

    def _judge(self, rule: Rule) -> Verdict:
        """What one rule decides. Raises Unknown."""
        for expression in rule.expressions:
            ((kind, body),) = expression.items()
            if kind == "match":
                if not self._matches(rule, body):
                    return _GO_ON
            elif kind == "vmap":
                found = self._mapped(rule, body)
                return _GO_ON if found is None else _verdict(found)
            elif kind in ("dnat", "redirect"):
                return self._translate(rule, body if kind == "dnat" else {})
            elif kind in _FINAL:
                self._state.masqueraded = self._state.masqueraded or kind in ("masquerade", "snat")
                return _FINAL[kind], ""
            elif kind in ("jump", "goto", "return"):
                return kind, body["target"] if body else ""
            elif kind in ("xt", "queue", "fwd", "dup", "tproxy", "synproxy"):
                raise Unknown(kind)
        return _GO_ON

    def _matches(self, rule: Rule, body: Json) -> bool:
        value = self._value(body["left"])
        right, operation = body["right"], body["op"]
        if value is None:
            return False
        if operation in _ORDERS:
            return bool(_ORDERS[operation](value, right))
        if operation == "in" and isinstance(value, int):
            bits = right if isinstance(right, list) else [right]
            return any(bool(value & bit) for bit in bits if isinstance(bit, int))
        return self._fits(rule, right, value) is (operation != "!=")

    def _fits(self, rule: Rule, right: Json, value: Value | tuple[Value, ...]) -> bool:
        if isinstance(right, str) and right.startswith("@"):
            return any(fits(element, value) for element in self._ruleset.elements(rule, right))
        return fits(right, value)

    def _mapped(self, rule: Rule, body: Json) -> Json:
        """The data that a map has for the packet; None for none."""
        value = self._value(body["key"])
        data = body["data"]
        pairs = self._ruleset.elements(rule, data) if isinstance(data, str) else data["set"]
        return None if value is None else next((found for key, found in pairs if fits(key, value)), None)

    def _value(self, left: Json) -> Value | tuple[Value, ...] | None:
        """What the left side of a match is of this packet; None when the packet has no such thing."""
        kind, body = next(iter(left.items())) if isinstance(left, Mapping) else (str(left), {})
        packet = self._state.packet
        match kind:
            case "meta":
                return meta(packet, body["key"])
            case "payload" if "protocol" in body:
                return payload(packet, body["protocol"], body["field"])
            case "ct":
                return tracked(packet, body["key"])
            case "fib" if body["result"] == "type" and body["flags"] == ["daddr"]:
                return destination_type(packet)
            case "concat" if isinstance(body, list):
                return self._concatenated(body)
        raise Unknown(kind)

    def _concatenated(self, parts: Sequence[Json]) -> tuple[Value, ...] | None:
        values: list[Value] = []
        for part in parts:
            value = self._value(part)
            if value is None or isinstance(value, tuple):
                return None
            values.append(value)
        return tuple(values)

    def _translate(self, rule: Rule, body: Json) -> Verdict:
        address, port = body.get("addr"), body.get("port")
        if isinstance(address, Mapping) and "map" in address:
            found = self._mapped(rule, address["map"])
            if found is None:
                return _GO_ON
            address, port = found["concat"] if isinstance(found, Mapping) else (found, port)
        if not isinstance(address, str) or not isinstance(port, int | None):
            raise Unknown("dnat")
        packet = self._state.packet
        self._state.packet = replace(
            packet, destination=ip_address(address), port=port or packet.port, translated=True, local=False
        )
        return "accept", ""


def _verdict(found: Mapping[str, Json]) -> Verdict:
    ((kind, body),) = found.items()
    return kind, body["target"] if body else ""
