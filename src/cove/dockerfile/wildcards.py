"""Patterns of COPY and of ``--exclude`` as expressions for whole paths: Go's filepath.Match, and perhaps ``**``. Pure.

Each star takes as little as it can and is then held to that (an atomic group), as Go's matcher does: what follows is
only ever helped by it. So no pattern can keep the matcher busy for more than a pass over the path for each of its
pieces. Only a ``**`` may be tried again at each component, for what is between it and the next one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from cove.errors import InvalidArgument

_STAR, _COMPONENTS, _ANYTHING = "[^/]*", "(?:[^/]+/)*", ".*"


@dataclass
class _Piece:
    """What is between two stars. ``star``: what is before it, nothing at the beginning."""

    star: str
    text: list[str] = field(default_factory=list)


def has_wildcards(path: str) -> bool:
    """Whether anything in it is special."""
    return any(mark in path for mark in "*?[")


def expression(pattern: str, *, deep: bool = True) -> str:
    """The expression of a cleaned pattern. ``deep``: ``**`` as a component is any number of them, not a ``*``.

    Raises InvalidArgument.
    """
    pieces = [_Piece("")]
    for star, text in _tokens(pattern.strip("/"), pattern, deep):
        if star:
            pieces.append(_Piece(star))
        else:
            pieces[-1].text.append(text)
    runs: list[list[_Piece]] = [[]]
    for piece in pieces:
        if piece.star in (_COMPONENTS, _ANYTHING):
            runs.append([])
        runs[-1].append(piece)
    *inner, last = runs
    return "(?s)" + "".join(_held(_run(run, last=False)) for run in inner) + _run(last, last=True)


def _run(run: list[_Piece], *, last: bool) -> str:
    """A part of a pattern without ``**`` but for the one that it begins with. ``last``: the path ends with it."""
    made = []
    for place, piece in enumerate(run):
        free = not place or (last and piece is run[-1])
        star = piece.star if last and free else f"{piece.star}?" if piece.star else ""
        text = star + "".join(piece.text)
        made.append(text if free else _held(text))
    return "".join(made)


def _held(text: str) -> str:
    return f"(?>{text})"


def _tokens(pattern: str, whole: str, deep: bool) -> Iterator[tuple[str, str]]:
    """Stars and the expressions of single characters. Raises InvalidArgument naming the whole pattern."""
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if deep and pattern.startswith("**/", position) and (not position or pattern[position - 1] == "/"):
            yield _COMPONENTS, ""
            position += 3
        elif deep and pattern.startswith("**", position):
            yield _ANYTHING, ""
            position += 2
        elif character == "*":
            yield _STAR, ""
            position += 1
        elif character == "?":
            yield "", "[^/]"
            position += 1
        elif character == "[":
            text, position = _class(pattern, position + 1, whole)
            yield "", text
        else:
            literal, position = _character(pattern, position, whole)
            yield "", re.escape(literal)


def _class(pattern: str, position: int, whole: str) -> tuple[str, int]:
    """A class after its bracket: ranges, of which one that goes backwards has nothing in it."""
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[str] = []
    count = 0
    while not (count and pattern.startswith("]", position)):
        low, position = _bound(pattern, position, whole)
        high = low
        if pattern.startswith("-", position):
            high, position = _bound(pattern, position + 1, whole)
        ranges += [f"{re.escape(low)}-{re.escape(high)}"] if low <= high else []
        count += 1
    if not ranges:
        return ("." if negated else "(?!)"), position + 1
    return f"[{'^' if negated else ''}{''.join(ranges)}]", position + 1


def _bound(pattern: str, position: int, whole: str) -> tuple[str, int]:
    if pattern[position : position + 1] in ("", "-", "]"):
        raise _bad(whole)
    return _character(pattern, position, whole)


def _character(pattern: str, position: int, whole: str) -> tuple[str, int]:
    """One character, or the one after a backslash."""
    if pattern[position] != "\\":
        return pattern[position], position + 1
    if position + 1 == len(pattern):
        raise _bad(whole)
    return pattern[position + 1], position + 2


def _bad(pattern: str) -> InvalidArgument:
    return InvalidArgument(f"syntax error in pattern: {pattern}")
