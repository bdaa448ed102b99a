"""Which variables an instruction sees: the global ones before the first FROM, and those of a stage."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from cove.dockerfile import instructions as types
from cove.dockerfile.expansion import Expanded, expand
from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.words import Expansion, Lexer
from cove.platform import Platform

PROXIES = tuple(
    name
    for lower in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for name in (lower, lower.upper())
)
"""Build arguments that every RUN gets without ARG, and that are in neither history nor the cache's key."""


def platform_arguments(build: Platform, target: Platform, stage: str) -> dict[str, str]:
    """The arguments that are there without being given: BUILD*, TARGET*; ``stage`` is the target or nothing."""
    return {
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.os,
        "BUILDOSVERSION": "",
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": str(target),
        "TARGETOS": target.os,
        "TARGETOSVERSION": "",
        "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant,
        "TARGETSTAGE": stage or "default",
    }


def global_arguments(
    declared: Iterable[types.Arg], given: Mapping[str, str], predefined: Mapping[str, str], escape: str = "\\"
) -> dict[str, str]:
    """The values that FROM sees: the predefined, then the ARGs before the first FROM. Raises DockerfileError."""
    values = {name: given.get(name, value) for name, value in predefined.items()}
    lexer = Lexer(escape)
    for arg in declared:
        for argument in arg.arguments:
            if argument.name in given:
                values[argument.name] = given[argument.name]
            elif argument.default is not None:
                values[argument.name] = _lexed(lexer, argument.default, values, arg).text
    return values


@dataclass(slots=True)
class Scope:
    """The variables of a stage, while its instructions are gone through in order.

    A stage that is built from another begins with a copy of the other's scope (``inherited``), one that is built from
    an image with the image's environment.
    """

    environment: dict[str, str]
    """What words are expanded with, and what RUN gets."""
    globals: Mapping[str, str]
    """What ``global_arguments`` gave."""
    given: Mapping[str, str]
    """The build arguments of whoever asked."""
    escape: str = "\\"
    arguments: dict[str, str | None] = field(default_factory=dict)
    """The arguments that were declared so far, with the values of then; None is one without a value."""

    def inherited(self) -> "Scope":
        """A scope for a stage that is built from this one."""
        return Scope(dict(self.environment), self.globals, self.given, self.escape, dict(self.arguments))

    def enter(self, instruction: types.Instruction) -> Expanded:
        """The instruction with its variables replaced; ENV and ARG change what follows. Raises DockerfileError."""
        if isinstance(instruction, types.Arg):
            return self._declare(instruction)
        expanded = expand(instruction, self.environment, self.escape)
        if isinstance(expanded.instruction, types.Env):
            self.environment.update((pair.name, pair.value) for pair in expanded.instruction.pairs)
        return expanded

    def _declare(self, arg: types.Arg) -> Expanded:
        used, missing, values = set[str](), set[str](), []
        for argument in arg.arguments:
            value, declared = self.given.get(argument.name), argument.default
            if value is None and argument.default is not None:
                expansion = _lexed(Lexer(self.escape), argument.default, self.environment, arg)
                value = declared = expansion.text
                used |= expansion.used
                missing |= expansion.missing
            elif value is None:
                value = self.globals.get(argument.name)
            if value is not None:
                self.environment[argument.name] = value
            self.arguments[argument.name] = value
            values.append(types.Argument(argument.name, value, declared))
        return Expanded(replace(arg, arguments=tuple(values)), frozenset(used), frozenset(missing))

    @property
    def visible_arguments(self) -> dict[str, str]:
        """What history shows before a RUN (``|2 a=1 b=2``): the declared arguments with their values of now."""
        return {name: self.environment.get(name, value or "") for name, value in self.arguments.items()}


def _lexed(lexer: Lexer, word: str, environment: Mapping[str, str], arg: types.Arg) -> Expansion:
    try:
        return lexer.expand(word, environment)
    except DockerfileError as error:
        raise error.at(arg.location) from None
