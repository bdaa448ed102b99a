"""Checks of a Dockerfile: all of BuildKit's, and advice on images that are small, safe and quick to build. Pure.

``check`` is the way in; ``rules`` has the table of rules, ``findings`` what comes out. ``writing``, ``bases`` and
``variables`` are BuildKit's checks by what they need to know, ``advice`` is ours.
"""

from collections.abc import Collection

from cove.dockerfile.checks.advice import advise
from cove.dockerfile.checks.bases import check_base_platform, check_defaults, check_stage_start
from cove.dockerfile.checks.configuration import BUILD_ARGUMENT, Configuration
from cove.dockerfile.checks.findings import Finding, Findings, Report, counted, ordered
from cove.dockerfile.checks.rules import RULES, Rule
from cove.dockerfile.checks.surroundings import Base, Surroundings
from cove.dockerfile.checks.variables import StageState, check_stage
from cove.dockerfile.checks.writing import check_writing
from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.parsing import Dockerfile, parse
from cove.dockerfile.scopes import Scope
from cove.dockerfile.stages import ImageOrigin, Options, Plan, StageOrigin, plan

__all__ = [
    "RULES",
    "Base",
    "Configuration",
    "Finding",
    "Report",
    "Rule",
    "Surroundings",
    "check",
    "check_text",
    "counted",
]


def check_text(data: bytes, options: Options, surroundings: Surroundings, *, advice: bool = True) -> Report:
    """Check a Dockerfile that may not even parse; what it cannot be built for is in the report, not raised."""
    try:
        dockerfile = parse(data)
    except DockerfileError as error:
        return Report((), error)
    return check(dockerfile, options, surroundings, advice=advice)


def check(
    dockerfile: Dockerfile, options: Options, surroundings: Surroundings, *, advice: bool = True, unused: bool = True
) -> Report:
    """Check a parsed Dockerfile: all stages, or what the target needs if there is one.

    ``advice``: also by our own rules. ``unused``: without a target also the stages that the last one does not need.
    """
    try:
        configuration = _configuration(dockerfile, options)
    except DockerfileError as error:
        return Report((), error)
    findings = Findings(configuration)
    try:
        _check(dockerfile, options, surroundings, findings, advice, unused)
    except DockerfileError as error:
        return Report(ordered(findings.found), error, configuration.error)
    return Report(ordered(findings.found), None, configuration.error)


def _configuration(dockerfile: Dockerfile, options: Options) -> Configuration:
    if (given := options.arguments.get(BUILD_ARGUMENT)) is not None:
        return Configuration.parse(given)
    directive = dockerfile.directives.get("check")
    if directive is None:
        return Configuration()
    try:
        return Configuration.parse(directive.value.partition(" ")[0])
    except DockerfileError as error:
        raise error.at(directive.location, "failed to parse check options: ") from None


def _check(
    dockerfile: Dockerfile,
    options: Options,
    surroundings: Surroundings,
    findings: Findings,
    advice: bool,
    unused: bool,
) -> None:
    check_writing(dockerfile, findings)
    check_defaults(dockerfile, options, findings)
    made = plan(dockerfile, options)
    declared = [argument.name for arg in dockerfile.arguments for argument in arg.arguments]
    for stage in dockerfile.stages:
        check_stage_start(stage, made.globals, declared, findings, dockerfile.escape)
    wanted = range(len(made.stages)) if unused and not options.target else made.order
    _check_stages(made, wanted, surroundings, findings)
    if advice:
        advise(made, surroundings, findings)


def _check_stages(made: Plan, wanted: Collection[int], surroundings: Surroundings, findings: Findings) -> None:
    states: dict[int, StageState] = {}
    for planned in made.stages:
        if planned.index in wanted:
            check_base_platform(made, planned, surroundings, findings)
            states[planned.index] = state = _begin(made, planned.index, states, surroundings)
            check_stage(planned.stage.instructions, state, surroundings, findings)


def _begin(made: Plan, index: int, states: dict[int, StageState], surroundings: Surroundings) -> StageState:
    origin = made.stages[index].base
    if isinstance(origin, StageOrigin):
        return states[origin.index].inherited()
    base = surroundings.bases.get(origin.name) if isinstance(origin, ImageOrigin) else Base()
    environment = {"PATH": "/bin", **(base.environment if base else {})}
    scope = Scope(environment, made.globals, made.options.arguments, made.dockerfile.escape)
    return StageState(scope, known=base is not None, shell=base.shell if base else False)
