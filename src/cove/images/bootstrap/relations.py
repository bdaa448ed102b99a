"""What packages need of each other (Debian Policy, 7.1): ``libc6 (>= 2.36), mawk | awk``."""

import re
from dataclasses import dataclass

from cove.errors import InvalidArgument
from cove.images.bootstrap.version import Version

_FORM = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9.+_-]*)(?::(?P<qualifier>[a-z0-9-]+))?"
    r"\s*(?:\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s)]+)\s*\))?\s*(?:\[[^]]*\])?\s*(?:<[^>]*>\s*)*"
)


@dataclass(frozen=True)
class Relation:
    """A package, by its name or one that it provides, of some versions. ``operator``: "" for any version."""

    name: str
    operator: str = ""
    version: Version | None = None

    def allows(self, version: Version | None) -> bool:
        """Whether this version will do; None is a provided name without a version, which has none."""
        if self.version is None:
            return True
        if version is None:
            return False
        return {
            "<<": version < self.version,
            "<": version <= self.version,
            "<=": version <= self.version,
            "=": version == self.version,
            ">=": version >= self.version,
            ">": version >= self.version,
            ">>": version > self.version,
        }[self.operator]

    def __str__(self) -> str:
        return f"{self.name} ({self.operator} {self.version})" if self.operator else self.name


Group = tuple[Relation, ...]
"""Alternatives, the preferred one first."""


def parse_groups(text: str) -> tuple[Group, ...]:
    """A field of relations: all groups must be met, each by one of its alternatives. Raises InvalidArgument."""
    groups = (part for part in text.replace("\n", " ").split(",") if part.strip())
    return tuple(tuple(_relation(word) for word in group.split("|")) for group in groups)


def _relation(text: str) -> Relation:
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"not a relation between packages: {text.strip()[:120]!r}")
    return Relation(match["name"], match["operator"] or "", Version(match["version"]) if match["version"] else None)
