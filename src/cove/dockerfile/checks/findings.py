"""What checks find, and how it is shown."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field

from cove.dockerfile.checks.configuration import Configuration
from cove.dockerfile.checks.rules import Rule
from cove.dockerfile.failure import DockerfileError, Location, excerpt


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a Dockerfile does not keep, and where."""

    rule: Rule
    detail: str
    location: Location

    def line(self) -> str:
        """The finding in one line, as it is shown among warnings of a build."""
        return f"{self.rule.name}: {self.detail} (line {self.location.first})"

    def text(self, name: str, source: str) -> str:
        """The finding with the lines around it; ``name`` is the Dockerfile's."""
        return f"WARNING: {self.rule.name}\n{self.detail}\n{excerpt(name, source, self.location)}"


@dataclass(slots=True)
class Findings:
    """Findings while they are collected; those that are not wanted are dropped."""

    configuration: Configuration
    found: list[Finding] = field(default_factory=list)

    def report(self, rule: Rule, location: Location, *values: str, comments: tuple[str, ...] = ()) -> None:
        """Note that a rule is not kept; ``comments`` are those before the instruction, which may skip it."""
        finding = Finding(rule, rule.message.format(*values), location)
        if finding not in self.found and self.configuration.with_comments(comments).wants(rule.name, rule.experimental):
            self.found.append(finding)


@dataclass(frozen=True, slots=True)
class Report:
    """All findings in the order of lines, and what keeps the Dockerfile from being built, if something does."""

    findings: tuple[Finding, ...]
    error: DockerfileError | None = None
    fatal: bool = False
    """Whether findings are to make a build fail."""

    @property
    def failure(self) -> DockerfileError | None:
        """The error that a build ends with because of the findings, or None."""
        if not self.fatal or not self.findings:
            return None
        names = sorted({finding.rule.name for finding in self.findings})
        return DockerfileError(f"lint violation found for rules: {', '.join(names)}")

    def summary(self) -> str:
        """One line that says how many there are."""
        count = len(self.findings)
        if not count:
            return "Check complete, no warnings found."
        return f"Check complete, {count} warning{'s have' if count > 1 else ' has'} been found!"

    def text(self, name: str, source: str) -> str:
        """The whole report for a person."""
        parts = [self.summary() + "\n", *(finding.text(name, source) for finding in self.findings)]
        if self.error is not None:
            parts.append(f"ERROR: {self.error.message}\n{self.error.excerpt(name, source)}")
        return "\n".join(parts)

    @property
    def broken(self) -> bool:
        """Whether it does not pass: by an error, by a rule of BuildKit's, or by advice that is to make it fail."""
        breaks = any(not finding.rule.advice for finding in self.findings)
        return self.error is not None or self.failure is not None or breaks

    def document(self, name: str, source: str) -> dict[str, object]:
        """The report for a program, with BuildKit's keys: rule, description, detail and lines of each finding."""
        encoded = base64.b64encode(source.encode()).decode()
        document: dict[str, object] = {
            "warnings": [
                {
                    "ruleName": finding.rule.name,
                    "description": finding.rule.description,
                    "detail": finding.detail,
                    "location": _location(finding.location),
                }
                for finding in self.findings
            ],
            "sources": [{"filename": name, "language": "Dockerfile", "data": encoded}],
        }
        if self.error is not None:
            location = _location(self.error.location) if self.error.location else {}
            document["buildError"] = {"message": self.error.message, "location": location}
        return document


def _location(location: Location) -> dict[str, object]:
    return {"ranges": [{"start": {"line": location.first}, "end": {"line": location.last}}]}


def counted(findings: int) -> str:
    """How many there are, at the end of a build."""
    return f"{findings} warning{'s' if findings > 1 else ''} found"


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by line; those of one line stay as they are."""
    return tuple(sorted(findings, key=lambda finding: finding.location.first))
