"""The arguments of ps(1) that ``docker top`` takes: which columns, and which processes. Pure.

Words with a dash are UNIX options, words without one are BSD's; their letters may stand together (ps(1)).
"""

from typing import NamedTuple

from cove.errors import InvalidArgument


class Asked(NamedTuple):
    """``columns``: of ``-o``, ``name`` or ``name=TITLE``; without them ``format`` counts. ``pids``: None is all."""

    columns: list[str]
    format: str
    pids: set[int] | None


_UNIX_FORMATS = {"f": "full", "F": "extra full", "l": "long", "j": "jobs"}
_BSD_FORMATS = {"u": "user", "l": "bsd long", "j": "bsd jobs", "v": "user"}
_UNIX_IGNORED = frozenset("eAadNHwyMc")
_BSD_IGNORED = frozenset("axegrwfc")
"""What chooses among all processes of the machine, or the look; the container's are shown in any case."""


def parse(text: str) -> Asked:
    """Raises InvalidArgument for what is no argument of ps, or one that makes no sense here."""
    words = text.split() or ["-ef"]
    columns: list[str] = []
    kind = ""
    pids: set[int] | None = None
    while words:
        word = words.pop(0)
        unix = word.startswith("-") and word != "-aux"
        formats, ignored = (_UNIX_FORMATS, _UNIX_IGNORED) if unix else (_BSD_FORMATS, _BSD_IGNORED)
        kind = kind or ("" if unix else "bsd")
        letters = word.lstrip("-")
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in "op":
                value = letters or (words.pop(0) if words else "")
                letters = ""
                if letter == "o":
                    columns += _columns(value, word)
                else:
                    pids = (pids or set()) | _pids(value)
            elif letter in formats:
                kind = formats[letter]
            elif letter not in ignored:
                raise InvalidArgument(f"unknown ps arguments: {text!r}")
    return Asked(columns, kind or "plain", pids)


def _columns(value: str, word: str) -> list[str]:
    """``pid,comm`` or ``pid=TITLE``: a title goes to the end of the word, as it may have commas."""
    name, equals, title = value.partition("=")
    names = [column for column in name.split(",") if column]
    if not names:
        raise InvalidArgument(f"unknown ps column: {word!r}")
    if equals:
        rest, comma, more = title.partition(",")
        return [*names[:-1], f"{names[-1]}={rest}", *(_columns(more, word) if comma else [])]
    return names


def _pids(value: str) -> set[int]:
    numbers = value.split(",")
    if not all(number.isdecimal() for number in numbers):
        raise InvalidArgument(f"process ID list syntax error: {value!r}")
    return {int(number) for number in numbers}
