"""The patterns of ``${name#pattern}``, ``${name%pattern}`` and ``${name/pattern/replacement}``.

A pattern has ``*`` and ``?``, which do not match a newline, and no brackets. Matching is done by a library whose time
grows with the text only: with Python's ``re`` a Dockerfile could keep the daemon busy for ever.
"""

import re
from typing import TYPE_CHECKING

from cove.dockerfile.failure import DockerfileError

if TYPE_CHECKING:
    import re2

_SPECIAL = "[]{}.+()|^$"
_REFERENCE = re.compile(r"\$(\$|\{[0-9A-Za-z_]+\}|[0-9A-Za-z_]+)")


def without_prefix(pattern: str, value: str, *, longest: bool) -> str:
    """``value`` without what the pattern matches at its start."""
    match = _compiled(pattern, longest=longest, anchored=True).search(value)
    return value[match.end() :] if match else value


def without_suffix(pattern: str, value: str, *, longest: bool) -> str:
    """``value`` without what the pattern matches at its end."""
    return without_prefix(_reversed(pattern), value[::-1], longest=longest)[::-1]


def replaced(pattern: str, replacement: str, value: str, *, everywhere: bool) -> str:
    """``value`` with the first or with all matches replaced."""
    compiled = _compiled(pattern, longest=True, anchored=False)
    if not everywhere:
        match = compiled.search(value)
        return value[: match.start()] + replacement + value[match.end() :] if match else value
    parts, position = [], 0
    for match in compiled.finditer(value):
        if match.start() == match.end() == position > 0:
            continue
        parts += [value[position : match.start()], _referring(replacement, match.group())]
        position = match.end()
    return "".join([*parts, value[position:]])


def _referring(replacement: str, match: str) -> str:
    """The replacement with Go's ``$0`` and ``$$``, which only replacing everywhere knows; other groups are empty."""

    def value(reference: "re.Match[str]") -> str:
        name = reference[1].strip("{}")
        return {"$": "$", "0": match}.get(name, "")

    return _REFERENCE.sub(value, replacement)


def _compiled(pattern: str, *, longest: bool, anchored: bool) -> "re2._Regexp":
    import re2

    expression = ("^" if anchored else "") + _expression(pattern, ".*" if longest else ".*?")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        raise DockerfileError(f"invalid pattern ({pattern}) in substitution: {error}") from None


def _expression(pattern: str, star: str) -> str:
    made, position = [], 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "\\":
            following = pattern[position : position + 1]
            if following in ("}", "/"):
                continue
            if following not in ("*", "?", "\\"):
                raise DockerfileError(
                    f"invalid pattern ({pattern}) in substitution: invalid escape '\\{following or chr(0xFFFD)}'"
                )
            made.append("\\" + following)
            position += 1
        else:
            made.append({"*": star, "?": "."}.get(character) or ("\\" if character in _SPECIAL else "") + character)
    return "".join(made)


def _reversed(pattern: str) -> str:
    """The pattern back to front, with its escapes still before what they escape."""
    pieces, position = [], 0
    while position < len(pattern):
        width = 2 if pattern[position] == "\\" else 1
        pieces.append(pattern[position : position + width])
        position += width
    return "".join(reversed(pieces))
