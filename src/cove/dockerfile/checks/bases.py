"""Checks of FROM: names, arguments and platforms."""

from collections.abc import Iterable, Mapping

from cove.dockerfile.checks import rules
from cove.dockerfile.checks.findings import Findings
from cove.dockerfile.checks.surroundings import Surroundings
from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.parsing import Dockerfile, Stage
from cove.dockerfile.scopes import global_arguments, platform_arguments
from cove.dockerfile.spelling import suggestion
from cove.dockerfile.stages import ImageOrigin, Options, Plan, PlannedStage
from cove.dockerfile.text import quoted
from cove.dockerfile.words import Lexer
from cove.errors import InvalidArgument
from cove.platform import Platform
from cove.reference import Reference


def check_defaults(dockerfile: Dockerfile, options: Options, findings: Findings) -> None:
    """Whether the defaults of arguments alone give names of images."""
    target = options.platform or options.build_platform
    predefined = platform_arguments(options.build_platform, target, options.target)
    try:
        values = global_arguments(dockerfile.arguments, {}, predefined, dockerfile.escape)
        names = [Lexer(dockerfile.escape).expand(stage.start.image, values).text for stage in dockerfile.stages]
    except DockerfileError:
        return
    for stage, name in zip(dockerfile.stages, names, strict=True):
        if not _is_reference(name):
            findings.report(rules.INVALID_DEFAULT_ARG_IN_FROM, stage.start.location, stage.start.image)


def check_stage_start(
    stage: Stage, values: Mapping[str, str], declared: Iterable[str], findings: Findings, escape: str
) -> None:
    """The FROM of a stage; ``declared`` are the names of global ARGs. Raises DockerfileError."""
    start, known = stage.start, {*values, *declared}
    lexer = Lexer(escape)
    for word in (start.image, start.platform):
        for name in sorted(lexer.expand(word, values).missing - known):
            hint = suggestion(name, known)
            findings.report(rules.UNDEFINED_ARG_IN_FROM, start.location, name, hint, comments=start.comments)
    if start.platform:
        _check_platform(stage, values, lexer, findings)


def _check_platform(stage: Stage, values: Mapping[str, str], lexer: Lexer, findings: Findings) -> None:
    start = stage.start
    platform = lexer.expand(start.platform, values)
    if platform.used == {"TARGETPLATFORM"} and not platform.missing and platform.text == values["TARGETPLATFORM"]:
        findings.report(rules.REDUNDANT_TARGET_PLATFORM, start.location, start.platform, comments=start.comments)
    if not platform.used and not platform.missing and _is_constant(stage.name, platform.text):
        findings.report(
            rules.FROM_PLATFORM_FLAG_CONST_DISALLOWED, start.location, quoted(platform.text), comments=start.comments
        )


def _is_constant(name: str, text: str) -> bool:
    """Whether the stage's name does not tell that it is for this platform alone."""
    try:
        platform = Platform.parse(text)
    except InvalidArgument:
        return False
    return platform.os not in name and platform.architecture not in name


def check_base_platform(plan: Plan, stage: PlannedStage, surroundings: Surroundings, findings: Findings) -> None:
    """Whether a base image is for the platform that is built for."""
    if not isinstance(stage.base, ImageOrigin):
        return
    base = surroundings.bases.get(stage.base.name)
    expected = (stage.platform or plan.options.platform or plan.options.build_platform).normal()
    actual = base and base.platform and base.platform.normal()
    if actual and (actual.os, actual.architecture) != (expected.os, expected.architecture):
        findings.report(
            rules.INVALID_BASE_IMAGE_PLATFORM,
            stage.stage.start.location,
            stage.stage.start.image,
            quoted(str(actual)),
            quoted(str(expected)),
        )


def _is_reference(name: str) -> bool:
    try:
        Reference.parse(name)
    except InvalidArgument:
        return False
    return True
