"""Parser directives: ``# syntax=``, ``# escape=`` and ``# check=`` at the very top of a Dockerfile."""

import re
from dataclasses import dataclass, field

from cove.dockerfile.failure import DockerfileError, Location
from cove.dockerfile.text import SPACE

_KNOWN = ("syntax", "escape", "check")
_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=[\t\n\f\r ]*(.+?)[\t\n\f\r ]*")


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive, its name in lower case."""

    name: str
    value: str
    location: Location


@dataclass(slots=True)
class DirectiveReader:
    """Takes lines from the top; the first that is no directive ends them."""

    found: dict[str, Directive] = field(default_factory=dict)
    done: bool = False

    def take(self, line: str, number: int) -> Directive | None:
        """The directive in a line that begins with ``#``, if it is one. Raises DockerfileError for a repeated one."""
        if self.done:
            return None
        match = _DIRECTIVE.fullmatch(line[1:].lstrip(SPACE)) if line.startswith("#") else None
        if match is None or match[1].lower() not in _KNOWN:
            self.done = True
            return None
        name = match[1].lower()
        if name in self.found:
            raise DockerfileError(f"only one {name} parser directive can be used", Location.line(number), match[1])
        self.found[name] = Directive(name, match[2], Location.line(number))
        return self.found[name]


def comment_directive(comment: str, name: str) -> str | None:
    """The value of a directive that is in a comment before an instruction: ``# check=skip=…`` for that one alone."""
    match = _DIRECTIVE.fullmatch(comment.lstrip(SPACE))
    return match[2] if match and match[1].lower() == name else None
