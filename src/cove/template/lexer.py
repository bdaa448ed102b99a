"""Template text to tokens. Positions are kept for error messages."""

from __future__ import annotations

import re

LEFT, RIGHT = "{{", "}}"

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>"(?:\\.|[^"\\\n])*")
    | (?P<raw>`[^`]*`)
    | (?P<char>'(?:\\.[^']*|[^'\\\n])')
    | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+ | 0[bB][01_]+ | 0[oO][0-7_]+
                      | (?:[0-9][0-9_]*)?\.?[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?))
    | (?P<field>\.[^\W\d]\w*)
    | (?P<variable>\$\w*)
    | (?P<word>[^\W\d]\w*)
    | (?P<declare>:=)
    | (?P<symbol>[.=|(),])
    """,
    re.VERBOSE,
)


# A trim marker is a dash with a space before it.
_CLOSE = re.compile(r"\s+-\}\}|\s*\}\}")
_CLOSE_COMMENT = re.compile(r"\s-\}\}|\}\}")


class TemplateError(Exception):
    """A template that cannot be parsed or run; the message is Go's."""


class Token:
    """``kind`` is text, open, close, end, or a group of the token pattern; ``position`` an offset in the source."""

    __slots__ = ("kind", "position", "text")

    def __init__(self, kind: str, text: str, position: int) -> None:
        self.kind = kind
        self.text = text
        self.position = position


def location(source: str, position: int) -> str:
    """``line:column`` as Go counts them: lines from one, columns in bytes from nought."""
    start = source.rfind("\n", 0, position) + 1
    return f"{source.count(chr(10), 0, position) + 1}:{len(source[start:position].encode())}"


def line_of(source: str, position: int) -> int:
    return source.count("\n", 0, position) + 1


def tokens(source: str) -> list[Token]:
    """All tokens of a template, ending with one of kind "end"."""
    found: list[Token] = []
    position = 0
    trim = False
    while (start := source.find(LEFT, position)) >= 0:
        trims_before = _trims_left(source, start)
        _add_text(found, source[position:start], position, trim, trims_before)
        inside = start + 2 + trims_before
        position, trim = _action(found, source, start, inside)
    _add_text(found, source[position:], position, trim, False)
    found.append(Token("end", "", len(source)))
    return found


def _trims_left(source: str, start: int) -> int:
    """The length of a trim marker, ``- ``: its space is part of it."""
    marked = source[start + 2 : start + 3] == "-" and source[start + 3 : start + 4].isspace()
    return 2 if marked else 0


def _add_text(found: list[Token], text: str, position: int, trim_start: bool, trim_end: int | bool) -> None:
    if trim_start:
        text = text.lstrip(" \t\r\n")
    if trim_end:
        text = text.rstrip(" \t\r\n")
    if text:
        found.append(Token("text", text, position))


def _action(found: list[Token], source: str, start: int, position: int) -> tuple[int, bool]:
    """Read one action; return where it ends and whether it trims what follows."""
    if source.startswith("/*", position):
        return _comment(source, position)
    found.append(Token("open", LEFT, start))
    while True:
        if closing := _CLOSE.match(source, position):
            found.append(Token("close", RIGHT, position))
            return closing.end(), "-" in closing.group()
        match = _TOKEN.match(source, position)
        if match is None:
            raise TemplateError(_complaint(source, start, position))
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), position))
        position = match.end()


def _comment(source: str, position: int) -> tuple[int, bool]:
    end = source.find("*/", position + 2)
    line = line_of(source, position)
    if end < 0:
        raise TemplateError(f"template: :{line}: unclosed comment")
    rest = _CLOSE_COMMENT.match(source, end + 2)
    if rest is None:
        raise TemplateError(f"template: :{line}: comment ends before closing delimiter")
    return rest.end(), rest.group() != RIGHT


def _complaint(source: str, start: int, position: int) -> str:
    line = line_of(source, min(position, len(source) - 1))
    rest = source[position:]
    if not rest:
        return f"template: :{line_of(source, start)}: unclosed action"
    if rest[0] == '"':
        return f"template: :{line}: unterminated quoted string"
    if rest[0] == "`":
        return f"template: :{line}: unterminated raw quoted string"
    if rest[0] == "'":
        return f"template: :{line}: unterminated character constant"
    if rest[0] in "+-" or rest[0].isdigit():
        return f"template: :{line}: bad number syntax: {rest[:2].split('}')[0]!r}".replace("'", '"')
    return f"template: :{line}: unexpected U+{ord(rest[0]):04X} '{rest[0]}' in command"
