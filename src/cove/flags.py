"""Options of a command or of the daemon: their declaration and their grammar.

The grammar is that of Docker's command lines: ``--name value``, ``--name=value``, ``-n value``, ``-nvalue``, switches
together (``-it``), ``--switch=false``, ``--`` to end them. A value may begin with a dash (``--memory-swap -1``), which
argparse refuses; and argparse takes 9 ms to import and 5 ms more to learn the flags of ``run``. A flag is declared
once: parsing, help, completion and defaults come from that.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class FlagError(Exception):
    """An option that cannot be used. ``message``: in Docker's words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Kind:
    """A type of value: its name in the help, how text becomes a value (ValueError refuses), how a repeat is taken."""

    __slots__ = ("many", "name", "parse", "zero")

    def __init__(self, name: str, parse: Callable[[str], Any], zero: Any = None, many: str = "") -> None:
        self.name = name
        self.parse = parse
        self.zero = zero
        self.many = many


class Flag:
    """One option. ``default`` is what a command sees when it is absent; ``shown`` is the help's word for it.

    ``into`` names the flag whose values it adds to, for an older spelling. ``needs`` is the oldest version of the API
    that a daemon must have for it ("1.43"), or the only operating system.
    """

    __slots__ = ("default", "help", "hidden", "into", "kind", "name", "needs", "short", "shown")

    def __init__(
        self,
        name: str,
        kind: Kind,
        help: str,
        short: str = "",
        default: Any = None,
        shown: str = "",
        hidden: bool = False,
        into: str = "",
        needs: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.help = help
        self.short = short
        self.default = kind.zero if default is None else default
        self.shown = shown
        self.hidden = hidden
        self.into = into or name
        self.needs = needs

    @property
    def spelling(self) -> str:
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Values:
    """What the options of one command line say. Every declared flag has a value; ``changed`` tells those given."""

    __slots__ = ("_values", "given")

    def __init__(self, flags: tuple[Flag, ...]) -> None:
        self._values: dict[str, Any] = {}
        self.given: set[str] = set()
        for flag in flags:
            default = flag.default
            self._values[flag.name] = list(default) if isinstance(default, list) else default

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def on(self, name: str) -> bool:
        return bool(self._values[name])

    def text(self, name: str) -> str:
        return str(self._values[name])

    def many(self, name: str) -> list[Any]:
        values: list[Any] = self._values[name]
        return values

    def number(self, name: str) -> int:
        return int(self._values[name])

    def changed(self, name: str) -> bool:
        return name in self.given

    def take(self, flag: Flag, text: str) -> None:
        try:
            value = flag.kind.parse(text)
        except ValueError as error:
            raise FlagError(f'invalid argument "{text}" for "{flag.spelling}" flag: {error}') from None
        if flag.kind.many == "append":
            self._values[flag.into].append(value)
        elif flag.kind.many == "extend":
            self._values[flag.into].extend(value)
        else:
            self._values[flag.into] = value
        self.given.add(flag.into)


HELP = "help"


class Parser:
    """Reads one command line against a set of flags."""

    def __init__(self, flags: tuple[Flag, ...], interspersed: bool = True) -> None:
        self.flags = flags
        self.interspersed = interspersed
        self._long = {flag.name: flag for flag in flags}
        self._short = {flag.short: flag for flag in flags if flag.short}
        self._rest: list[str] = []

    def parse(self, arguments: list[str]) -> tuple[Values, list[str]]:
        """The options' values and the positional arguments. ``given`` has "help" when help was asked for."""
        values = Values(self.flags)
        positional: list[str] = []
        self._rest = list(arguments)
        while self._rest:
            word = self._rest.pop(0)
            if word == "--":
                positional += self._rest
                break
            if not word.startswith("-") or word == "-":
                positional.append(word)
                if not self.interspersed:
                    positional += self._rest
                    break
            elif word.startswith("--"):
                self._take_long(word, values)
            else:
                self._take_short(word, values)
        return values, positional

    def _take_long(self, word: str, values: Values) -> None:
        name, equals, text = word[2:].partition("=")
        if not name or name.startswith("-"):
            raise FlagError(f"bad flag syntax: {word}")
        flag = self._long.get(name)
        if flag is None:
            if name == HELP:
                values.given.add(HELP)
                return
            raise FlagError(f"unknown flag: --{name}")
        if not equals:
            text = "true" if flag.kind is BOOL else self._value_of(f"flag needs an argument: --{name}")
        values.take(flag, text)

    def _take_short(self, word: str, values: Values) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = self._short.get(letter)
            if flag is None:
                if letter == "h" and HELP not in self._long:
                    values.given.add(HELP)
                    continue
                raise FlagError(f"unknown shorthand flag: '{letter}' in {word}")
            if letters.startswith("="):
                text, letters = letters[1:], ""
            elif flag.kind is BOOL:
                text = "true"
            elif letters:
                text, letters = letters, ""
            else:
                text = self._value_of(f"flag needs an argument: '{letter}' in {word}")
            values.take(flag, text)

    def _value_of(self, complaint: str) -> str:
        if not self._rest:
            raise FlagError(complaint)
        return self._rest.pop(0)


_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


def parse_bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _integer(low: int, high: int, call: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            if low == 0 and text[:1] in ("+", "-"):
                raise ValueError
            value = int(text, 0) if not text.startswith("0") or text[1:2].isalpha() else int(text, 8)
        except ValueError:
            raise ValueError(f'strconv.{call}: parsing "{text}": invalid syntax') from None
        if not low <= value <= high:
            raise ValueError(f'strconv.{call}: parsing "{text}": value out of range')
        return value

    return parse


def _filter(text: str) -> list[tuple[str, str]]:
    key, equals, value = text.partition("=")
    if text and not equals:
        raise ValueError("bad format of filter (expected name=value)")
    return [(key.strip().lower(), value.strip())] if text else []


def _map_entry(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def parse_fields(text: str) -> list[str]:
    """Comma-separated fields, which may be in double quotes."""
    if '"' not in text:
        return text.split(",") if text else []
    import csv

    return next(csv.reader([text]), [])


_SIGNED = (-(2**63), 2**63 - 1)

BOOL = Kind("", parse_bool, False)
STRING = Kind("string", str, "")
LIST = Kind("list", str, [], "append")
STRINGS = Kind("strings", parse_fields, [], "extend")
INT = Kind("int", _integer(*_SIGNED, "ParseInt"), 0)
UINT = Kind("uint", _integer(0, 2**64 - 1, "ParseUint"), 0)
UINT16 = Kind("uint16", _integer(0, 2**16 - 1, "ParseUint"), 0)
MAP = Kind("map", _map_entry, [], "append")
FILTER = Kind("filter", _filter, [], "extend")
