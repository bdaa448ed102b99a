"""The programs that a RUN calls, as far as they can be told without a shell."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from cove.dockerfile import instructions as types

LIMIT = 64 * 1024
"""The longest script that is looked into; reading one takes a second for each megabyte."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_SEPARATORS = ("&&", "||", ";", ";;", "|", "|&", "&", "(", ")", "{", "}", "do", "then", "else", "fi", "done")


@dataclass(frozen=True, slots=True)
class Call:
    """One program and its arguments."""

    program: str
    arguments: tuple[str, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        """The arguments that begin with a dash."""
        return tuple(argument for argument in self.arguments if argument.startswith("-"))

    @property
    def words(self) -> tuple[str, ...]:
        """The others."""
        return tuple(argument for argument in self.arguments if not argument.startswith("-"))

    def __str__(self) -> str:
        return " ".join((self.program, *self.words[:1]))


def calls(run: types.Run) -> tuple[Call, ...]:
    """What a RUN calls, in order; nothing if it cannot be told."""
    if not run.shell:
        return _call(list(run.words))
    script = "\n".join(heredoc.content for heredoc in run.heredocs) if run.heredocs else "".join(run.words)
    if len(script) > LIMIT or script.startswith("#!"):
        return ()
    try:
        return tuple(_calls(script))
    except ValueError:  # an open quote
        return ()


def _calls(script: str) -> Iterator[Call]:
    lexer = shlex.shlex(script.replace("\n", ";"), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for token in lexer:
        if token in _SEPARATORS:
            yield from _call(words)
            words = []
        else:
            words.append(token)
    yield from _call(words)


def _call(words: list[str]) -> tuple[Call, ...]:
    while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] in ("if", "while", "!", "sudo", "exec", "command")):
        words = words[1:]
    return (Call(words[0].rsplit("/", 1)[-1], tuple(words[1:])),) if words else ()
