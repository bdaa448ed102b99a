"""One logical line as a statement: keyword, flags, and arguments in the shape that the instruction takes."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from cove.dockerfile.failure import DockerfileError, Location
from cove.dockerfile.heredocs import Heredoc
from cove.dockerfile.text import SPACE, quoted

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_HEREDOC_TAKERS = ("ADD", "COPY", "RUN")


@dataclass(frozen=True, slots=True)
class Pair:
    """A name and a value of ENV or LABEL; ``legacy`` is the form with a blank in place of the equals sign."""

    name: str
    value: str
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """An instruction before anything is made of it."""

    keyword: str
    """As it is written."""
    line: str
    """The logical line."""
    location: Location
    flags: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    json: bool = False
    """Whether the arguments are those of a JSON array."""
    nested: "Statement | None" = None
    """What ONBUILD triggers."""
    heredocs: tuple[Heredoc, ...] = ()
    comments: tuple[str, ...] = ()
    """The comments right before it, without ``#``."""

    @property
    def name(self) -> str:
        """The keyword in capitals."""
        return self.keyword.upper()

    @property
    def takes_heredocs(self) -> bool:
        """Whether ``<<`` in it may announce here-documents."""
        inner = self.nested or self
        return inner.name in _HEREDOC_TAKERS and not inner.json and "<<" in self.line

    def with_heredocs(self, heredocs: tuple[Heredoc, ...], location: Location) -> "Statement":
        """The same with here-documents, which make it longer."""
        nested = self.nested and replace(self.nested, heredocs=heredocs, location=location)
        return replace(self, heredocs=heredocs, location=location, nested=nested)


@dataclass(frozen=True, slots=True)
class _Arguments:
    words: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    json: bool = False
    nested: Statement | None = None


def statement_of(line: str, escape: str, comments: tuple[str, ...], location: Location) -> Statement:
    """Take a logical line apart; a keyword that nobody knows is kept, without arguments. Raises DockerfileError."""
    keyword, _, rest = _cut(line.strip(SPACE))
    flags, rest = _flags(rest, escape)
    if keyword.upper() == "ONBUILD":
        arguments = _nested(rest, escape, location)
    else:
        arguments = _SHAPES.get(keyword.upper(), _ignored)(rest.strip(SPACE), escape)
    return Statement(
        keyword, line, location, flags, arguments.words, arguments.pairs, arguments.json, arguments.nested, (), comments
    )


def _cut(text: str) -> tuple[str, str, str]:
    match = _BLANKS.search(text)
    return (text[: match.start()], match[0], text[match.end() :]) if match else (text, "", "")


def _flags(text: str, escape: str) -> tuple[tuple[str, ...], str]:
    """The words that begin with ``--`` at the start of ``text``, without quotes, and the rest; ``--`` ends them."""
    flags: list[str] = []
    position = 0
    while True:
        while position < len(text) and text[position] in SPACE:
            position += 1
        if not text.startswith("--", position):
            return tuple(flags), text[position:]
        word, position = _flag(text, position, escape)
        if word == "--":
            return tuple(flags), text[position:]
        flags.append(word)


def _flag(text: str, position: int, escape: str) -> tuple[str, int]:
    word, quote = [], ""
    while position < len(text) and (quote or text[position] not in SPACE):
        character = text[position]
        position += 1
        if character == escape:
            word.append(text[position : position + 1])
            position += 1
        elif quote:
            quote = "" if character == quote else quote
            word += [character] if quote else []
        elif character in "'\"":
            quote = character
        else:
            word.append(character)
    return "".join(word), min(position, len(text))


def quoted_words(text: str, escape: str) -> list[str]:
    """The words of ``text``, their quotes and escapes kept; white space in quotes belongs to a word."""
    words: list[str] = []
    position = 0
    while position < len(text):
        if text[position] in SPACE:
            position += 1
            continue
        word, position = _quoted_word(text, position, escape)
        words += [word] if word else []
    return words


def _quoted_word(text: str, position: int, escape: str) -> tuple[str, int]:
    word, quote = [], ""
    while position < len(text) and (quote or text[position] not in SPACE):
        character = text[position]
        position += 1
        if character == escape and quote != "'":
            if position == len(text):
                break
            word += [character, text[position]]
            position += 1
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        word.append(character)
    return "".join(word), position


def _ignored(_rest: str, _escape: str) -> _Arguments:
    return _Arguments()


def _whole(rest: str, _escape: str) -> _Arguments:
    return _Arguments((rest,) if rest else ())


def _blank_separated(rest: str, _escape: str) -> _Arguments:
    return _Arguments(tuple(_BLANKS.split(rest)) if rest else ())


def _quoted(rest: str, escape: str) -> _Arguments:
    return _Arguments(tuple(quoted_words(rest, escape)))


def _json_or(otherwise: Callable[[str, str], _Arguments]) -> Callable[[str, str], _Arguments]:
    def shape(rest: str, escape: str) -> _Arguments:
        array = json_array(rest)
        return otherwise(rest, escape) if array is None else _Arguments(array, json=True)

    return shape


def _health(rest: str, escape: str) -> _Arguments:
    kind, _, command = rest.partition(next((character for character in rest if character in SPACE), " "))
    if not kind:
        return _Arguments()
    arguments = _json_or(_whole)(command.lstrip(SPACE), escape)
    return replace(arguments, words=(kind, *arguments.words))


def _pairs(name: str) -> Callable[[str, str], _Arguments]:
    def shape(rest: str, escape: str) -> _Arguments:
        words = quoted_words(rest, escape)
        if not words:
            return _Arguments()
        if "=" in words[0]:
            return _Arguments(pairs=tuple(_pair(word) for word in words))
        key, blank, value = _cut(rest)
        if not blank:
            raise DockerfileError(f"{name} must have two arguments", culprit=key)
        return _Arguments(pairs=(Pair(key, value, legacy=True),))

    return shape


def _pair(word: str) -> Pair:
    name, sign, value = word.partition("=")
    if not sign:
        message = f"Syntax error - can't find = in {quoted(word)}. Must be of the form: name=value"
        raise DockerfileError(message, culprit=word)
    return Pair(name, value)


def _nested(rest: str, escape: str, location: Location) -> _Arguments:
    if not rest.strip(SPACE):
        return _Arguments()
    nested = statement_of(rest.strip(SPACE), escape, (), location) if not _onbuild(rest) else None
    return _Arguments(words=(_cut(rest.strip(SPACE))[0],), nested=nested)


def _onbuild(text: str) -> bool:
    """Whether ONBUILD follows ONBUILD, which is refused; it is not gone into, however often it is repeated."""
    return _cut(text.strip(SPACE))[0].upper() == "ONBUILD"


def json_array(text: str) -> tuple[str, ...] | None:
    """The strings of a JSON array, or None for what is no JSON array. Raises DockerfileError for other items."""
    if not text.lstrip(SPACE).startswith("["):
        return None
    try:
        items = json.loads(text.strip(SPACE), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(item, str) for item in items):
        raise DockerfileError("when using JSON array syntax, arrays must be comprised of strings only", culprit=text)
    return tuple(item.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for item in items)


def _no_constant(name: str) -> None:
    raise ValueError(name)


_SHAPES: dict[str, Callable[[str, str], _Arguments]] = {
    "ADD": _json_or(_blank_separated),
    "ARG": _quoted,
    "CMD": _json_or(_whole),
    "COPY": _json_or(_blank_separated),
    "ENTRYPOINT": _json_or(_whole),
    "ENV": _pairs("ENV"),
    "EXPOSE": _blank_separated,
    "FROM": _blank_separated,
    "HEALTHCHECK": _health,
    "LABEL": _pairs("LABEL"),
    "MAINTAINER": _whole,
    "RUN": _json_or(_whole),
    "SHELL": _json_or(_whole),
    "STOPSIGNAL": _whole,
    "USER": _whole,
    "VOLUME": _json_or(_blank_separated),
    "WORKDIR": _whole,
}
KEYWORDS = (*_SHAPES, "ONBUILD")
"""The instructions that there are."""
