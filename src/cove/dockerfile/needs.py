"""Which paths of the build context a plan takes files from, as far as that can be told before it is built. Pure."""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cove.dockerfile import instructions as types
from cove.dockerfile.git import is_git
from cove.dockerfile.parsing import parse_trigger
from cove.dockerfile.scopes import Scope
from cove.dockerfile.stages import ImageOrigin, Plan, PlannedStage, StageOrigin

URLS = ("http://", "https://")


@dataclass(frozen=True)
class BaseImage:
    """What an image says that decides it: variables, and the instructions of ONBUILD."""

    environment: Mapping[str, str]
    triggers: Sequence[str] = ()


def bases(plan: Plan) -> set[str]:
    """The images that the stages of a plan begin with."""
    stages = (plan.stages[index] for index in plan.order)
    return {stage.base.name for stage in stages if isinstance(stage.base, ImageOrigin)}


def context_paths(plan: Plan, images: Mapping[str, BaseImage]) -> set[str]:
    """Paths and patterns, cleaned, without a slash before them; ``""`` is everything. ``images``: all ``bases``.

    Raises DockerfileError.
    """
    found: set[str] = set()
    scopes: dict[int, Scope] = {}
    for index in plan.order:
        stage = plan.stages[index]
        scope, triggers = _begin(plan, stage, scopes, images)
        for instruction in (*triggers, *stage.stage.instructions):
            found.update(_paths(scope.enter(instruction).instruction))
        scopes[index] = scope
    return found


def _begin(
    plan: Plan, stage: PlannedStage, scopes: Mapping[int, Scope], images: Mapping[str, BaseImage]
) -> tuple[Scope, list[types.Instruction]]:
    if isinstance(stage.base, StageOrigin):
        return scopes[stage.base.index].inherited(), []
    image = images[stage.base.name] if isinstance(stage.base, ImageOrigin) else BaseImage({})
    scope = Scope(dict(image.environment), plan.globals, plan.options.arguments, plan.dockerfile.escape)
    return scope, [parse_trigger(text, stage.stage.start.location) for text in image.triggers]


def _paths(instruction: types.Instruction) -> Iterator[str]:
    """What one instruction takes, its variables replaced."""
    if isinstance(instruction, types.Run):
        mounts = zip(instruction.mounts, instruction.mount_sources, strict=True)
        yield from (cleaned(mount.source) for mount, origin in mounts if mount.type == "bind" and not origin)
    elif isinstance(instruction, types.Add):
        yield from (cleaned(path) for path in instruction.sources if not (path.startswith(URLS) or is_git(path)))
    elif isinstance(instruction, types.Copy) and not instruction.origin:
        yield from map(cleaned, instruction.sources)


def cleaned(path: str) -> str:
    """A source as the path that it is in the context."""
    return posixpath.normpath("/" + path.lstrip("/")).strip("/")
