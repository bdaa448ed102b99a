"""What a Dockerfile offers to who builds it: its targets, and the arguments, secrets and agents of one. Pure.

As BuildKit's subrequests ``frontend.targets`` and ``frontend.outline`` see it. A description is the comment right
before a FROM or an ARG that begins with the name of the stage or argument.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cove.dockerfile import instructions as types
from cove.dockerfile.failure import Location
from cove.dockerfile.parsing import Dockerfile
from cove.dockerfile.scopes import Scope
from cove.dockerfile.stages import Plan, PlannedStage, StageOrigin
from cove.dockerfile.words import Lexer


@dataclass(frozen=True, slots=True)
class Target:
    """A stage. ``default``: it is the last one, which is built when nothing is asked for."""

    name: str
    default: bool
    description: str
    base: str
    platform: str
    location: Location


@dataclass(frozen=True, slots=True)
class OutlinedArgument:
    """A build argument, with the value that it has without being given another; None is none."""

    name: str
    value: str | None
    description: str
    location: Location


@dataclass(frozen=True, slots=True)
class OutlinedLoan:
    """A secret or an ssh agent. ``required``: there is no build without it."""

    name: str
    required: bool
    location: Location


@dataclass(frozen=True, slots=True)
class Outline:
    """Of one target with all stages that it needs, in the order of lines."""

    name: str
    description: str
    arguments: tuple[OutlinedArgument, ...] = ()
    secrets: tuple[OutlinedLoan, ...] = ()
    agents: tuple[OutlinedLoan, ...] = ()


def targets(dockerfile: Dockerfile) -> tuple[Target, ...]:
    """All stages, in order."""
    last = len(dockerfile.stages) - 1
    return tuple(
        Target(
            stage.name,
            stage.index == last,
            _description(stage.start.comments, stage.name),
            stage.start.image,
            stage.start.platform,
            stage.start.location,
        )
        for stage in dockerfile.stages
    )


def outline(plan: Plan) -> Outline:
    """What the plan's target takes. Raises DockerfileError."""
    found = _Found()
    scopes: dict[int, Scope] = {}
    for index in plan.order:
        planned = plan.stages[index]
        found.globals(plan, _used(plan, planned.used))
        if isinstance(planned.base, StageOrigin):
            scope = scopes[planned.base.index].inherited()
        else:
            scope = Scope({}, plan.globals, plan.options.arguments, plan.dockerfile.escape)
        found.stage(plan, planned, scope)
        scopes[index] = scope
    start = plan.stages[plan.target].stage.start
    return Outline(
        start.stage,
        _description(start.comments, start.stage),
        tuple(sorted(found.arguments.values(), key=lambda each: each.location)),
        tuple(sorted(found.secrets.values(), key=lambda each: each.location)),
        tuple(sorted(found.agents.values(), key=lambda each: each.location)),
    )


class _Found:
    """What has been found so far, each by its name."""

    def __init__(self) -> None:
        self.arguments: dict[str, OutlinedArgument] = {}
        self.secrets: dict[str, OutlinedLoan] = {}
        self.agents: dict[str, OutlinedLoan] = {}

    def globals(self, plan: Plan, names: Iterable[str]) -> None:
        """Global arguments of these names."""
        declared = dict(_by_name(plan.dockerfile.arguments))
        for name in names:
            if name in declared:
                self._argument(declared[name], name, plan.globals.get(name))

    def stage(self, plan: Plan, planned: PlannedStage, scope: Scope) -> None:
        """What the instructions of a stage declare and mount."""
        for written in planned.stage.instructions:
            instruction = scope.enter(written).instruction
            if isinstance(written, types.Arg) and isinstance(instruction, types.Arg):
                for argument, declared in zip(instruction.arguments, written.arguments, strict=True):
                    self._declared(plan, written, argument, declared.default is None)
            if isinstance(instruction, types.Run):
                self._loans(instruction)

    def _declared(self, plan: Plan, arg: types.Arg, argument: types.Argument, bare: bool) -> None:
        """An ARG of a stage; ``bare``: without a default, so that it may be a global one."""
        if bare and argument.name in plan.globals and argument.name not in plan.options.arguments:
            self.globals(plan, _used(plan, [argument.name]))
        else:
            self._argument(arg, argument.name, argument.default)

    def _argument(self, arg: types.Arg, name: str, value: str | None) -> None:
        made = OutlinedArgument(name, value, _description(arg.comments, name), arg.location)
        self.arguments.setdefault(name, made)

    def _loans(self, run: types.Run) -> None:
        for mount in run.mounts:
            if mount.type == "secret":
                name = mount.id or mount.source or mount.target.rpartition("/")[2]
                self.secrets.setdefault(name, OutlinedLoan(name, mount.required, run.location))
            elif mount.type == "ssh":
                name = mount.id or "default"
                self.agents.setdefault(name, OutlinedLoan(name, mount.required, run.location))


def _by_name(arguments: Iterable[types.Arg]) -> Iterator[tuple[str, types.Arg]]:
    """ARGs by the names that they declare."""
    for arg in arguments:
        for argument in arg.arguments:
            yield argument.name, arg


def _used(plan: Plan, names: Iterable[str]) -> set[str]:
    """Names, and those that the defaults of these global arguments are made of."""
    defaults = {
        argument.name: argument.default or "" for arg in plan.dockerfile.arguments for argument in arg.arguments
    }
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _names_in(defaults.get(name, ""), plan.globals, plan.dockerfile.escape)
    return found


def _names_in(word: str, values: Mapping[str, str], escape: str) -> Iterable[str]:
    return Lexer(escape).expand(word, values).used


def _description(comments: Iterable[str], name: str) -> str:
    found = (comment.strip().removeprefix(f"{name} ") for comment in comments if comment.strip().startswith(f"{name} "))
    return next(found, "") if name else ""
