"""From a profile in the runtime specification's form (``linux.seccomp``) to a filter that the kernel loads.

The meaning is that of runc with libseccomp: a rule without conditions wins over those with some, several conditions on
the same argument are alternatives, unknown names are left out, calls newer than all that the profile names fail with
ENOSYS, so that programs fall back to older ones. The form is not: numbers are searched in a tree of ranges, which is
short and quick to load.
"""

import errno
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from cove.errors import InvalidArgument
from cove.oci.runtime import Seccomp, SeccompArgument, SeccompCall
from cove.seccomp import bpf
from cove.seccomp.abi import ABIS, IPC_CALLS, SOCKET_CALLS, X32_BIT, Abi, native, numbers
from cove.seccomp.bpf import Block, Comparison

KILL_THREAD = 0
_ERRNO = 0x00050000
_TRACE = 0x7FF00000
_NOTIFY = 0x7FC00000
_LOG = 0x7FFC0000
_ALLOW = 0x7FFF0000

ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": _ERRNO,
    "SCMP_ACT_NOTIFY": _NOTIFY,
    "SCMP_ACT_TRACE": _TRACE,
    "SCMP_ACT_LOG": _LOG,
    "SCMP_ACT_ALLOW": _ALLOW,
}
"""SECCOMP_RET_* (linux/seccomp.h)."""

OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 32,
}
_NEW_LISTENER = 8
_TSYNC_TELLS = 16  # SECCOMP_FILTER_FLAG_TSYNC_ESRCH, without which TSYNC and a listener exclude each other

_LARGEST_ERRNO = 0xFFFF
_NO_CALL = 0xFFFFFFFF  # what a tracer sets to skip a call


class Filter(NamedTuple):
    """``flags``: for seccomp(2). ``listener``: the socket that gets the descriptor of notifications, or ""."""

    program: bytes
    flags: int
    listener: str
    metadata: str


class _Rule(NamedTuple):
    action: int
    conditions: tuple[Comparison, ...]


def compile_filter(profile: Seccomp, machine: str) -> Filter:
    """The filter of a profile on a machine (``uname -m``). Raises InvalidArgument that names what is wrong."""
    default = _action("defaultAction", profile["defaultAction"], profile.get("defaultErrnoRet"))
    if default == _NOTIFY:
        raise InvalidArgument("SCMP_ACT_NOTIFY cannot be used as default action")
    calls = profile.get("syscalls") or []
    blocks: dict[int, list[tuple[int, Block]]] = {}
    for abi in _abis(profile, machine):
        blocks.setdefault(abi.token, []).extend(_ranges(abi, calls, default))
    bad = bpf.give_back(KILL_THREAD)
    trees = [(token, bpf.search(_merged(token, found))) for token, found in blocks.items()]
    program = bpf.by_architecture(trees, bad)
    notifies = any(call["action"] == "SCMP_ACT_NOTIFY" for call in calls)
    return Filter(
        bpf.encode(program),
        _flags(profile, notifies),
        _listener(profile, notifies),
        profile.get("listenerMetadata") or "",
    )


def _abis(profile: Seccomp, machine: str) -> list[Abi]:
    """The machine's own interface first, then those that the profile names, each once."""
    named = dict.fromkeys([native(machine), *(profile.get("architectures") or [])])
    for name in named:
        if name not in ABIS:
            raise InvalidArgument(f"string {name} is not a valid arch for seccomp")
    return [ABIS[name] for name in named]


def _action(field: str, name: str, errno_return: int | None) -> int:
    if name not in ACTIONS:
        raise InvalidArgument(f"string {name} is not a valid action for seccomp")
    action = ACTIONS[name]
    if action not in (_ERRNO, _TRACE):
        if errno_return:
            raise InvalidArgument(f"seccomp {field}: errnoRet cannot be used with {name}")
        return action
    number = errno.EPERM if errno_return is None else errno_return
    if not 0 <= number <= _LARGEST_ERRNO:
        raise InvalidArgument(f"seccomp {field}: errnoRet {number} is no error number")
    return action | number


def _flags(profile: Seccomp, notifies: bool) -> int:
    given = profile.get("flags")
    if given is None:
        given = ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]  # runc's default
    for name in given:
        if name not in FLAGS:
            raise InvalidArgument(f"seccomp: unknown flag {name}")
    flags = sum({FLAGS[name] for name in given})
    if not notifies:
        return flags & ~FLAGS["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
    return flags | _NEW_LISTENER | (_TSYNC_TELLS if flags & FLAGS["SECCOMP_FILTER_FLAG_TSYNC"] else 0)


def _listener(profile: Seccomp, notifies: bool) -> str:
    path = profile.get("listenerPath") or ""
    if notifies and not path:
        raise InvalidArgument("seccomp listenerPath is not set but SCMP_ACT_NOTIFY is used")
    if not notifies and profile.get("listenerMetadata"):
        raise InvalidArgument("seccomp listenerMetadata is set, and no rule has SCMP_ACT_NOTIFY")
    return path if notifies else ""


def _ranges(abi: Abi, calls: Sequence[SeccompCall], default: int) -> list[tuple[int, Block]]:
    """What becomes of each number of an interface: where a range begins, and its block."""
    known = numbers(abi)
    named = [known[name] for call in calls for name in call["names"] if name in known]
    rules = _rules(abi, calls, default, known)
    otherwise = bpf.give_back(default)
    ranges = [(abi.first, otherwise)]
    for number in sorted(rules):
        block = _tried(rules[number], abi)
        ranges += [(number, block if not rules[number][-1].conditions else block + otherwise), (number + 1, otherwise)]
    if named and default not in (_ALLOW, _LOG, _ERRNO | errno.ENOSYS) and default & ~_LARGEST_ERRNO != _TRACE:
        ranges.append((max(named) + 1, bpf.give_back(_ERRNO | errno.ENOSYS)))
    return ranges


def _tried(rules: list[_Rule], abi: Abi) -> Block:
    """The rules of one number, one after the other; neighbours that list values of one argument are tried together."""
    block: Block = []
    for (listed, argument, _upper, action), group in itertools.groupby(rules, _listing):
        found = list(group)
        if listed:
            values = [rule.conditions[0].value for rule in found]
            for some in range(0, len(values), _TOGETHER):
                block += bpf.when_one_of(
                    argument, values[some : some + _TOGETHER], action, bits=abi.bits, big_endian=abi.big_endian
                )
            continue
        for rule in found:
            block += bpf.when_all(rule.conditions, rule.action, bits=abi.bits, big_endian=abi.big_endian)
    return block


_TOGETHER = 200  # a conditional jump skips 255 instructions at most


def _listing(rule: _Rule) -> tuple[bool, int, int, int]:
    """What rules have in common that only ask whether an argument has a value."""
    if len(rule.conditions) != 1 or rule.conditions[0].operator != "EQ":
        return False, 0, 0, 0
    condition = rule.conditions[0]
    return True, condition.argument, condition.value >> 32, rule.action


def _merged(token: int, found: list[tuple[int, Block]]) -> list[tuple[int, Block]]:
    """All ranges of one architecture, in order, from 0: later words on a number win, like neighbours are one."""
    otherwise = found[0][1]
    ends: dict[int, Block] = {0: otherwise}
    if token == ABIS["SCMP_ARCH_X32"].token:  # two interfaces with one token: x32 is not there unless it is named
        ends[X32_BIT] = bpf.give_back(KILL_THREAD)
    ends.update(found)
    ends[_NO_CALL] = otherwise
    merged: list[tuple[int, Block]] = []
    for start in sorted(ends):
        if not merged or merged[-1][1] != ends[start]:
            merged.append((start, ends[start]))
    return merged


def _rules(abi: Abi, calls: Sequence[SeccompCall], default: int, known: dict[str, int]) -> dict[int, list[_Rule]]:
    """The rules of every number that has any, in the order in which they are tried."""
    rules: dict[int, list[_Rule]] = {}
    for call in calls:
        action = _action(f"syscalls {call['names'][:1]}", call["action"], call.get("errnoRet"))
        if action == _NOTIFY and "write" in call["names"]:
            raise InvalidArgument("SCMP_ACT_NOTIFY cannot be used for the write syscall")
        alternatives = _alternatives(call, abi)
        if action == default:
            continue
        for name in call["names"]:
            if name in known:
                rules.setdefault(known[name], []).extend(_Rule(action, conditions) for conditions in alternatives)
            if not alternatives[0]:
                _add_multiplexed(rules, name, action, known)
    return {number: _decided(found) for number, found in rules.items()}


def _add_multiplexed(rules: dict[int, list[_Rule]], name: str, action: int, known: dict[str, int]) -> None:
    """Calls that older interfaces make by way of one call, whose first argument says which."""
    for way, codes in (("socketcall", SOCKET_CALLS), ("ipc", IPC_CALLS)):
        if name in codes and way in known:
            rules.setdefault(known[way], []).append(_Rule(action, (Comparison(0, "EQ", codes[name]),)))


def _decided(rules: list[_Rule]) -> list[_Rule]:
    """A rule without conditions is the only one that counts."""
    plain = next((rule for rule in rules if not rule.conditions), None)
    return rules if plain is None else [plain]


def _alternatives(call: SeccompCall, abi: Abi) -> list[tuple[Comparison, ...]]:
    conditions = tuple(_comparison(item, abi) for item in call.get("args") or [])
    arguments = {condition.argument for condition in conditions}
    return [(condition,) for condition in conditions] if len(arguments) < len(conditions) else [conditions]


def _comparison(given: SeccompArgument, abi: Abi) -> Comparison:
    operator = given["op"]
    if operator.removeprefix("SCMP_CMP_") not in OPERATORS or not operator.startswith("SCMP_CMP_"):
        raise InvalidArgument(f"string {operator} is not a valid operator for seccomp")
    index, value, second = given["index"], given["value"], given.get("valueTwo", 0)
    if not 0 <= index < 6:
        raise InvalidArgument(f"seccomp: invalid argument index {index}: a system call has 6")
    widest = (1 << abi.bits) - 1
    # libseccomp leaves out of the second value of MASKED_EQ what the mask leaves out of the argument
    return Comparison(index, operator.removeprefix("SCMP_CMP_"), value & widest, second & value & widest)
