"""The flags of a command line as the tools that call runtimes write them (Go's flag package): ``--name value``,

``--name=value``, one dash or two. Flags end at the first word that is none, or at ``--``.
"""

from cove.lean import Any, NamedTuple

BOOL, TEXT, LIST, INT = "bool", "text", "list", "int"


class Refused(Exception):
    """The command line cannot be understood; the message is for the user."""


class Flag(NamedTuple):
    """``names``: the first is the key of the result. ``kind``: BOOL, TEXT, LIST or INT."""

    names: tuple[str, ...]
    kind: str
    help: str
    default: Any = None

    @property
    def missing(self) -> Any:
        return {BOOL: False, TEXT: "", LIST: [], INT: 0}[self.kind] if self.default is None else self.default


def flag(names: str, kind: str, help: str, default: Any = None) -> Flag:
    """``names`` are separated by commas, without dashes."""
    return Flag(tuple(names.split(",")), kind, help, default)


def parse(flags: tuple[Flag, ...], words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The values of all flags by their first name, and the words after them. Raises Refused."""
    known = {name: entry for entry in flags for name in entry.names}
    values = {entry.names[0]: entry.missing for entry in flags}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.lstrip("-").partition("=")
        entry = known.get(name)
        if entry is None:
            raise Refused(f"flag provided but not defined: -{name}")
        if not equals and entry.kind != BOOL:
            if not rest:
                raise Refused(f"flag needs an argument: -{name}")
            value = rest.pop(0)
        _set(values, entry, name, value if equals or entry.kind != BOOL else "true")
    return values, rest


def _set(values: dict[str, Any], entry: Flag, name: str, value: str) -> None:
    key = entry.names[0]
    if entry.kind == BOOL:
        if value not in ("true", "false", "1", "0", "t", "f"):
            raise Refused(f'invalid boolean value "{value}" for -{name}')
        values[key] = value in ("true", "1", "t")
    elif entry.kind == INT:
        try:
            values[key] = int(value, 0)
        except ValueError:
            raise Refused(f'invalid value "{value}" for flag -{name}: not a number') from None
    elif entry.kind == LIST:
        values[key] = [*values[key], value]
    else:
        values[key] = value


def expect(words: list[str], least: int, most: int | None, command: str) -> None:
    """Raises Refused unless there are so many arguments."""
    if len(words) < least:
        raise Refused(f'"{command}" requires at least {least} argument(s)')
    if most is not None and len(words) > most:
        raise Refused(f'"{command}" requires at most {most} argument(s)')
