"""Shell words: quotes, escapes and variables, as BuildKit's lexer takes them.

``Lexer.expand`` replaces variables and takes quotes away; ``Lexer.split`` does that and cuts at white space.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cove.dockerfile import patterns
from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.text import SPACE, quoted

DEPTH_LIMIT = 64
"""How deep ``${a:-${b:-…}}`` may nest. BuildKit has no limit but its stack."""

SIZE_LIMIT = 1 << 20
"""The most characters that a word may expand to; ``ENV a=$a$a`` doubles it each time."""

_SPECIAL_PARAMETERS = "@*#?-$!0"
_END = "\ufffd"


@dataclass(frozen=True, slots=True)
class Expansion:
    """A word after expansion, and the names of variables in it that there were and that there were not."""

    text: str
    words: tuple[str, ...]
    used: frozenset[str]
    missing: frozenset[str]


@dataclass(frozen=True, slots=True)
class Lexer:
    """How words are read: by default as in ENV, LABEL, COPY and all the others."""

    escape: str = "\\"
    keep_quotes: bool = False
    keep_escapes: bool = False
    keep_unset: bool = False
    """Leave variables that have no value as they are written, in place of nothing."""
    quoting: bool = True
    """Whether quotes mean anything; in the contents of here-documents they do not."""

    def expand(self, word: str, environment: Mapping[str, str]) -> Expansion:
        """``word`` with its variables replaced. Raises DockerfileError."""
        if self._is_plain(word):
            return Expansion(word, tuple(word.split()), frozenset(), frozenset())
        reading = _Reading(self, word, environment)
        try:
            text, words = reading.until("", self.keep_escapes, 0)
        except DockerfileError as error:
            raise DockerfileError(f"failed to process {quoted(word)}: {error.message}", culprit=word) from None
        return Expansion(text, tuple(words), frozenset(reading.used), frozenset(reading.missing))

    def split(self, text: str, environment: Mapping[str, str]) -> tuple[str, ...]:
        """The words of ``text``, cut after its variables are replaced. Raises DockerfileError."""
        return self.expand(text, environment).words

    def _is_plain(self, word: str) -> bool:
        return (
            word.isascii()
            and word.isprintable()
            and not any(special in word for special in ("$", "'", '"', "<", self.escape))
        )


@dataclass(slots=True)
class _Words:
    """Words that are being put together, character by character."""

    done: list[str] = field(default_factory=list)
    word: list[str] = field(default_factory=list)

    def literal(self, text: str) -> None:
        self.word.append(text)

    def cut(self, text: str) -> None:
        for character in text:
            if character in SPACE:
                self.end()
            else:
                self.word.append(character)

    def end(self) -> list[str]:
        if text := "".join(self.word):
            self.done.append(text)
            self.word.clear()
        return self.done


@dataclass(slots=True)
class _Reading:
    """One word while it is being read."""

    lexer: Lexer
    source: str
    environment: Mapping[str, str]
    position: int = 0
    size: int = 0
    used: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)

    @property
    def next(self) -> str:
        """The character that is next, or nothing at the end."""
        return self.source[self.position : self.position + 1]

    def take(self) -> str:
        character = self.next
        self.position += 1
        return character

    def until(self, stop: str, keep_escapes: bool, depth: int) -> tuple[str, list[str]]:
        """Read up to ``stop``, which is taken and not returned, or to the end when it is empty."""
        if depth > DEPTH_LIMIT:
            raise DockerfileError(f"substitutions are nested more than {DEPTH_LIMIT} deep")
        result: list[str] = []
        words = _Words()
        while (character := self.next) and not (stop and character == stop):
            if character == "$":
                piece = self.dollar(depth)
                words.cut(piece)
            elif character == "<":
                piece = self.here_document()
                words.literal(piece)
            elif character in "'\"" and self.lexer.quoting:
                piece = self.single() if character == "'" else self.double(keep_escapes, depth)
                words.literal(piece)
            else:
                piece = self.plain(keep_escapes, words)
            result.append(self._bounded(piece))
        if stop and not self.take():
            raise DockerfileError(f"unexpected end of statement while looking for matching {stop}")
        return "".join(result), words.end()

    def plain(self, keep_escapes: bool, words: _Words) -> str:
        character = self.take()
        if character != self.lexer.escape:
            words.cut(character)
            return character
        piece = (character if keep_escapes else "") + self.take()
        words.literal(piece)
        return piece

    def single(self) -> str:
        end = self.source.find("'", self.position + 1)
        if end < 0:
            raise DockerfileError("unexpected end of statement while looking for matching single-quote")
        inner = self.source[self.position + 1 : end]
        self.position = end + 1
        return f"'{inner}'" if self.lexer.keep_quotes else inner

    def double(self, keep_escapes: bool, depth: int) -> str:
        quote = self.take() if self.lexer.keep_quotes else self.take()[:0]
        result = [quote]
        while (character := self.next) != '"':
            if not character:
                raise DockerfileError("unexpected end of statement while looking for matching double-quote")
            result.append(self._bounded(self.dollar(depth) if character == "$" else self._quoted(keep_escapes)))
        self.position += 1
        return "".join([*result, quote])

    def _quoted(self, keep_escapes: bool) -> str:
        character = self.take()
        if character != self.lexer.escape:
            return character
        kept = character if keep_escapes else ""
        if not self.next:
            return kept
        return kept + (self.take() if self.next in ('"', "$", self.lexer.escape) else character)

    def here_document(self) -> str:
        """``<<`` with the white space after it, which belongs to the word."""
        start = self.position
        self.position += 1
        if self.next == "<":
            self.position += 1
            while self.next and self.next in "\t\r ":
                self.position += 1
        return self.source[start : self.position]

    def dollar(self, depth: int) -> str:
        self.position += 1
        if self.next != "{":
            name = self.name()
            value = self.value(name) if name else "$"
            return value if value is not None else ("$" + name if self.lexer.keep_unset else "")
        self.position += 1
        if not self.next:
            raise DockerfileError("syntax error: missing '}'")
        if self.next in "{}:":
            raise DockerfileError("syntax error: bad substitution")
        name = self.name()
        operator = self.take()
        if operator == "}":
            value = self.value(name)
            return value if value is not None else (f"${{{name}}}" if self.lexer.keep_unset else "")
        if operator == "/":
            return self.replacement(name, depth)
        if operator and operator in ":+-?#%":
            return self.modified(name, operator, depth)
        raise DockerfileError(f"unsupported modifier ({operator or _END}) in substitution")

    def modified(self, name: str, operator: str, depth: int) -> str:
        colon = operator == ":"
        modifier = self.take() if colon else operator
        shown = (":" if colon else "") + (modifier or _END)
        trims = modifier in ("#", "%")
        if colon and trims:
            raise DockerfileError(f"unsupported modifier ({shown}) in substitution")
        word = self._inner("}", trims, depth, "'}'")
        value = self.value(name)
        if value is None and self.lexer.keep_unset:
            return f"${{{name}{shown}{word}}}"
        absent = value is None or (colon and value == "")
        match modifier:
            case "-":
                return word if absent or value is None else value
            case "+":
                return "" if absent else word
            case "?":
                return self._required(name, value, word, colon)
            case "#" | "%":
                return _trimmed(modifier, word, value or "")
        raise DockerfileError(f"unsupported modifier ({shown}) in substitution")

    def _required(self, name: str, value: str | None, word: str, colon: bool) -> str:
        if value is None:
            raise DockerfileError(f"{name}: {word or 'is not allowed to be unset'}")
        if colon and not value:
            raise DockerfileError(f"{name}: {word or 'is not allowed to be empty'}")
        return value

    def replacement(self, name: str, depth: int) -> str:
        everywhere = self.next == "/"
        self.position += everywhere
        pattern = self._inner("/", True, depth, "'/' in ${}")
        replacement = self._inner("}", True, depth, "'}'")
        value = self.value(name)
        if value is None and self.lexer.keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        return patterns.replaced(pattern, replacement, value or "", everywhere=everywhere)

    def _inner(self, stop: str, keep_escapes: bool, depth: int, wanted: str) -> str:
        try:
            return self.until(stop, keep_escapes, depth + 1)[0]
        except DockerfileError:
            if self.position >= len(self.source):
                raise DockerfileError(f"syntax error: missing {wanted}") from None
            raise

    def name(self) -> str:
        """The name that is next: letters, digits and ``_``; only digits; or one special character."""
        start = self.position
        if self.next and self.next.isdecimal():
            while self.next and self.next.isdecimal():
                self.position += 1
        elif self.next and self.next in _SPECIAL_PARAMETERS:
            self.position += 1
        else:
            while self.next and (self.next.isalpha() or self.next.isdecimal() or self.next == "_"):
                self.position += 1
        return self.source[start : self.position]

    def value(self, name: str) -> str | None:
        value = self.environment.get(name)
        (self.missing if value is None else self.used).add(name)
        return value

    def _bounded(self, piece: str) -> str:
        self.size += len(piece)
        if self.size > SIZE_LIMIT:
            raise DockerfileError(f"expands to more than {SIZE_LIMIT} characters")
        return piece


def _trimmed(operator: str, pattern: str, value: str) -> str:
    longest = pattern.startswith(operator)
    pattern = pattern[1:] if longest else pattern
    if operator == "%":
        return patterns.without_suffix(pattern, value, longest=longest)
    return patterns.without_prefix(pattern, value, longest=longest)
