"""What is to be built: which stages, from what, in which order, and what each needs of others.

``plan`` is pure: it knows nothing of registries or stores. The triggers of base images (ONBUILD) are not known to it;
who solves the plan adds them with ``parsing.parse_trigger`` and asks ``Plan.origin`` where they copy from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cove.dockerfile import instructions as types
from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.parsing import Dockerfile, Stage
from cove.dockerfile.scopes import global_arguments, platform_arguments
from cove.dockerfile.spelling import suggestion
from cove.dockerfile.text import quoted
from cove.dockerfile.words import Expansion, Lexer
from cove.errors import InvalidArgument
from cove.platform import Platform, host
from cove.reference import Reference

SCRATCH = "scratch"
"""The base that is empty."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """Nothing."""


@dataclass(frozen=True, slots=True)
class StageOrigin:
    """Another stage of the same Dockerfile."""

    index: int


@dataclass(frozen=True, slots=True)
class ImageOrigin:
    """An image, as it is named in the file; perhaps a named context stands in for it."""

    name: str


Origin = Scratch | StageOrigin | ImageOrigin
"""Where a stage begins, or files come from."""


@dataclass(frozen=True, slots=True)
class Options:
    """What whoever asks for a build may say about stages and arguments."""

    target: str = ""
    """A stage's name or number; nothing is the last stage."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    build_platform: Platform = field(default_factory=host)
    platform: Platform | None = None
    """What is built for; None is the build's own platform."""
    contexts: frozenset[str] = frozenset()
    """``context_name`` of contexts and images that stand in for stages, as for everything else of that name."""


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage with its FROM resolved."""

    stage: Stage
    base: Origin
    platform: Platform | None
    """What ``--platform`` said; None is the base stage's, or the target's."""
    origins: tuple[tuple[types.Instruction, tuple[Origin | None, ...]], ...]
    """For each instruction where it takes files from: of COPY one or none, of RUN one for each mount or None."""
    used: frozenset[str]
    missing: frozenset[str]
    """The names that FROM used, and those that it found no value for."""

    @property
    def index(self) -> int:
        return self.stage.index

    @property
    def label(self) -> str:
        """What it is called in messages and progress: its name, or ``stage-0``."""
        return self.stage.name or f"stage-{self.index}"

    @property
    def needs(self) -> tuple[int, ...]:
        """The stages that have to be built before this one."""
        wanted = [self.base, *(origin for _, origins in self.origins for origin in origins)]
        return tuple(dict.fromkeys(origin.index for origin in wanted if isinstance(origin, StageOrigin)))


@dataclass(frozen=True, slots=True)
class Plan:
    """All stages, and which of them are needed for the target."""

    dockerfile: Dockerfile
    stages: tuple[PlannedStage, ...]
    target: int
    globals: Mapping[str, str]
    """The global arguments with their values, the predefined ones included."""
    options: Options

    @property
    def order(self) -> tuple[int, ...]:
        """The stages that the target needs, and it, each after all that it needs."""
        found: dict[int, None] = {}
        waiting = [(self.target, False)]
        while waiting:
            index, visited = waiting.pop()
            if visited:
                found[index] = None
            elif index not in found:
                waiting.append((index, True))
                waiting += [(need, False) for need in reversed(self.stages[index].needs) if need not in found]
        return tuple(found)

    def origin(self, name: str, index: int) -> Origin:
        """What ``--from=name`` means in the stage of this index. Raises DockerfileError for a later stage."""
        stages = tuple(planned.stage for planned in self.stages)
        return _Names(stages, self.options.contexts).origin(name, index)


def context_name(name: str) -> str:
    """What a context that stands in for this is called: an image's shortest name, without ``latest``."""
    try:
        reference = Reference.parse(name)
    except InvalidArgument:
        return name
    return reference.familiar.removesuffix(":latest")


def plan(dockerfile: Dockerfile, options: Options) -> Plan:
    """Resolve stages, arguments and dependencies. Raises DockerfileError."""
    target_platform = options.platform or options.build_platform
    predefined = platform_arguments(
        options.build_platform, target_platform, options.target or dockerfile.stages[-1].name
    )
    values = global_arguments(dockerfile.arguments, options.arguments, predefined, dockerfile.escape)
    names = _Names(dockerfile.stages, options.contexts)
    stages = tuple(_planned(stage, names, values, Lexer(dockerfile.escape)) for stage in dockerfile.stages)
    return Plan(dockerfile, stages, names.target(options.target), values, options)


@dataclass(frozen=True, slots=True)
class _Names:
    stages: tuple[Stage, ...]
    contexts: frozenset[str]

    def before(self, name: str, index: int) -> int | None:
        """The last stage of this name before ``index``, unless something stands in for it."""
        return None if context_name(name.lower()) in self.contexts else self._written(name, index)

    def _written(self, name: str, index: int) -> int | None:
        for stage in reversed(self.stages[:index]):
            if stage.name and stage.name == name.lower():
                return stage.index
        return None

    def target(self, name: str) -> int:
        if not name:
            return len(self.stages) - 1
        if (index := self._written(name, len(self.stages))) is not None:
            return index
        if name.isascii() and name.isdigit() and int(name[:9]) < len(self.stages):
            return int(name)
        hint = suggestion(name, [stage.name or f"stage-{stage.index}" for stage in self.stages])
        raise DockerfileError(f"target stage {quoted(name)} could not be found{hint}")

    def base(self, name: str, index: int) -> Origin:
        if (stage := self.before(name, index)) is not None and name == name.lower():
            return StageOrigin(stage)
        return Scratch() if name == SCRATCH else ImageOrigin(name)

    def origin(self, name: str, index: int) -> Origin:
        if name.isascii() and name.isdigit():
            return self._numbered(int(name[:9]), index)
        if context_name(name.lower()) in self.contexts and self._written(name, index) is not None:
            return ImageOrigin(name.lower())
        if (stage := self.before(name, index)) is not None:
            return StageOrigin(stage)
        if name == SCRATCH:
            return Scratch()
        if self.before(name, len(self.stages)) == index:
            raise DockerfileError(f"circular dependency detected on stage: {name.lower()}", culprit=name)
        if self.before(name, len(self.stages)) is not None:
            raise DockerfileError(_too_late(name, self.stages[index]), culprit=name)
        return ImageOrigin(name)

    def _numbered(self, number: int, index: int) -> Origin:
        if number >= len(self.stages):
            raise DockerfileError(f"invalid stage index {number}", culprit=str(number))
        if number == index:
            name = self.stages[index].name or f"stage-{index}"
            raise DockerfileError(f"circular dependency detected on stage: {name}", culprit=str(number))
        if number > index:
            raise DockerfileError(_too_late(str(number), self.stages[index]), culprit=str(number))
        name = self.stages[number].name
        return ImageOrigin(name) if name in self.contexts else StageOrigin(number)


def _too_late(name: str, stage: Stage) -> str:
    here = stage.name or f"stage-{stage.index}"
    return f"cannot copy from stage {quoted(name)}, it needs to be defined before current stage {quoted(here)}"


def _planned(stage: Stage, names: _Names, values: Mapping[str, str], lexer: Lexer) -> PlannedStage:
    start = stage.start
    try:
        image = lexer.expand(start.image, values)
        if not image.text:
            raise DockerfileError(f"base name ({start.image}) should not be blank", culprit=start.image)
        expression = lexer.expand(start.platform, values)
        platform = _platform(start.platform, expression, values) if start.platform else None
    except DockerfileError as error:
        raise error.at(start.location) from None
    if stage.name and stage.name in names.contexts:  # nothing of it is built: it is only ever a target
        stage = replace(stage, instructions=())
        return PlannedStage(stage, ImageOrigin(stage.name), platform, (), image.used, image.missing)
    origins = tuple((instruction, _origins(instruction, names, stage.index)) for instruction in stage.instructions)
    used, missing = image.used | expression.used, image.missing | expression.missing
    return PlannedStage(stage, names.base(image.text, stage.index), platform, origins, used, missing)


def _platform(written: str, expression: Expansion, values: Mapping[str, str]) -> Platform:
    hint = next((hint for name in sorted(expression.missing) if (hint := suggestion(name, values))), "")
    if not expression.text:
        raise DockerfileError(f"empty platform value from expression {written}{hint}", culprit=written)
    try:
        return Platform.parse(expression.text)
    except InvalidArgument as error:
        raise DockerfileError(f"failed to parse platform {written}: {error.message}{hint}", culprit=written) from None


def _origins(instruction: types.Instruction, names: _Names, index: int) -> tuple[Origin | None, ...]:
    try:
        if isinstance(instruction, types.Copy) and instruction.origin:
            return (names.origin(_constant(instruction.origin), index),)
        if isinstance(instruction, types.Run):
            return tuple(names.origin(source, index) if source else None for source in instruction.mount_sources)
    except DockerfileError as error:
        raise error.at(instruction.location) from None
    return ()


def _constant(name: str) -> str:
    if Lexer().expand(name, {}).text != name:
        raise DockerfileError(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope "
            "as a workaround",
            culprit=name,
        )
    return name
