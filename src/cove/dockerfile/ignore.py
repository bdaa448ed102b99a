"""Which files of a context are left out: ``.dockerignore``, and the patterns of ``--exclude``.

The rules are those of moby's patternmatcher, oddities included, since people have files that rely on them: patterns are
matched in order and the last that matches decides, ``!`` brings back, ``**`` stands for any number of directories, and
what matches a directory matches all below it. Matching is linear in the length of a path, whatever the pattern.
"""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cove.dockerfile.text import SPACE
from cove.errors import InvalidArgument

if TYPE_CHECKING:
    import re2

FILE_NAME = ".dockerignore"
SIZE_LIMIT = 1 << 20
"""The most bytes of an ignore file."""

PATTERN_LIMIT = 4096
"""The most patterns of an ignore file: each is tried on each path."""

_ESCAPED = ".+()|{}$"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern. ``text`` is cleaned and without its ``!``."""

    text: str
    exception: bool
    """Whether it began with ``!``: what it matches is not left out."""
    expression: str
    """A regular expression for a whole path, in Go's syntax."""

    @classmethod
    def parse(cls, written: str) -> "Pattern":
        """Raises InvalidArgument for a pattern that means nothing."""
        text = cleaned(written.strip(SPACE))
        if text == "!":
            raise InvalidArgument('illegal exclusion pattern: "!"')
        exception = text.startswith("!")
        text = text[exception:]
        if not _well_formed(text):
            raise InvalidArgument(f"syntax error in pattern: {written}")
        return cls(text, exception, _expression(text))

    @property
    def literal(self) -> str | None:
        """The path, if the pattern has no wildcards."""
        return None if _wild(self.text) else self.text

    @property
    def fixed_directories(self) -> str:
        """The part before the first component with a wildcard: nothing outside of it can match."""
        parts = self.text.split("/")
        wild = next((index for index, part in enumerate(parts) if _wild(part)), len(parts))
        return "/".join(parts[:wild])


class Matcher:
    """Patterns in their order. Paths are relative to the context, with slashes, cleaned."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises InvalidArgument for a pattern that means nothing, and for too many."""
        written = [pattern for pattern in patterns if pattern.strip(SPACE)]
        if len(written) > PATTERN_LIMIT:
            raise InvalidArgument(f"{len(written)} patterns are more than {PATTERN_LIMIT}")
        self.patterns = [Pattern.parse(pattern) for pattern in written]
        self._tests = [_Test(pattern) for pattern in self.patterns]
        self.has_exceptions = any(pattern.exception for pattern in self.patterns)

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def ignores(self, path: str) -> bool:
        """Whether a path is left out, by itself or with a directory above it."""
        result: Sequence[bool] = ()
        parts = path.split("/")
        ignored = False
        for depth in range(1, len(parts) + 1):
            ignored, result = self.step("/".join(parts[:depth]), result)
        return ignored

    def step(self, path: str, above: Sequence[bool]) -> tuple[bool, Sequence[bool]]:
        """Whether a path is left out, where ``above`` is the second value for its directory (``()`` at the top).

        The second value says which patterns match the path.
        """
        path = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        ignored = False
        matched: list[bool] = []
        for index, test in enumerate(self._tests):
            match = bool(above) and above[index]
            if not match and test.exception == ignored:
                match = test(path)
            matched.append(match)
            if match:
                ignored = not test.exception
        return ignored, matched

    def may_bring_back(self, directory: str) -> bool:
        """Whether an exception may match something below a directory that is left out."""
        inside = directory + "/"
        for pattern in self.patterns:
            if pattern.exception:
                fixed = pattern.fixed_directories + "/"
                if fixed == "/" or fixed.startswith(inside) or (inside.startswith(fixed) and pattern.literal is None):
                    return True
        return False


def parse_ignore_file(data: bytes) -> list[str]:
    """The patterns of an ignore file, without comments, blank lines and leading slashes. Raises InvalidArgument."""
    if len(data) > SIZE_LIMIT:
        raise InvalidArgument(f"the ignore file is {len(data)} bytes long, more than {SIZE_LIMIT}")
    lines = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").split("\n")
    return [pattern for line in lines if not line.startswith("#") and (pattern := _normal(line.strip(SPACE)))]


def cleaned(path: str) -> str:
    """The shortest form of a path, as Go's ``path.Clean`` gives it: ``.`` for nothing."""
    return posixpath.normpath(path).replace("//", "/", 1) if path else "."


def _normal(pattern: str) -> str:
    sign = "!" if pattern.startswith("!") else ""
    pattern = pattern.removeprefix("!").strip(SPACE)
    if pattern:
        pattern = cleaned(pattern)
        pattern = pattern[1:] if len(pattern) > 1 and pattern.startswith("/") else pattern
    return sign + pattern


class _Test:
    """One pattern, ready to be tried on paths; most need no regular expression."""

    def __init__(self, pattern: Pattern) -> None:
        self.exception = pattern.exception
        text = pattern.text
        self._exact = pattern.literal
        self._suffix = text[2:] if text.startswith("**") and not _wild(text[2:]) else None
        self._prefix = text[:-2] if text.endswith("**") and not _wild(text[:-2]) else None
        simple = self._exact is not None or self._suffix is not None or self._prefix is not None
        self._compiled = None if simple else _compiled(pattern)

    def __call__(self, path: str) -> bool:
        if self._exact is not None:
            return path == self._exact
        if self._suffix is not None:
            return path.endswith(self._suffix) or "/" + path == self._suffix
        if self._prefix is not None:
            return path.startswith(self._prefix)
        return self._compiled is not None and self._compiled.search(path) is not None


def _wild(text: str) -> bool:
    return any(special in text for special in "*?[]\\")


def _compiled(pattern: Pattern) -> "re2._Regexp":
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern.expression, options)
    except re2.error:
        raise InvalidArgument(f"syntax error in pattern: {pattern.text}") from None


def _well_formed(pattern: str) -> bool:
    """Whether brackets are closed and no escape is at the end: what Go's ``path.Match`` accepts."""
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "\\":
            if position == len(pattern):
                return False
            position += 1
        elif character == "[":
            position = _after_class(pattern, position)
            if position < 0:
                return False
    return True


def _after_class(pattern: str, position: int) -> int:
    """Where a class that begins at ``position`` ends, or -1."""
    position += pattern.startswith("^", position)
    first = position
    while not (position > first and pattern.startswith("]", position)):
        position = _after_member(pattern, position)
        if position >= 0 and pattern.startswith("-", position):
            position = _after_member(pattern, position + 1)
        if position < 0:
            return -1
    return position + 1


def _after_member(pattern: str, position: int) -> int:
    if position >= len(pattern) or pattern[position] in "-]":
        return -1
    position += 1 + (pattern[position] == "\\")
    return position if position < len(pattern) else -1


def _expression(pattern: str) -> str:
    """The pattern as a regular expression.

    ``**/`` stands for directories, or none. At either end of a pattern that has no other wildcard ``**`` is anything.
    """
    if pattern.startswith("**") and not _wild(pattern[2:]):
        rest = pattern[2:]
        return f"^((?s:.*)/)?{_escaped(rest[1:])}$" if rest.startswith("/") else f"^(?s:.*){_escaped(rest)}$"
    if pattern.endswith("**") and not _wild(pattern[:-2]):
        return f"^{_escaped(pattern[:-2])}(?s:.*)$"
    made, position = ["^"], 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*" and pattern.startswith("*", position):
            position += 1 + pattern.startswith("/", position + 1)
            made.append(".*" if position == len(pattern) else "(.*/)?")
        elif character in "*?":
            made.append("[^/]*" if character == "*" else "[^/]")
        elif character == "\\":
            made.append("\\" + pattern[position : position + 1])
            position += 1
        else:
            made.append(_escaped(character))
    return "".join([*made, "$"])


def _escaped(text: str) -> str:
    return "".join("\\" + character if character in _ESCAPED else character for character in text)
