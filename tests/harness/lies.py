"""The image that the lying registry is asked for, and the documents that it lies with.

An image of one gzip layer: the base image's root, and a file that names the repository, so that nothing of another
repository's image will do.
"""

import functools
import gzip
import hashlib
import io
import json
import platform
import tarfile
from typing import Any, NamedTuple

from harness.base_image import busybox_root

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

DEPTH = 200
"""Indexes inside indexes, of the image that is too deep."""

HUGE = 64 << 20
"""Bytes of the manifest that is too large, and descriptors' bytes of the index that is too wide."""


class Document(NamedTuple):
    """What a manifest's address answers with."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return sha(self.content)


class Image(NamedTuple):
    """``documents``: manifests and indexes by digest; ``top``: what the tag is. ``blobs``: by digest."""

    top: Document
    documents: dict[str, Document]
    blobs: dict[str, bytes]
    layer: str


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@functools.cache
def honest(name: str) -> Image:
    """What a repository of this name would have without any lie."""
    tar = _with_marker(name)
    return _image(gzip.compress(tar, 1, mtime=0), [sha(tar)])


@functools.cache
def told(name: str) -> Image:
    """What the repository has: a lie that is in the documents, or the honest image for lies that are told on the way.

    The lie is the first word of the name.
    """
    kind, image = name.partition("/")[0], honest(name)
    manifest: dict[str, Any] = json.loads(image.top.content)
    if kind == "wrong-diff-id":
        return _image(image.blobs[image.layer], [sha(b"another layer")])
    if kind == "no-archive":
        return _image(gzip.compress(b"this is no tar" * 1000, mtime=0), [sha(b"this is no tar" * 1000)])
    if kind == "wrong-size":
        manifest["layers"][0]["size"] += 1
        return _documents([_manifest(manifest)], image)
    if kind == "negative-size":
        manifest["layers"][0]["size"] = -1
        return _documents([_manifest(manifest)], image)
    if kind == "bad-digest":
        manifest["layers"][0]["digest"] = "sha256:../../../../etc/passwd"
        return _documents([_manifest(manifest)], image)
    if kind == "missing-layer":
        manifest["layers"][0]["digest"] = sha(b"nowhere")
        return _documents([_manifest(manifest)], image)
    if kind == "schema-1":
        return _documents([Document(SCHEMA_1, b'{"schemaVersion":1,"name":"x","tag":"latest","fsLayers":[]}')], image)
    if kind == "no-json":
        return _documents([Document(MANIFEST, b"<html>a proxy's page</html>")], image)
    if kind == "nested-json":
        return _documents([Document(MANIFEST, b"[" * (1 << 20))], image)
    if kind == "huge-manifest":
        return _documents([Document(MANIFEST, image.top.content[:-1] + b" " * HUGE + b"}")], image)
    if kind == "wide-index":
        return _documents([_index([image.top] * (HUGE // 400))], image)
    if kind == "deep-index":
        return _documents(_nest(image.top), image)
    return image


def _with_marker(name: str) -> bytes:
    buffer = io.BytesIO(busybox_root())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        entry = tarfile.TarInfo("repository")
        entry.size = len(name)
        tar.addfile(entry, io.BytesIO(name.encode()))
    return buffer.getvalue()


def _image(layer: bytes, diff_ids: list[str]) -> Image:
    config = json.dumps(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
    ).encode()
    manifest = _manifest(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": sha(config), "size": len(config)},
            "layers": [{"mediaType": LAYER, "digest": sha(layer), "size": len(layer)}],
        }
    )
    blobs = {sha(config): config, sha(layer): layer}
    return Image(manifest, {manifest.digest: manifest}, blobs, sha(layer))


def _manifest(body: dict[str, Any]) -> Document:
    return Document(MANIFEST, json.dumps(body).encode())


def _index(documents: list[Document]) -> Document:
    descriptors = [
        {
            "mediaType": document.media_type,
            "digest": document.digest,
            "size": len(document.content),
            "platform": {"architecture": ARCHITECTURE, "os": "linux"},
        }
        for document in documents[:1]
    ] * len(documents)
    return Document(INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors}).encode())


def _nest(bottom: Document) -> list[Document]:
    documents = [bottom]
    for _ in range(DEPTH):
        documents.append(_index([documents[-1]]))
    return documents


def _documents(documents: list[Document], image: Image) -> Image:
    """The last document is what the tag is."""
    return Image(documents[-1], {document.digest: document for document in documents}, image.blobs, image.layer)
