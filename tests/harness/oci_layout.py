"""Images in an OCI layout, made from layers; ``skopeo`` brings them to a registry as they are."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.netns import NetworkNamespace

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
IN_TOTO = "application/vnd.in-toto+json"

Descriptor = dict[str, Any]


def tar(files: Mapping[str, bytes]) -> bytes:
    """A layer with these files, owned by root."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI layout in ``directory``. Everything that is added has a descriptor."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "blobs" / "sha256").mkdir(parents=True)
        (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self._tags: list[Descriptor] = []

    def blob(self, data: bytes, media_type: str, **more: Any) -> Descriptor:
        (self.directory / "blobs" / "sha256" / digest(data)[7:]).write_bytes(data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}

    def image(
        self,
        layers: Sequence[bytes],
        architecture: str = "amd64",
        *,
        compressed: bool = True,
        level: int = 1,
        urls: Sequence[str] = (),
        packed: Sequence[tuple[str, bytes]] = (),
        **config: Any,
    ) -> Descriptor:
        """A manifest with its layers (tars); its descriptor says what platform it is for. ``config``: of its run.

        ``urls``: of the uppermost layer, which is foreign then; ``{digest}`` in them is its digest's hexadecimal part.
        ``packed``: each layer as it is to be kept, with the end of its media type.
        """
        platform = {"architecture": architecture, "os": "linux"}
        made = {
            **platform,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
            "history": [{"created_by": f"layer {number}"} for number in range(len(layers))],
        }
        blobs = [self.blob(data, f"{LAYER}{kind}") for kind, data in packed] or [
            self._layer(layer, compressed, level) for layer in layers
        ]
        if urls:
            places = [url.format(digest=blobs[-1]["digest"][7:]) for url in urls]
            blobs[-1] |= {"mediaType": FOREIGN, "urls": places}
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(made).encode(), CONFIG),
            "layers": blobs,
        }
        return self.blob(json.dumps(manifest).encode(), MANIFEST, platform=platform)

    def attestation(self, about: Descriptor, statement: bytes) -> Descriptor:
        """One about a manifest, as BuildKit stores it in an index."""
        layer = self.blob(statement, IN_TOTO, annotations={"in-toto.io/predicate-type": "https://spdx.dev/Document"})
        empty = {
            "architecture": "unknown",
            "os": "unknown",
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(json.dumps(empty).encode(), CONFIG),
            "layers": [layer],
        }
        annotations = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": about["digest"],
        }
        platform = {"architecture": "unknown", "os": "unknown"}
        return self.blob(json.dumps(manifest).encode(), MANIFEST, platform=platform, annotations=annotations)

    def artifact(self, kind: str, subject: Descriptor | None = None) -> Descriptor:
        """What is no image, such as a signature of ``subject``."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": self.blob(b"{}", "application/vnd.oci.empty.v1+json"),
            "layers": [self.blob(kind.encode(), "text/plain")],
        }
        if subject is not None:
            manifest["subject"] = {key: subject[key] for key in ("mediaType", "digest", "size")}
        return self.blob(json.dumps(manifest).encode(), MANIFEST)

    def index(self, manifests: Sequence[Descriptor], **more: Any) -> Descriptor:
        body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests), **more}
        return self.blob(json.dumps(body).encode(), INDEX)

    def tag(self, name: str, descriptor: Descriptor) -> None:
        self._tags.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self._tags}
        (self.directory / "index.json").write_text(json.dumps(index))

    def push(self, netns: NetworkNamespace, tag: str, target: str, *flags: str) -> None:
        """Copy what ``tag`` names to ``host:port/repository:tag``, all of an index."""
        argv = ["skopeo", "copy", "--quiet", "--all", "--insecure-policy", "--dest-tls-verify=false", *flags]
        netns.run([*argv, f"oci:{self.directory}:{tag}", f"docker://{target}"])

    def _layer(self, layer: bytes, compressed: bool, level: int) -> Descriptor:
        if not compressed:
            return self.blob(layer, LAYER)
        return self.blob(gzip.compress(layer, level, mtime=0), f"{LAYER}+gzip")


def busybox_layers(busybox: bytes, count: int = 1) -> list[bytes]:
    """The lowest one has a program; each further one has a file of its own."""
    programs = tar({"bin/busybox": busybox, "bin/sh": busybox})
    return [programs, *(tar({f"layer{number}": b"%d" % number * 1000}) for number in range(1, count))]


__all__ = ["Layout", "busybox_layers", "digest", "tar"]
