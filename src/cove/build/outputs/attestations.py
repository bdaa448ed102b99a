"""What is said of an image beside it: how it was made (``provenance``), and what is in it (SPDX 2.3).

An attestation is an in-toto statement, the only layer of a manifest that the image's index lists after the image, with
annotations that name the manifest that it is about: BuildKit's layout (docs/attestations/attestation-storage.md there).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from cove import __version__
from cove.build.outputs.provenance import shown
from cove.digest import Digest
from cove.oci.image import CONFIG, MANIFEST, Descriptor, Manifest, Platform
from cove.reference import Reference

IN_TOTO = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
SBOM = "https://spdx.dev/Document"
_UNKNOWN = Platform("unknown", "unknown")


@dataclass(frozen=True)
class Package:
    """A distribution's, of the kind deb or apk, or a language's: pypi, npm or golang."""

    name: str
    version: str
    kind: str
    architecture: str = ""


@dataclass(frozen=True)
class Attestation:
    """``blobs``: the statements, the configuration and the manifest, by digest."""

    descriptor: Descriptor
    blobs: Sequence[bytes]


def attest(subject: Descriptor, predicates: Mapping[str, Mapping[str, Any]], names: Sequence[Reference]) -> Attestation:
    """The attestation manifest of an image. ``predicates``: by type."""
    statements = [(kind, _statement(kind, predicate, subject, names)) for kind, predicate in predicates.items()]
    layers = [
        Descriptor(IN_TOTO, _digest(data), len(data), annotations={"in-toto.io/predicate-type": kind})
        for kind, data in statements
    ]
    config = msgspec.json.encode(
        {
            "architecture": "unknown",
            "os": "unknown",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
    )
    manifest = msgspec.json.encode(
        Manifest(
            schema_version=2,
            media_type=MANIFEST,
            config=Descriptor(CONFIG, _digest(config), len(config)),
            layers=layers,
        )
    )
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject.digest}
    descriptor = Descriptor(MANIFEST, _digest(manifest), len(manifest), annotations=about, platform=_UNKNOWN)
    return Attestation(descriptor, [*(data for _, data in statements), config, manifest])


def sbom(name: str, packages: Sequence[Package], created: str) -> dict[str, Any]:
    """What is in an image. ``created``: RFC 3339, whole seconds."""
    identity = hashlib.sha256(repr((name, packages)).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"urn:cove:sbom:{identity}",
        "creationInfo": {"created": created, "creators": [f"Tool: cove-{__version__}"]},
        "packages": [_package(package) for package in packages],
    }


def _package(package: Package) -> dict[str, Any]:
    reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": _url(package)}
    name = "".join(character if character.isalnum() or character in ".-" else "-" for character in package.name)
    return {
        "name": package.name,
        "SPDXID": f"SPDXRef-Package-{package.kind}-{name}",
        "versionInfo": package.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "externalRefs": [reference],
    }


def _url(package: Package) -> str:
    """A package URL (purl-spec)."""
    architecture = f"?arch={package.architecture}" if package.architecture else ""
    distribution = {"deb": "debian/", "apk": "alpine/"}.get(package.kind, "")
    name = package.name.lower().replace("_", "-") if package.kind == "pypi" else package.name
    return f"pkg:{package.kind}/{distribution}{quote(name)}@{quote(package.version, safe='')}{architecture}"


def debian_packages(status: str) -> list[Package]:
    """The packages of /var/lib/dpkg/status that are installed."""
    found = []
    for fields in _stanzas(status, ": "):
        if fields.get("Status", "install ok installed").endswith(" installed") and "Package" in fields:
            found.append(Package(fields["Package"], fields.get("Version", ""), "deb", fields.get("Architecture", "")))
    return found


def alpine_packages(installed: str) -> list[Package]:
    """The packages of /lib/apk/db/installed."""
    stanzas = _stanzas(installed, ":")
    return [Package(each["P"], each.get("V", ""), "apk", each.get("A", "")) for each in stanzas if "P" in each]


def _stanzas(text: str, separator: str) -> list[dict[str, str]]:
    found = []
    for stanza in text.split("\n\n"):
        pairs = (line.split(separator, 1) for line in stanza.splitlines() if separator in line and line[0] not in " \t")
        found.append({pair[0]: pair[1] for pair in pairs})
    return found


def _statement(kind: str, predicate: Mapping[str, Any], subject: Descriptor, names: Sequence[Reference]) -> bytes:
    hashes = {"sha256": subject.digest.removeprefix("sha256:")}
    platform = quote(shown(subject.platform or _UNKNOWN), safe="")
    urls = [f"pkg:docker/{name.familiar.replace(':', '@')}?platform={platform}" for name in names] or ["_"]
    about = [{"name": url, "digest": hashes} for url in urls]
    return msgspec.json.encode({"_type": STATEMENT, "predicateType": kind, "subject": about, "predicate": predicate})


def _digest(data: bytes) -> str:
    return str(Digest.of(data))
