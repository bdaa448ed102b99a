"""A Dockerfile's text as statements: lines joined, comments and blank lines gone, here-documents attached."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from cove.dockerfile.directives import Directive, DirectiveReader
from cove.dockerfile.failure import DockerfileError, Location
from cove.dockerfile.heredocs import Heredoc, heredocs_of
from cove.dockerfile.splitting import Statement, statement_of
from cove.dockerfile.text import SPACE

SIZE_LIMIT = 1 << 20
"""The most bytes of a Dockerfile; parsing is on the way of the daemon's answer."""

LINE_LIMIT = 64 * 1024
"""The most bytes of a line with its end, as in BuildKit (bufio.MaxScanTokenSize)."""

STATEMENT_LIMIT = 10_000
"""The most instructions; an image has 127 layers at most."""

_CONTINUED = {escape: re.compile(rf"([^{re.escape(escape)}]|\A){re.escape(escape)}[ \t]*\Z") for escape in "\\`"}


@dataclass(frozen=True, slots=True)
class Source:
    """What a text is made of."""

    statements: tuple[Statement, ...]
    directives: dict[str, Directive]
    escape: str
    empty_continuations: tuple[Location, ...]
    """Where there are blank lines inside of a statement."""


def decoded(data: bytes) -> str:
    """The text of a Dockerfile; bytes that are not UTF-8 become replacement characters. Raises DockerfileError."""
    if not data:
        raise DockerfileError("the Dockerfile cannot be empty")
    if len(data) > SIZE_LIMIT:
        raise DockerfileError(f"the Dockerfile is {len(data)} bytes long, more than {SIZE_LIMIT}")
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


def read(text: str) -> Source:
    """Take a text apart. Raises DockerfileError."""
    reading = _Reading(text.split("\n"))
    statements = tuple(reading.statements())
    if not statements:
        raise DockerfileError("file with no instructions", Location.line(max(reading.number, 1)))
    return Source(statements, reading.directives.found, reading.escape, tuple(reading.empty_continuations))


@dataclass(slots=True)
class _Reading:
    lines: list[str]
    number: int = 0
    """How many lines were taken."""
    count: int = 0
    """How many statements there were."""
    escape: str = "\\"
    directives: DirectiveReader = field(default_factory=DirectiveReader)
    comments: list[str] = field(default_factory=list)
    empty_continuations: list[Location] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.lines[-1] == "":
            self.lines.pop()

    def take(self) -> str:
        line = self.lines[self.number]
        self.number += 1
        if len(line) >= LINE_LIMIT or (not line.isascii() and len(line.encode("utf-8", "replace")) >= LINE_LIMIT):
            message = f"dockerfile line greater than max allowed size of {LINE_LIMIT - 1}"
            raise DockerfileError(message, Location.line(self.number))
        return line

    @property
    def more(self) -> bool:
        return self.number < len(self.lines)

    def statements(self) -> Iterator[Statement]:
        while self.more:
            line = self.take()
            if line.lstrip(SPACE).startswith("#"):
                self.comment(line)
                continue
            self.directives.done = True
            text, continued = self.trimmed(line.lstrip(SPACE))
            if text or continued:
                self.count += 1
                if self.count > STATEMENT_LIMIT:
                    raise DockerfileError(f"more than {STATEMENT_LIMIT} instructions", Location.line(self.number))
                yield self.statement(text, continued)
                self.comments = []

    def comment(self, line: str) -> None:
        directive = self.directives.take(line.strip(SPACE), self.number)
        if directive is not None:
            if directive.name == "escape":
                self.set_escape(directive)
            return
        comment = line[1:].strip(SPACE)
        self.comments = [*self.comments, comment] if comment else []

    def set_escape(self, directive: Directive) -> None:
        if directive.value not in _CONTINUED:
            message = f"invalid escape token '{directive.value}' does not match ` or \\"
            raise DockerfileError(message, directive.location, directive.value)
        self.escape = directive.value

    def trimmed(self, line: str) -> tuple[str, bool]:
        """The line without its end, and whether it goes on in the next."""
        line = line.rstrip("\r")
        if match := _CONTINUED[self.escape].search(line):
            return line[: match.start()] + match[1], True
        return line, False

    def statement(self, text: str, continued: bool) -> Statement:
        first, parts, blank = self.number, [text], False
        while continued and self.more:
            line = self.take()
            stripped = line.strip(SPACE)
            if not stripped or stripped.startswith("#"):
                blank = blank or not stripped
                continue
            text, continued = self.trimmed(line)
            parts.append(text)
        if blank:
            self.empty_continuations.append(Location.line(self.number))
        location = Location(first, self.number)
        try:
            statement = statement_of("".join(parts), self.escape, tuple(self.comments), location)
            heredocs = heredocs_of(statement.line) if statement.takes_heredocs else []
        except DockerfileError as error:
            raise error.at(location) from None
        if not heredocs:
            return statement
        filled = tuple(self.filled(heredoc, location) for heredoc in heredocs)
        return statement.with_heredocs(filled, Location(first, self.number))

    def filled(self, heredoc: Heredoc, location: Location) -> Heredoc:
        content: list[str] = []
        while self.more:
            line = self.take()
            end = line.rstrip("\r")
            if (end.lstrip("\t") if heredoc.chomp else end) == heredoc.name:
                return heredoc.with_content("".join(content))
            content.append(line + "\n")
        raise DockerfileError("unterminated heredoc", Location(location.first, self.number), f"<<{heredoc.name}")
