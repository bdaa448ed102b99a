"""How an image was made: SLSA provenance 1.0, and 0.2 for those who ask for it, with the fields that BuildKit fills.

The fields of BuildKit's own are those of docs/attestations/slsa-definitions.md there; ``described`` has its graph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from cove import __version__
from cove.build.outputs.described import Described
from cove.build.planning.graph import Origin
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
    """A base image: what the Dockerfile calls it, and the digest of its manifest. Or what was ``fetched``: its URL.

    ``digest``: with its algorithm; nothing where it is not known.
    """

    name: str
    digest: str
    fetched: bool = False

    @classmethod
    def of(cls, origin: Origin) -> "Material":
        """What was fetched."""
        return cls(origin.url, origin.digest, fetched=True)


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
    context: Material | None = None
    """Where the context and the Dockerfile came from, unless the client has sent them."""
    vcs: Mapping[str, str] = field(default_factory=dict)
    """Of the repository that the client's directory belongs to: ``source``, ``revision``, ``localdir:context``."""
    described: Described | None = None
    """The graph, where that is told of."""


@dataclass(frozen=True)
class Wanted:
    """Which provenance is wanted: ``mode=min|max,version=v1|v0.2``; a mode alone will do."""

    full: bool = False
    version: str = V1

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """Raises InvalidArgument."""
        found = {"mode": "min", "version": V1}
        for part in filter(None, text.split(",")):
            name, sign, value = part.partition("=")
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
        "buildkit_metadata": _metadata(around),
        "buildkit_completeness": {"request": around.full, "resolvedDependencies": False},
        "buildkit_reproducible": False,
    }
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPES[V1],
            "externalParameters": {"configSource": _source(around, "path"), "request": _request(around)},
            "internalParameters": {"builderPlatform": shown(around.builder), **_build_config(around)},
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
        "https://mobyproject.org/buildkit@v1#metadata": _metadata(around),
    }
    return {
        "builder": {"id": BUILDER},
        "buildType": BUILD_TYPES[V02],
        "materials": [_dependency(each, platform) for each in around.materials],
        "invocation": {
            "configSource": _source(around, "entryPoint"),
            "parameters": _request(around),
            "environment": {"platform": shown(around.builder)},
        },
        "metadata": _without_id(metadata, around),
        **_build_config(around),
    }


def _metadata(around: Circumstances) -> dict[str, Any]:
    graph = around.described
    told: dict[str, Any] = {"source": graph.source, "layers": graph.layers} if graph is not None else {}
    return {**({"vcs": dict(around.vcs)} if around.vcs else {}), **told}


def _build_config(around: Circumstances) -> dict[str, Any]:
    return {"buildConfig": around.described.definition} if around.described is not None else {}


def _source(around: Circumstances, path: str) -> dict[str, Any]:
    """Where the Dockerfile is: ``path`` is what the version calls its place."""
    origin = _dependency(around.context, Platform()) if around.context is not None else {}
    return {**origin, path: around.dockerfile}


def _without_id(metadata: dict[str, Any], around: Circumstances) -> dict[str, Any]:
    return metadata if around.invocation else {name: value for name, value in metadata.items() if value != ""}


def _request(around: Circumstances) -> dict[str, Any]:
    arguments = {f"build-arg:{name}": value for name, value in around.arguments.items()} if around.full else {}
    labels = {f"label:{name}": value for name, value in around.labels.items()} if around.full else {}
    target = {"target": around.target} if around.target else {}
    remote = {"context": around.context.name} if around.context is not None else {}
    locals_ = {} if remote else {"locals": [{"name": "context"}, {"name": "dockerfile"}]}
    return {"frontend": FRONTEND, "args": {**arguments, **labels, **target, **remote}, **locals_}


def _dependency(material: Material, platform: Platform) -> dict[str, Any]:
    if material.fetched:
        algorithm, _, digits = material.digest.partition(":")
        return {"uri": material.name, **({"digest": {algorithm: digits}} if digits else {})}
    name = material.name.replace(":", "@", 1)
    url = f"pkg:docker/{name}?platform={quote(shown(platform), safe='')}"
    return {"uri": url, "digest": {"sha256": material.digest.removeprefix("sha256:")}}


def shown(platform: Platform) -> str:
    """``linux/arm/v7``."""
    return "/".join(filter(None, (platform.os, platform.architecture, platform.variant)))
