"""Checks that go through a stage with its variables, as the build does."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cove.dockerfile import instructions as types
from cove.dockerfile.checks import rules
from cove.dockerfile.checks.findings import Findings
from cove.dockerfile.checks.surroundings import Surroundings
from cove.dockerfile.failure import DockerfileError, Location
from cove.dockerfile.git import is_git
from cove.dockerfile.ignore import Matcher, cleaned
from cove.dockerfile.ports import parse_port
from cove.dockerfile.scopes import Scope
from cove.dockerfile.spelling import suggestion
from cove.dockerfile.text import quoted

UNLISTED = ("BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE")
"""Arguments that are for the builder and become no variables."""

_SECRET = re.compile(
    r"(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_NO_SECRET = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)


@dataclass(slots=True)
class StageState:
    """What is known of a stage after the instructions so far; a stage that is built from it begins with a copy."""

    scope: Scope
    known: bool
    """Whether the base image's variables are known."""
    shell: bool
    workdir: bool = False
    """Whether a WORKDIR was seen."""
    once: dict[str, Location] = field(default_factory=dict)
    """Where CMD, ENTRYPOINT and HEALTHCHECK were seen last in this stage."""

    def inherited(self) -> "StageState":
        """The state that a stage built from this one begins with."""
        return StageState(self.scope.inherited(), self.known, self.shell, self.workdir)


def check_stage(
    instructions: Iterable[types.Instruction], state: StageState, surroundings: Surroundings, findings: Findings
) -> None:
    """Go through the instructions of a stage and change ``state`` as they do. Raises DockerfileError."""
    for instruction in instructions:
        declared = set(state.scope.arguments)
        names = list(state.scope.environment)
        expanded = state.scope.enter(instruction)
        if state.known:
            for name in sorted(expanded.missing - declared - set(UNLISTED)):
                hint = suggestion(name, names).replace("mean ", "mean $")
                findings.report(rules.UNDEFINED_VAR, instruction.location, name, hint, comments=instruction.comments)
        _Checking(expanded.instruction, state, surroundings, findings).check()


@dataclass(frozen=True, slots=True)
class _Checking:
    instruction: types.Instruction
    state: StageState
    surroundings: Surroundings
    findings: Findings

    def report(self, rule: rules.Rule, *values: str, location: Location | None = None) -> None:
        where = location or self.instruction.location
        self.findings.report(rule, where, *values, comments=self.instruction.comments)

    def check(self) -> None:
        match self.instruction:
            case types.Arg(arguments=arguments):
                self.secrets(argument.name for argument in arguments)
            case types.Env(pairs=pairs) | types.Label(pairs=pairs):
                self.pairs([pair.name for pair in pairs], any(pair.legacy for pair in pairs))
            case types.Cmd(shell=shell) | types.Entrypoint(shell=shell):
                self.once()
                self.exec_form(shell)
            case types.Healthcheck():
                self.once()
            case types.Workdir(path=path):
                if not self.state.workdir and not path.startswith("/"):
                    self.report(rules.WORKDIR_RELATIVE_PATH, quoted(path))
                self.state.workdir = True
            case types.Expose(ports=ports):
                self.ports(ports)
            case types.Shell():
                self.state.shell = True
            case types.Copy(origin="", sources=sources):
                self.sources("Copy", sources)
            case types.Add(sources=sources):
                self.sources("Add", sources)
            case _:
                pass

    def secrets(self, names: Iterable[str]) -> None:
        for name in names:
            if _SECRET.search(name) and not _NO_SECRET.search(name):
                self.report(rules.SECRETS_USED_IN_ARG_OR_ENV, self.instruction.name, quoted(name))

    def pairs(self, names: list[str], legacy: bool) -> None:
        if legacy:
            self.report(rules.LEGACY_KEY_VALUE_FORMAT, self.instruction.keyword)
        if isinstance(self.instruction, types.Env):
            self.secrets(names)

    def once(self) -> None:
        if previous := self.state.once.get(self.instruction.name):
            self.report(rules.MULTIPLE_INSTRUCTIONS_DISALLOWED, self.instruction.keyword, location=previous)
        self.state.once[self.instruction.name] = self.instruction.location

    def exec_form(self, shell: bool) -> None:
        if shell and not self.state.shell:
            self.report(rules.JSON_ARGS_RECOMMENDED, self.instruction.keyword)

    def ports(self, ports: tuple[str, ...]) -> None:
        for text in ports:
            try:
                port = parse_port(text)
            except DockerfileError as error:
                raise error.at(self.instruction.location) from None
            if port.protocol != port.protocol.lower():
                self.report(rules.EXPOSE_PROTO_CASING, text)
            if port.host:
                self.report(rules.EXPOSE_INVALID_FORMAT, text)

    def sources(self, verb: str, sources: tuple[str, ...]) -> None:
        ignored = self.surroundings.ignored
        if not ignored or ignored.has_exceptions:
            return
        for source in sources:
            path = cleaned(source)
            if not is_remote(source) and _left_out(path, ignored):
                self.report(rules.COPY_IGNORED_FILE, verb, quoted(path))


def is_remote(source: str) -> bool:
    """Whether a source of ADD is fetched: a URL or a git repository."""
    return source.startswith(("http://", "https://")) or is_git(source)


def _left_out(path: str, ignored: Matcher) -> bool:
    if path in (".", "/"):
        return any(pattern.text in ("*", "**", "**/*") for pattern in ignored.patterns)
    return ignored.ignores(path)


Check = Callable[[types.Instruction], None]
