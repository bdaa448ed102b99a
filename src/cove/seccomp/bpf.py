"""Classic BPF, as seccomp(2) takes it: instructions, comparisons of arguments, and a search tree over numbers.

A block is a list of instructions that is entered at its beginning. Jumps are relative and only go forward, so that
blocks are put together by concatenation.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from cove.errors import InvalidArgument

LONGEST = 4096
"""Instructions of one program (BPF_MAXINSNS)."""

LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP = 0x05  # BPF_JMP | BPF_JA
JUMP_EQUAL = 0x15
JUMP_GREATER = 0x25
JUMP_GREATER_EQUAL = 0x35
RETURN = 0x06  # BPF_RET | BPF_K

NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data (linux/seccomp.h)."""

_FARTHEST = 255  # what a conditional jump can skip


class Instruction(NamedTuple):
    """``when``, ``otherwise``: how many instructions a conditional jump skips."""

    code: int
    value: int
    when: int = 0
    otherwise: int = 0


Block = list[Instruction]


class Comparison(NamedTuple):
    """Of one argument of a call. ``operator``: the specification's, without its ``SCMP_CMP_``."""

    argument: int
    operator: str
    value: int
    second: int = 0


class _Step(NamedTuple):
    """An instruction of a comparison; where its jumps lead is "next", "pass" or "fail"."""

    code: int
    value: int
    when: str = "next"
    otherwise: str = "next"


def give_back(value: int) -> Block:
    """End with an action (SECCOMP_RET_*)."""
    return [Instruction(RETURN, value)]


def when_all(comparisons: Sequence[Comparison], action: int, *, bits: int, big_endian: bool) -> Block:
    """End with ``action`` when all of them hold; go on behind the block otherwise."""
    block = give_back(action)
    for comparison in reversed(comparisons):
        block = _compared(comparison, len(block), bits, big_endian) + block
    return block


def when_one_of(argument: int, values: Sequence[int], action: int, *, bits: int, big_endian: bool) -> Block:
    """End with ``action`` when the argument is one of the values, whose upper 32 bits are alike; go on otherwise."""
    low, high = _places(argument, big_endian)
    block = [Instruction(LOAD, low)]
    for position, value in enumerate(values):
        left = len(values) - position - 1
        block.append(Instruction(JUMP_EQUAL, value & 0xFFFFFFFF, left, 0 if left else 1))
    block += give_back(action)
    upper = values[0] >> 32
    return block if bits == 32 else [Instruction(LOAD, high), Instruction(JUMP_EQUAL, upper, 0, len(block)), *block]


def _places(argument: int, big_endian: bool) -> tuple[int, int]:
    """Where the lower and the upper half of an argument are."""
    place = ARGUMENTS + 8 * argument
    return (place + 4, place) if big_endian else (place, place + 4)


def _compared(comparison: Comparison, rest: int, bits: int, big_endian: bool) -> Block:
    """Go on behind the block when it holds, and otherwise ``rest`` instructions further."""
    steps = _steps(comparison, bits, big_endian)
    block = []
    for position, step in enumerate(steps):
        behind = len(steps) - position - 1
        skips = {"next": 0, "pass": behind, "fail": behind + rest}
        block.append(Instruction(step.code, step.value, skips[step.when], skips[step.otherwise]))
    return block


def _steps(comparison: Comparison, bits: int, big_endian: bool) -> list[_Step]:
    low, high = _places(comparison.argument, big_endian)
    operator, value, second = comparison.operator, comparison.value, comparison.second
    if operator == "MASKED_EQ":
        halves = [_masked(low, value, second)]
        if bits == 64:
            halves.insert(0, _masked(high, value >> 32, second >> 32))
        return [step for half in halves for step in half]
    upper = [] if bits == 32 else [_Step(LOAD, high), *_upper_half(operator, value >> 32)]
    return [*upper, _Step(LOAD, low), _lower_half(operator, value & 0xFFFFFFFF)]


def _masked(place: int, mask: int, wanted: int) -> list[_Step]:
    load, mask_off = _Step(LOAD, place), _Step(AND, mask & 0xFFFFFFFF)
    return [load, mask_off, _Step(JUMP_EQUAL, wanted & 0xFFFFFFFF, "next", "fail")]


def _upper_half(operator: str, value: int) -> list[_Step]:
    """Decide by the upper 32 bits, unless they are the same."""
    if operator == "EQ":
        return [_Step(JUMP_EQUAL, value, "next", "fail")]
    if operator == "NE":
        return [_Step(JUMP_EQUAL, value, "next", "pass")]
    greater, less = ("pass", "fail") if operator in ("GT", "GE") else ("fail", "pass")
    return [_Step(JUMP_GREATER, value, greater, "next"), _Step(JUMP_EQUAL, value, "next", less)]


def _lower_half(operator: str, value: int) -> _Step:
    code = {"EQ": JUMP_EQUAL, "NE": JUMP_EQUAL, "GT": JUMP_GREATER, "LE": JUMP_GREATER}.get(
        operator, JUMP_GREATER_EQUAL
    )
    yes, no = ("fail", "pass") if operator in ("NE", "LE", "LT") else ("pass", "fail")
    return _Step(code, value, yes, no)


def search(ranges: Sequence[tuple[int, Block]]) -> Block:
    """A tree that finds the range of the number that was loaded, and goes on with its block.

    ``ranges``: the first number of each, ascending, the first one 0; each block ends with an action.
    """
    if len(ranges) == 1 or _length(ranges) <= _FARTHEST:
        return _Thicket(ranges).program
    middle = len(ranges) // 2
    below, above = search(ranges[:middle]), search(ranges[middle:])
    return [*_fork(JUMP_GREATER_EQUAL, ranges[middle][0], len(below)), *below, *above]


def _returns(ranges: Sequence[tuple[int, Block]]) -> list[Instruction]:
    """The actions that ranges end with at once, each one time."""
    return list(dict.fromkeys(block[0] for _, block in ranges if len(block) == 1))


def _length(ranges: Sequence[tuple[int, Block]]) -> int:
    """Of a tree whose ranges share their actions."""
    return len(ranges) - 1 + sum(len(block) for _, block in ranges if len(block) > 1) + len(_returns(ranges))


class _Thicket:
    """A tree small enough for every jump to reach its end, where each action is once: half as long, so half as long
    to load, as the kernel translates all of it.
    """

    def __init__(self, ranges: Sequence[tuple[int, Block]]) -> None:
        returns = _returns(ranges)
        first = _length(ranges) - len(returns)
        self._places = {action: first + number for number, action in enumerate(returns)}
        self.program: Block = []
        self._plant(ranges)
        self.program += returns

    def _plant(self, ranges: Sequence[tuple[int, Block]]) -> int:
        """Where the tree of these ranges begins."""
        here = len(self.program)
        if len(ranges) == 1:
            block = ranges[0][1]
            if len(block) == 1:
                return self._places[block[0]]
            self.program += block
            return here
        middle = len(ranges) // 2
        self.program.append(Instruction(RETURN, 0))  # known when both sides are there
        below, above = self._plant(ranges[:middle]), self._plant(ranges[middle:])
        fork = Instruction(JUMP_GREATER_EQUAL, ranges[middle][0], above - here - 1, below - here - 1)
        self.program[here] = fork
        return here


def _fork(code: int, value: int, distance: int) -> Block:
    """Skip ``distance`` instructions when the condition holds."""
    if distance <= _FARTHEST:
        return [Instruction(code, value, distance, 0)]
    return [Instruction(code, value, 0, 1), Instruction(JUMP, distance)]


def by_architecture(blocks: Sequence[tuple[int, Block]], otherwise: Block) -> Block:
    """Go on with the block of the call's architecture, with the call's number loaded."""
    program = otherwise
    for token, block in reversed(blocks):
        whole = [Instruction(LOAD, NUMBER), *block]
        program = [Instruction(JUMP_EQUAL, token, 1, 0), Instruction(JUMP, len(whole)), *whole, *program]
    return [Instruction(LOAD, ARCHITECTURE), *program]


def encode(program: Block) -> bytes:
    """An array of struct sock_filter. Raises InvalidArgument when it is longer than the kernel takes."""
    if len(program) > LONGEST:
        raise InvalidArgument(f"the seccomp profile has too many rules: {len(program)} instructions, {LONGEST} at most")
    return b"".join(struct.pack("=HBBI", item.code, item.when, item.otherwise, item.value) for item in program)
