"""Checks that need one instruction at a time, or all of them side by side, but no variables."""

from collections.abc import Iterator

from cove.dockerfile import instructions as types
from cove.dockerfile.checks import rules
from cove.dockerfile.checks.findings import Findings
from cove.dockerfile.failure import Location
from cove.dockerfile.parsing import Dockerfile
from cove.dockerfile.text import quoted

_RESERVED = ("context", "scratch")


def check_writing(dockerfile: Dockerfile, findings: Findings) -> None:
    """How things are written: keywords, names, comments."""
    for location in dockerfile.empty_continuations:
        findings.report(rules.NO_EMPTY_CONTINUATION, location)
    for instruction in _all(dockerfile):
        _written(instruction, findings)
    _stage_names(dockerfile, findings)
    _casing(dockerfile, findings)


def _all(dockerfile: Dockerfile) -> Iterator[types.Instruction]:
    yield from dockerfile.arguments
    for stage in dockerfile.stages:
        yield stage.start
        yield from stage.instructions


def _written(instruction: types.Instruction, findings: Findings) -> None:
    if isinstance(instruction, types.Maintainer):
        findings.report(rules.MAINTAINER_DEPRECATED, instruction.location, comments=instruction.comments)
    elif isinstance(instruction, types.Arg):
        _described(instruction, [argument.name for argument in instruction.arguments], findings)
    elif isinstance(instruction, types.From) and instruction.stage:
        _named(instruction, findings)
        _described(instruction, [instruction.stage], findings)


def _named(start: types.From, findings: Findings) -> None:
    name, keyword = start.stage_as_written, start.keyword
    if name != name.lower():
        findings.report(rules.STAGE_NAME_CASING, start.location, name, comments=start.comments)
    case = str.lower if keyword == keyword.lower() else str.upper
    if keyword == case(keyword) and start.as_keyword != case(start.as_keyword):
        findings.report(rules.FROM_AS_CASING, start.location, keyword, start.as_keyword, comments=start.comments)


def _described(instruction: types.Instruction, names: list[str], findings: Findings) -> None:
    if instruction.comments and instruction.comments[-1].split(" ")[0] not in names:
        example = names[0] if len(names) == 1 else "<arg_key>"
        findings.report(
            rules.INVALID_DEFINITION_DESCRIPTION,
            instruction.location,
            instruction.name,
            example,
            comments=instruction.comments,
        )


def _stage_names(dockerfile: Dockerfile, findings: Findings) -> None:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        if stage.name in _RESERVED:
            findings.report(rules.RESERVED_STAGE_NAME, stage.start.location, quoted(stage.name))
        if stage.name in seen:
            findings.report(rules.DUPLICATE_STAGE_NAME, stage.start.location, quoted(stage.name))
        seen |= {stage.name} if stage.name else set()


def _casing(dockerfile: Dockerfile, findings: Findings) -> None:
    keywords = [
        (each.keyword, each.location) for stage in dockerfile.stages for each in (stage.start, *stage.instructions)
    ]
    lower = sum(keyword == keyword.lower() for keyword, _ in keywords)
    upper = sum(keyword == keyword.upper() for keyword, _ in keywords)
    majority = "lowercase" if lower > upper else "uppercase"
    for keyword, location in keywords:
        _cased(keyword, majority, location, findings)


def _cased(keyword: str, majority: str, location: Location, findings: Findings) -> None:
    wanted = keyword.lower() if majority == "lowercase" else keyword.upper()
    if keyword != wanted:
        findings.report(rules.CONSISTENT_INSTRUCTION_CASING, location, keyword, majority)
