"""What is checked: ``# check=skip=Rule,Other;error=true``, in the directive, in a comment, or as a build argument."""

from dataclasses import dataclass, replace

from cove.dockerfile.directives import comment_directive
from cove.dockerfile.failure import DockerfileError
from cove.dockerfile.text import boolean, quoted

BUILD_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"
"""A build argument that stands in for the directive."""

ALL = "all"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Names of rules, or ``all``."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False
    """Whether a finding makes the build fail."""

    @classmethod
    def parse(cls, text: str) -> "Configuration":
        """Raises DockerfileError in BuildKit's words."""
        made = cls()
        for option in text.strip().split(";", 2) if text.strip() else ():
            made = made._with(option)
        return made

    def _with(self, option: str) -> "Configuration":
        name, sign, value = option.partition("=")
        name = name.strip()
        if not sign or name not in ("skip", "experimental", "error"):
            raise DockerfileError(f"invalid check option {quoted(name if sign else option)}", culprit=option)
        if name != "error":
            names = frozenset(rule.strip() for rule in value.split(","))
            return replace(self, skip=names) if name == "skip" else replace(self, experimental=names)
        error = boolean(value.strip())
        if error is None:
            reason = f"strconv.ParseBool: parsing {quoted(value.strip())}: invalid syntax"
            raise DockerfileError(f"failed to parse check option {quoted(option)}: {reason}", culprit=option)
        return replace(self, error=error)

    def with_comments(self, comments: tuple[str, ...]) -> "Configuration":
        """For one instruction: also what a ``# check=`` right before it skips. One that is wrong is no directive."""
        value = next((value for comment in comments if (value := comment_directive(comment, "check"))), None)
        if value is None:
            return self
        try:
            other = Configuration.parse(value.partition(" ")[0])
        except DockerfileError:
            return self
        return replace(self, skip=self.skip | other.skip, experimental=self.experimental | other.experimental)

    def wants(self, name: str, experimental: bool) -> bool:
        """Whether a rule is checked."""
        if experimental:
            return not self.experimental.isdisjoint((ALL, name))
        return self.skip.isdisjoint((ALL, name))
