"""What somebody may have meant: the nearest of the words that there are."""

from collections.abc import Iterable

_FAR = 3
"""Edits from which on two words have nothing to do with each other; BuildKit's figure."""


def nearest(word: str, options: Iterable[str], *, ignore_case: bool = False) -> str:
    """The option that is less than three edits away, in the case of ``word`` if case is ignored; empty if none is."""
    wanted = word.lower() if ignore_case else word
    best, distance = "", _FAR
    for option in sorted(options):
        candidate = option.lower() if ignore_case else option
        if candidate == wanted:
            return ""
        if (edits := _edits(wanted, candidate, distance)) < distance:
            best, distance = candidate, edits
    return _in_case_of(word, best) if ignore_case else best


def suggestion(word: str, options: Iterable[str], *, ignore_case: bool = False) -> str:
    """`` (did you mean …?)`` for the end of a message, or nothing."""
    match = nearest(word, options, ignore_case=ignore_case)
    return f" (did you mean {match}?)" if match else ""


def _edits(one: str, other: str, limit: int) -> int:
    """The Levenshtein distance, or something from ``limit`` on when it is that far."""
    if abs(len(one) - len(other)) >= limit:
        return limit
    row = list(range(len(other) + 1))
    for number, left in enumerate(one, 1):
        diagonal, row[0] = row[0], number
        for column, right in enumerate(other, 1):
            diagonal, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, diagonal + (left != right))
    return row[-1]


def _in_case_of(pattern: str, word: str) -> str:
    return word.upper() if pattern == pattern.upper() and pattern != pattern.lower() else word
