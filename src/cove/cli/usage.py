"""The help texts, laid out as Docker's are; loaded only when help or a complaint is printed."""

from __future__ import annotations

import os
import sys

from cove.cli.catalog import COMMANDS, COMMON, GROUPS, members
from cove.cli.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.command import Command

PROGRAM = "cove"
DEFAULT_WIDTH = 79
SLOP = 5
NARROWEST = 24
BLOCK_INDENT = 16


def usage_line(path: str, command: Command) -> str:
    """``cove ps [OPTIONS]``; a command with several forms has a line for each."""
    return "\n\t".join(f"{PROGRAM} {path} {form}" for form in command.usage.split("\n"))


def command_help(path: str, command: Command, width: int | None = None) -> str:
    entry = COMMANDS[path]
    parts = [f"Usage:  {usage_line(path, command)}", command.long or entry.summary]
    if len(entry.names) > 1:
        parts.append("Aliases:\n  " + ", ".join(f"{PROGRAM} {name}" for name in entry.names))
    visible = [flag for flag in command.flags if not flag.hidden]
    if visible:
        parts.append("Options:\n" + flag_lines(visible, width or terminal_width()))
    return "\n\n".join(parts) + "\n"


def group_help(group: str) -> str:
    rows = members(group)
    return (
        f"Usage:  {PROGRAM} {group} COMMAND\n\n{GROUPS[group]}\n\nCommands:\n{_listed(rows, 11)}\n\n"
        f"Run '{PROGRAM} {group} COMMAND --help' for more information on a command.\n"
    )


def root_help(flags: tuple[Flag, ...], width: int | None = None) -> str:
    top = dict(members(""))
    common = [(name, top[name]) for name in COMMON]
    others = [(name, summary) for name, summary in top.items() if name not in COMMON]
    parts = [
        f"Usage:  {PROGRAM} [OPTIONS] COMMAND",
        "A container platform that speaks the Docker Engine API",
        "Common Commands:\n" + _listed(common, 11),
        "Management Commands:\n" + _listed(sorted(GROUPS.items()), 11),
        "Commands:\n" + _listed(others, 11),
        "Global Options:\n" + flag_lines(list(flags), width or terminal_width()),
        f"Run '{PROGRAM} COMMAND --help' for more information on a command.",
    ]
    return "\n\n".join(parts) + "\n"


def _listed(rows: list[tuple[str, str]], least: int) -> str:
    width = max(least, *(len(name) for name, _ in rows))
    return "\n".join(f"  {name.ljust(width)} {summary}" for name, summary in rows)


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


def flag_complaint(path: str, usage: str, message: str) -> str:
    named = f"{PROGRAM} {path}".rstrip()
    return f"{message}\n\nUsage:  {usage}\n\nRun '{named} --help' for more information"


def count_complaint(path: str, command: Command, words: str, verb: str) -> str:
    named = f"{PROGRAM} {path}"
    return (
        f"{PROGRAM}: '{named}' {words}\n\nUsage:  {usage_line(path, command)}\n\n"
        f"{verb} '{named} --help' for more information"
    )
