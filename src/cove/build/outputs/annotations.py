"""What ``--annotation`` says, and of what: ``[kind[platform],…:]name``. Pure. Source: BuildKit, docs/annotations.md."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cove.errors import InvalidArgument
from cove.oci import image as oci
from cove.platform import Platform

MANIFEST, INDEX = "manifest", "index"
MANIFEST_DESCRIPTOR, INDEX_DESCRIPTOR = "manifest-descriptor", "index-descriptor"
KINDS = (MANIFEST, INDEX, MANIFEST_DESCRIPTOR, INDEX_DESCRIPTOR)
_WRITTEN = re.compile(r"(?:([a-z-]+(?:\[[A-Za-z0-9_/-]+\])?(?:,[a-z-]+(?:\[[A-Za-z0-9_/-]+\])?)*):)?(\S+)", re.ASCII)
_ATTRIBUTE = re.compile(r"annotation(?:-(index|manifest-descriptor|index-descriptor))?(\[[^\]]+\])?\.(.+)", re.ASCII)


@dataclass(frozen=True)
class _Said:
    kind: str
    platform: Platform | None
    name: str
    value: str


@dataclass(frozen=True)
class Annotations:
    """Those of one output."""

    said: tuple[_Said, ...] = field(default_factory=tuple)

    @classmethod
    def parse(cls, given: Mapping[str, str], output: Mapping[str, str] | None = None) -> "Annotations":
        """``output``: attributes, of which ``annotation-kind[platform].name`` are of use. Raises InvalidArgument."""
        written = {**given, **_attributes(output or {})}
        return cls(tuple(said for text, value in written.items() for said in _parsed(text, value)))

    def of(self, kind: str, platform: oci.Platform | None = None) -> dict[str, str]:
        """By name: those of a kind, for this platform or for all."""
        ours = Platform(platform.os, platform.architecture, platform.variant).normal() if platform else None
        return {said.name: said.value for said in self.said if said.kind == kind and said.platform in (None, ours)}


def _attributes(output: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for attribute, value in output.items():
        if match := _ATTRIBUTE.fullmatch(attribute):
            kind, platform, name = match.groups()
            found[f"{kind or MANIFEST}{platform or ''}:{name}"] = value
    return found


def _parsed(text: str, value: str) -> list[_Said]:
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise InvalidArgument(f'invalid annotation "{text}", expected [type[platform]:]key')
    found = []
    for place in (match[1] or MANIFEST).split(","):
        kind, _, platform = place.rstrip("]").partition("[")
        if kind not in KINDS:
            raise InvalidArgument(f'unknown annotation type "{kind}"')
        found.append(_Said(kind, Platform.parse(platform).normal() if platform else None, match[2], value))
    return found
