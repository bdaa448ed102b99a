"""Makes the attestations of a build that were asked for, and keeps their blobs."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from cove.build.outputs import attestations
from cove.build.outputs.assembling import Assembly, Stamp, moment
from cove.build.outputs.attestations import Attestation
from cove.build.outputs.described import Described
from cove.build.outputs.outputs import Output
from cove.build.outputs.provenance import Circumstances, Material, Wanted, provenance
from cove.build.planning.graph import Origin
from cove.build.planning.planning import Wishes
from cove.build.solving.steps import StepLayers
from cove.digest import Digest
from cove.images import Build, Images
from cove.oci.image import Descriptor, Platform
from cove.platform import host
from cove.reference import Reference

MOST_PACKAGES = 64 << 20
"""Bytes of a list of packages."""
LISTS = {"/var/lib/dpkg/status": attestations.debian_packages, "/lib/apk/db/installed": attestations.alpine_packages}


class Asked(Protocol):
    """What of a request is told of."""

    @property
    def attestations(self) -> Mapping[str, str]: ...
    @property
    def wishes(self) -> Wishes: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def target(self) -> str: ...
    @property
    def dockerfile(self) -> str | bytes: ...
    @property
    def outputs(self) -> Sequence[Output]: ...
    @property
    def epoch(self) -> int | None: ...
    @property
    def vcs(self) -> Mapping[str, str]: ...


Describe = Callable[[Assembly], Described]
"""The graph that an image was made by."""


class Attesting:
    """Of one build. ``context``: where that was fetched, if it was. ``began``: nanoseconds since the epoch."""

    def __init__(
        self,
        images: Images,
        layers: StepLayers,
        asked: Asked,
        materials: Sequence[Material],
        context: Origin | None,
        describe: Describe,
        began: int,
    ) -> None:
        self._images = images
        self._layers = layers
        self._asked = asked
        self._materials = materials
        self._context = Material.of(context) if context is not None else None
        self._describe = describe
        self._stamp = Stamp(asked.epoch)
        self._began = began
        self._build = secrets.token_hex(12)
        self._invocation = self._build if asked.epoch is None else ""

    @property
    def build(self) -> Build:
        """What the daemon keeps of this build; nothing of an image depends on it."""
        return Build(self._build, moment(time.time_ns()))

    async def attest(self, subject: Descriptor, made: Assembly) -> Attestation | None:
        """None when nothing was asked for."""
        predicates: dict[str, Mapping[str, Any]] = {}
        wanted = self._asked.attestations
        names: list[Reference] = [name for output in self._asked.outputs for name in output.names]
        if "sbom" in wanted:
            packages = [
                package
                for path, parse in LISTS.items()
                for package in parse(await self._layers.read(made.root, path, MOST_PACKAGES))
            ]
            found = await self._layers.packages(made.root)
            packages += [attestations.Package(each.name, each.version, each.kind) for each in found]
            title = names[0].familiar if names else made.id
            predicates[attestations.SBOM] = attestations.sbom(title, packages, self._stamp.of(_whole(time.time_ns())))
        if "provenance" in wanted:
            platform = subject.platform or Platform()
            asked = Wanted.parse(wanted["provenance"])
            predicates[asked.type] = provenance(asked, self._circumstances(asked.full, made), platform)
        if not predicates:
            return None
        attestation = attestations.attest(subject, predicates, names)
        self._layers.keep(*(str(Digest.of(blob)) for blob in attestation.blobs))
        await self._images.blobs.commit([await self._images.blobs.stage(blob) for blob in attestation.blobs])
        return attestation

    def _circumstances(self, full: bool, made: Assembly) -> Circumstances:
        asked = self._asked
        return Circumstances(
            asked.dockerfile if isinstance(asked.dockerfile, str) else "Dockerfile",
            asked.target,
            asked.wishes.arguments,
            asked.labels,
            self._materials,
            self._stamp.of(self._began),
            self._stamp.of(time.time_ns()),
            self._invocation,
            _here(),
            full,
            self._context,
            asked.vcs,
            self._describe(made) if full else None,
        )


def _here() -> Platform:
    here = host()
    return Platform(here.architecture, here.os, here.variant)


def _whole(nanoseconds: int) -> int:
    """Whole seconds, as SPDX wants them."""
    return nanoseconds // 10**9 * 10**9
