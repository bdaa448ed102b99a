"""Options in a help text, laid out as Docker lays them out; loaded only when help is printed."""

from __future__ import annotations

import os
import sys

from cove.flags import BOOL, Flag

DEFAULT_WIDTH = 79
SLOP = 5
NARROWEST = 24
BLOCK_INDENT = 16


def terminal_width() -> int:
    """One less than the terminal has, so that a full line does not wrap."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns - 1 or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH


def flag_lines(flags: list[Flag], width: int) -> str:
    """One entry per flag, sorted, the descriptions in a column of their own and wrapped."""
    heads = [(_head(flag), flag) for flag in sorted(flags, key=lambda flag: flag.name)]
    indent = max(len(head) for head, _ in heads) + 3
    return "\n".join(head.ljust(indent) + wrap(indent, width, flag.help + _default(flag)) for head, flag in heads)


def _head(flag: Flag) -> str:
    start = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
    return f"{start} {flag.kind.name}" if flag.kind.name else start


def _default(flag: Flag) -> str:
    if flag.shown:
        return f" (default {flag.shown})"
    if flag.default == flag.kind.zero:
        return ""
    if flag.kind is BOOL:
        return " (default true)"
    return f' (default "{flag.default}")' if isinstance(flag.default, str) else f" (default {flag.default})"


def wrap(indent: int, width: int, text: str) -> str:
    """Break ``text`` into lines that start at ``indent``; the last may run over a little rather than leave one word."""
    room = width - indent
    first = ""
    if room < NARROWEST:
        indent = BLOCK_INDENT
        room = width - indent
        first = "\n" + " " * indent
    margin = "\n" + " " * indent
    if room < NARROWEST:
        return text.replace("\n", first)
    lines: list[str] = []
    while text or not lines:
        line, text = _cut(room - SLOP, text)
        lines.append(line.replace("\n", margin))
    return first + margin.join(lines)


def _cut(room: int, text: str) -> tuple[str, str]:
    """One line off the front: at a newline if there is one in reach, else at the last space."""
    if room + SLOP > len(text):
        return text, ""
    head = text[:room]
    blank = max(head.rfind(char) for char in " \t\n")
    if blank <= 0:
        return text, ""
    newline = head.rfind("\n")
    at = newline if 0 < newline < blank else blank
    return text[:at], text[at + 1 :]
