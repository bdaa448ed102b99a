"""What is wrong with a Dockerfile, and where."""

from dataclasses import dataclass

from cove.errors import InvalidArgument

_RULE = "-" * 20
_CONTEXT_OF_ONE = 4
_CONTEXT_OF_SEVERAL = 2


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """The lines of a statement, counted from 1; both ends belong to it."""

    first: int
    last: int

    @classmethod
    def line(cls, number: int) -> "Location":
        """One line."""
        return cls(number, number)

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last


class DockerfileError(InvalidArgument):
    """A Dockerfile that cannot be built, in BuildKit's words; ``culprit`` is the text in it that a caret points at."""

    def __init__(self, message: str, location: Location | None = None, culprit: str = "") -> None:
        super().__init__(message)
        self.location = location
        self.culprit = culprit

    def at(self, location: Location, prefix: str = "") -> "DockerfileError":
        """The same with ``prefix`` before its message, at this location if it has none yet."""
        return type(self)(prefix + self.message, self.location or location, self.culprit)

    def excerpt(self, name: str, text: str) -> str:
        """The lines around the mistake, as ``docker build`` shows them, and a caret; empty when no place is known."""
        return "" if self.location is None else excerpt(name, text, self.location, self.culprit)


def excerpt(name: str, text: str, location: Location, culprit: str = "") -> str:
    """``location`` in ``text`` with some lines around it, marked as BuildKit marks them, ending in a newline.

    A caret below the first line that has ``culprit`` points at it.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not 0 < location.first <= len(lines):
        return ""
    first, last = _window(location.first, min(location.last, len(lines)), len(lines))
    shown = [f"{name}:{location.first}", _RULE]
    pointed = False
    for number in range(first, last + 1):
        line = lines[number - 1].rstrip("\r")
        marked = number in location
        shown.append(f" {number:3} | {'>>>' if marked else '   '} {line}")
        if marked and culprit and not pointed and culprit in line:
            shown.append(f"     |     {_blank(line[: line.index(culprit)])}{'^' * len(culprit)}")
            pointed = True
    return "\n".join([*shown, _RULE, ""])


def _window(first: int, last: int, lines: int) -> tuple[int, int]:
    wanted, got = (_CONTEXT_OF_ONE if first == last else _CONTEXT_OF_SEVERAL), 0
    while got < wanted:
        if first > 1:
            first, got = first - 1, got + 1
        if last < lines:
            last, got = last + 1, got + 1
        got += 1
    return first, last


def _blank(text: str) -> str:
    return "".join("\t" if character == "\t" else " " for character in text)
