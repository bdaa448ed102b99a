"""What a registry reads in a manifest: its kind, what it refers to, its subject."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cove.oci.image import DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST, Descriptor
from cove.registry.server import names
from cove.registry.server.failures import MANIFEST_INVALID, RegistryError

ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
"""Of image-spec 1.1's release candidates; there are clients that still push it."""

KINDS = frozenset({MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST, ARTIFACT})
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"


class Contents(NamedTuple):
    """``blobs`` and ``manifests``: digests that the repository must have. ``subject``: a digest, or empty."""

    media_type: str
    blobs: list[str]
    manifests: list[str]
    subject: str
    artifact_type: str
    annotations: dict[str, str]


class _Document(msgspec.Struct, rename="camel"):
    schema_version: int = 2
    media_type: str = ""
    artifact_type: str = ""
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None
    blobs: list[Descriptor] | None = None
    manifests: list[Descriptor] | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


def read(content: bytes, media_type: str) -> Contents:
    """Raises RegistryError for what is no manifest of ``media_type``, the request's Content-Type."""
    kind = media_type.partition(";")[0].strip()
    if kind.startswith(_SCHEMA_1):
        raise _invalid("manifests of schema 1 are not taken: push the image with a newer client")
    if kind not in KINDS:
        raise _invalid(f"unrecognized manifest content type {kind or '(none)'}")
    document = _decoded(content)
    if document.schema_version != 2 and kind != ARTIFACT:
        raise _invalid(f"schemaVersion is {document.schema_version}, not 2")
    if document.media_type not in ("", kind):
        raise _invalid(f"mediaType is {document.media_type}, Content-Type {kind}")
    _check_shape(document, kind)
    return Contents(
        kind,
        _digests(_blobs(document)),
        _digests(document.manifests or []),
        _digests([document.subject])[0] if document.subject else "",
        document.artifact_type or (document.config.media_type if document.config else ""),
        document.annotations or {},
    )


def _decoded(content: bytes) -> _Document:
    try:
        return msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(str(error)) from None


def _check_shape(document: _Document, kind: str) -> None:
    """A manifest with the parts of an index, or the reverse, is read differently by different clients: refuse it."""
    is_index = kind in (INDEX, DOCKER_LIST)
    if is_index and (document.config or document.layers):
        raise _invalid("an index has no config and no layers")
    if not is_index and document.manifests:
        raise _invalid("only an index has manifests")
    if is_index and document.manifests is None:
        raise _invalid("an index needs manifests")
    if kind in (MANIFEST, DOCKER_MANIFEST) and document.config is None:
        raise _invalid("a manifest needs a config")


def _blobs(document: _Document) -> list[Descriptor]:
    """Those that the repository must have: not foreign layers, which are elsewhere."""
    found = [*([document.config] if document.config else []), *(document.layers or []), *(document.blobs or [])]
    return [descriptor for descriptor in found if not descriptor.urls]


def _digests(descriptors: Sequence[Descriptor]) -> list[str]:
    return [str(names.digest(descriptor.digest)) for descriptor in descriptors]


def _invalid(reason: str) -> RegistryError:
    return RegistryError(MANIFEST_INVALID, {"reason": reason})
