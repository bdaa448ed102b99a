"""How an image was made: SLSA provenance 1.0, and 0.2 for those who ask for it, with the fields that BuildKit fills.

The fields of BuildKit's own are those of docs/attestations/slsa-definitions.md there. What has no meaning here is left
out: the definition of its graph (``buildConfig``) and the sources of its frontend.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cove import __version__
from cove.errors import InvalidArgument
from cove.oci.image import Platform

V1, V02 = "v1", "v0.2"
TYPES = {V1: "https://slsa.dev/provenance/v1", V02: "https://slsa.dev/provenance/v0.2"}
"""Of the predicate, by version."""
BUILD_TYPES = {
    V1: "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
    V02: "https://mobyproject.org/buildkit@v1",
}
FRONTEND = "dockerfile.v0"
BUILDER = f"cove {__version__}"


@dataclass(frozen=True)
class Material:
    """A base image: what the Dockerfile calls it, and the digest of its manifest."""

    name: str
    digest: str


@dataclass(frozen=True)
class Circumstances:
    """How a build was asked for. ``began``, ``ended``: RFC 3339. ``full``: with arguments and labels.

    ``invocation``: an id of the build, or nothing where two builds are to say the same. ``builder``: the platform that
    it was built on.
    """

    dockerfile: str
    target: str
    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    materials: Sequence[Material]
    began: str
    ended: str
    invocation: str
    builder: Platform
    full: bool = False


@dataclass(frozen=True)
class Wanted:
    """Which provenance is wanted: ``mode=min|max,version=v1|v0.2``; a mode alone will do."""

    full: bool = False
    version: str = V1

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """Raises InvalidArgument."""
        found = {"mode": "min", "version": V1}
        for field in filter(None, text.split(",")):
            name, sign, value = field.partition("=")
            found[name if sign else "mode"] = value if sign else name
        if found["mode"] not in ("min", "max"):
            raise InvalidArgument(f"invalid provenance mode {found['mode']!r}: it must be min or max")
        if found["version"] not in TYPES:
            raise InvalidArgument(f"invalid provenance version {found['version']!r}: it must be v1 or v0.2")
        return cls(found["mode"] == "max", found["version"])

    @property
    def type(self) -> str:
        """Of the predicate."""
        return TYPES[self.version]


def provenance(wanted: Wanted, around: Circumstances, platform: Platform) -> dict[str, Any]:
    """The predicate of an image for ``platform``. Secrets and their names are no part of it."""
    return _v1(around, platform) if wanted.version == V1 else _v02(around, platform)


def _v1(around: Circumstances, platform: Platform) -> dict[str, Any]:
    metadata = {
        "invocationId": around.invocation,
        "startedOn": around.began,
        "finishedOn": around.ended,
        "buildkit_metadata": {},
        "buildkit_completeness": {"request": around.full, "resolvedDependencies": False},
        "buildkit_reproducible": False,
    }
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPES[V1],
            "externalParameters": {"configSource": {"path": around.dockerfile}, "request": _request(around)},
            "internalParameters": {"builderPlatform": shown(around.builder)},
            "resolvedDependencies": [_dependency(each, platform) for each in around.materials],
        },
        "runDetails": {"builder": {"id": BUILDER}, "metadata": _without_id(metadata, around)},
    }


def _v02(around: Circumstances, platform: Platform) -> dict[str, Any]:
    metadata = {
        "buildInvocationID": around.invocation,
        "buildStartedOn": around.began,
        "buildFinishedOn": around.ended,
        "completeness": {"parameters": around.full, "environment": True, "materials": False},
        "reproducible": False,
        "https://mobyproject.org/buildkit@v1#metadata": {},
    }
    return {
        "builder": {"id": BUILDER},
        "buildType": BUILD_TYPES[V02],
        "materials": [_dependency(each, platform) for each in around.materials],
        "invocation": {
            "configSource": {"entryPoint": around.dockerfile},
            "parameters": _request(around),
            "environment": {"platform": shown(around.builder)},
        },
        "metadata": _without_id(metadata, around),
    }


def _without_id(metadata: dict[str, Any], around: Circumstances) -> dict[str, Any]:
    return metadata if around.invocation else {name: value for name, value in metadata.items() if value != ""}


def _request(around: Circumstances) -> dict[str, Any]:
    arguments = {f"build-arg:{name}": value for name, value in around.arguments.items()} if around.full else {}
    labels = {f"label:{name}": value for name, value in around.labels.items()} if around.full else {}
    target = {"target": around.target} if around.target else {}
    locals_ = [{"name": "context"}, {"name": "dockerfile"}]
    return {"frontend": FRONTEND, "args": {**arguments, **labels, **target}, "locals": locals_}


def _dependency(material: Material, platform: Platform) -> dict[str, Any]:
    name = material.name.replace(":", "@", 1)
    url = f"pkg:docker/{name}?platform={quote(shown(platform), safe='')}"
    return {"uri": url, "digest": {"sha256": material.digest.removeprefix("sha256:")}}


def shown(platform: Platform) -> str:
    """``linux/arm/v7``."""
    return "/".join(filter(None, (platform.os, platform.architecture, platform.variant)))
