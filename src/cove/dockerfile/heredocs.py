"""Here-documents: ``<<EOF``, ``<<-EOF``, ``<<"EOF"`` and ``3<<EOF``."""

import re
from dataclasses import dataclass, replace

from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.words import Lexer

_HEREDOC = re.compile(r"([0-9]*)<<(-?)[\t\n\f\r ]*([^<]*)")
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document; ``content`` is as it stands in the file, with the tabs that ``chomp`` would take away."""

    name: str
    expand: bool
    """Whether its name is not quoted, so that variables in it are replaced."""
    chomp: bool
    """Whether it began with ``<<-``, which drops tabs at the start of its lines."""
    descriptor: int = 0
    content: str = ""

    @property
    def chomped(self) -> str:
        """The content that was meant: without leading tabs after ``<<-``."""
        return _LEADING_TABS.sub("", self.content) if self.chomp else self.content

    def with_content(self, content: str) -> "Heredoc":
        """The same with a content."""
        return replace(self, content=content)


def heredoc_in(word: str) -> Heredoc | None:
    """The here-document that a word announces, or None if it is another word. Raises DockerfileError for odd quotes."""
    match = _HEREDOC.fullmatch(word)
    if match is None or not match[3]:
        return None
    names = Lexer(keep_unset=True).split(match[3], {})
    if len(names) != 1:
        return None
    written = Lexer(keep_unset=True, keep_quotes=True).split(match[3], {})
    return Heredoc(
        names[0], expand=_quotes(names) == _quotes(written), chomp=bool(match[2]), descriptor=_number(match[1])
    )


def heredocs_of(line: str) -> list[Heredoc]:
    """The here-documents that an instruction announces, in their order; a line with odd quotes has none."""
    lexer = Lexer(keep_quotes=True, keep_escapes=True, keep_unset=True)
    try:
        words = lexer.split(line, {})
    except DockerfileError:
        return []
    return [heredoc for word in words if (heredoc := heredoc_in(word))]


def _quotes(words: tuple[str, ...]) -> int:
    return sum(word.count("'") + word.count('"') for word in words)


def _number(digits: str) -> int:
    return int(digits[:9]) if digits else 0
