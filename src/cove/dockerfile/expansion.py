"""Instructions with their variables replaced.

Which words take variables is BuildKit's rule: not the commands of RUN, CMD and ENTRYPOINT, which their shell expands,
 not HEALTHCHECK, SHELL, ONBUILD, MAINTAINER, and not ``--exclude`` and ``--from``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cove.dockerfile import instructions as types
from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.heredocs import Heredoc
from cove.dockerfile.mounts import parse_mount
from cove.dockerfile.signals import check_signal
from cove.dockerfile.splitting import Pair
from cove.dockerfile.words import Lexer

_CONTENTS = Lexer(quoting=False)

_Transfer = TypeVar("_Transfer", bound=types.Transfer)


@dataclass(frozen=True, slots=True)
class Expanded:
    """An instruction with values in place of words, the names it used, and those that it found no value for."""

    instruction: types.Instruction
    used: frozenset[str]
    missing: frozenset[str]


def expand(instruction: types.Instruction, environment: Mapping[str, str], escape: str = "\\") -> Expanded:
    """Replace the variables of an instruction. ARG and FROM have scopes of their own: ``cove.dockerfile.scopes``.

    Raises DockerfileError at the instruction.
    """
    expander = _Expander(Lexer(escape), environment)
    rule = _RULES.get(type(instruction))
    try:
        result = rule(instruction, expander) if rule else instruction
    except DockerfileError as error:
        raise error.at(instruction.location) from None
    return Expanded(result, frozenset(expander.used), frozenset(expander.missing))


@dataclass(slots=True)
class _Expander:
    lexer: Lexer
    environment: Mapping[str, str]
    used: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)

    def __call__(self, word: str) -> str:
        return self._noted(self.lexer, word)

    def all(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self(word) for word in words)

    def pairs(self, pairs: tuple[Pair, ...]) -> tuple[Pair, ...]:
        return tuple(Pair(self(pair.name), self(pair.value), pair.legacy) for pair in pairs)

    def contents(self, contents: tuple[Heredoc, ...]) -> tuple[Heredoc, ...]:
        return tuple(
            heredoc.with_content(self._noted(_CONTENTS, heredoc.chomped)) if heredoc.expand else heredoc
            for heredoc in contents
        )

    def split(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(piece for word in words for piece in self.lexer.split(word, self.environment))

    def _noted(self, lexer: Lexer, word: str) -> str:
        expansion = lexer.expand(word, self.environment)
        self.used |= expansion.used
        self.missing |= expansion.missing
        return expansion.text


def _transfer(instruction: _Transfer, expand: _Expander) -> _Transfer:
    return replace(
        instruction,
        chown=expand(instruction.chown),
        chmod=expand(instruction.chmod),
        sources=expand.all(instruction.sources),
        contents=expand.contents(instruction.contents),
        destination=expand(instruction.destination),
    )


def _add(instruction: types.Add, expand: _Expander) -> types.Add:
    return replace(_transfer(instruction, expand), checksum=expand(instruction.checksum))


def _run(instruction: types.Run, expand: _Expander) -> types.Run:
    return replace(instruction, mounts=tuple(parse_mount(flag, expand) for flag in instruction.mount_flags))


def _stop_signal(instruction: types.StopSignal, expand: _Expander) -> types.StopSignal:
    expanded = replace(instruction, signal=expand(instruction.signal))
    check_signal(expanded.signal)
    return expanded


_RULES: dict[type[types.Instruction], Callable[..., types.Instruction]] = {
    types.Env: lambda env, expand: replace(env, pairs=expand.pairs(env.pairs)),
    types.Label: lambda label, expand: replace(label, pairs=expand.pairs(label.pairs)),
    types.Copy: _transfer,
    types.Add: _add,
    types.Run: _run,
    types.Workdir: lambda workdir, expand: replace(workdir, path=expand(workdir.path)),
    types.User: lambda user, expand: replace(user, user=expand(user.user)),
    types.Volume: lambda volume, expand: replace(volume, paths=expand.all(volume.paths)),
    types.StopSignal: _stop_signal,
    types.Expose: lambda expose, expand: replace(expose, ports=expand.split(expose.ports)),
}
