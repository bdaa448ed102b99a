"""The help texts, laid out as Docker's are; loaded only when help or a complaint is printed."""

from __future__ import annotations

from cove.cli.catalog import COMMANDS, COMMON, GROUPS, members
from cove.flag_table import flag_lines, terminal_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.command import Command
    from cove.flags import Flag

PROGRAM = "cove"


def usage_line(path: str, command: Command) -> str:
    """``cove ps [OPTIONS]``; a command with several forms has a line for each, in which it is not in its group."""
    first, *others = command.usage.split("\n")
    short = path.rpartition(" ")[2]
    return "\n\t".join([f"{PROGRAM} {path} {first}".rstrip(), *(f"{PROGRAM} {short} {form}" for form in others)])


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


def flag_complaint(path: str, usage: str, message: str) -> str:
    named = f"{PROGRAM} {path}".rstrip()
    return f"{message}\n\nUsage:  {usage}\n\nRun '{named} --help' for more information"


def count_complaint(path: str, command: Command, words: str, verb: str) -> str:
    named = f"{PROGRAM} {path}"
    return (
        f"{PROGRAM}: '{named}' {words}\n\nUsage:  {usage_line(path, command)}\n\n"
        f"{verb} '{named} --help' for more information"
    )
