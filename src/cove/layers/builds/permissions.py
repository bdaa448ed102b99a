"""Modes of files as ``chmod`` reads them: octal, or symbolic (POSIX.1-2017, chmod)."""

import re
from collections.abc import Callable

from cove.errors import InvalidArgument

Change = Callable[[int, bool], int]
"""From a mode, and whether it is a directory's, to the new one."""

NEW_DIRECTORY = 0o755
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}
_MOST = 0o7777


def parse(text: str) -> Change:
    """Raises InvalidArgument in BuildKit's words."""
    if re.fullmatch("0*[0-7]{1,4}", text):
        number = int(text, 8)
        return lambda mode, directory: number
    clauses = [_CLAUSE.fullmatch(part) for part in text.split(",")]
    if not text or any(clause is None for clause in clauses):
        raise InvalidArgument(
            f'invalid chmod parameter: "{text}": it should be octal string and between 0 and 07777 or a symbolic mode'
        )

    def change(mode: int, directory: bool) -> int:
        for clause in clauses:
            assert clause is not None
            for sign, what in _ACTION.findall(clause[2]):
                mode = _applied(mode, directory, clause[1] or "a", sign, what)
        return mode

    return change


def of_new_directory(text: str) -> int:
    """The mode of a directory that is made for what is copied: a number is for it as well, but for its highest bits."""
    return int(text, 8) & 0o777 if re.fullmatch("[0-7]+", text) else NEW_DIRECTORY


def _applied(mode: int, directory: bool, who: str, sign: str, what: str) -> int:
    classes = "ugo" if "a" in who else who
    wanted = 0
    for one in classes:
        wanted |= _bits(mode, directory, what) << _SHIFT[one]
        wanted |= (0o4000 if one == "u" else 0o2000 if one == "g" else 0) if "s" in what else 0
    wanted |= 0o1000 if "t" in what else 0
    if sign == "+":
        return mode | wanted
    if sign == "-":
        return mode & ~wanted & _MOST
    kept = mode
    for one in classes:
        kept &= ~(7 << _SHIFT[one])
    return kept & _MOST | wanted


def _bits(mode: int, directory: bool, what: str) -> int:
    if what in _SHIFT:
        return mode >> _SHIFT[what] & 7
    bits = sum(_BITS[letter] for letter in set(what) if letter in _BITS)
    if "X" in what and (directory or mode & 0o111):
        bits |= 1
    return bits
