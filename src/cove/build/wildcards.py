"""Patterns of COPY and of ``--exclude`` as regular expressions for whole paths: Go's filepath.Match, and ``**``."""

import re

from cove.errors import InvalidArgument


def has_wildcards(path: str) -> bool:
    """Whether anything in it is special."""
    return any(mark in path for mark in "*?[")


def expression(pattern: str) -> str:
    """The expression of a cleaned pattern. ``**`` as a component is any number of them. Raises InvalidArgument."""
    made, position, pattern = [], 0, pattern.strip("/")
    while position < len(pattern):
        if pattern.startswith("**/", position):
            made.append("(?:[^/]+/)*")
            position += 3
        elif pattern.startswith("**", position):
            made.append(".*")
            position += 2
        else:
            piece, position = _piece(pattern, position)
            made.append(piece)
    return "(?s)" + "".join(made)


def _piece(pattern: str, position: int) -> tuple[str, int]:
    character = pattern[position]
    if character == "*":
        return "[^/]*", position + 1
    if character == "?":
        return "[^/]", position + 1
    if character == "[":
        return _class(pattern, position)
    if character == "\\" and position + 1 < len(pattern):
        return re.escape(pattern[position + 1]), position + 2
    return re.escape(character), position + 1


def _class(pattern: str, position: int) -> tuple[str, int]:
    end = pattern.find("]", position + 2)
    if end < 0:
        raise InvalidArgument(f"syntax error in pattern: {pattern}")
    body = pattern[position + 1 : end]
    negated = body.startswith("^")
    inner = re.sub(r"([\\\[\]&~|])", r"\\\1", body[negated:])
    made = f"[{'^/' if negated else ''}{inner}]"
    try:
        re.compile(made)
    except re.error:
        raise InvalidArgument(f"syntax error in pattern: {pattern}") from None
    return made, end + 1
