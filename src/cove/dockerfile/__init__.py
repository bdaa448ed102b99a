"""The Dockerfile language: text to statements, to typed instructions, to a plan of stages. Pure: no files, no daemon.

Start at ``parsing.parse``, which gives a ``Dockerfile``; ``stages.plan`` says what of it is to be built, and
``scopes.Scope`` replaces variables while the instructions of a stage are gone through. ``words`` is the shell's part.
The rules and the words of errors are those of BuildKit's frontend, because that is what people's files are written for.
"""

from cove.dockerfile.expansion import Expanded, expand
from cove.dockerfile.failure import DockerfileError, Location
from cove.dockerfile.parsing import Dockerfile, Stage, parse, parse_trigger
from cove.dockerfile.scopes import PROXIES, Scope
from cove.dockerfile.stages import (
    ImageOrigin,
    Options,
    Origin,
    Plan,
    PlannedStage,
    Scratch,
    StageOrigin,
    context_name,
    plan,
)

__all__ = [
    "PROXIES",
    "Dockerfile",
    "DockerfileError",
    "Expanded",
    "ImageOrigin",
    "Location",
    "Options",
    "Origin",
    "Plan",
    "PlannedStage",
    "Scope",
    "Scratch",
    "Stage",
    "StageOrigin",
    "context_name",
    "expand",
    "parse",
    "parse_trigger",
    "plan",
]
