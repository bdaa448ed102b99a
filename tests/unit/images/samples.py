"""Layers, archives and streams for tests of images."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Sequence

from cove.images import Image, Images, Loaded, Use
from cove.oci.image import CONFIG, INDEX, LAYER, MANIFEST, Descriptor
from cove.reference import Reference

IN_TOTO = "application/vnd.in-toto+json"


def tar(**files: bytes) -> bytes:
    """A tar of these files, in the formats' most common form; ``__`` in a name stands for ``/``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            _add(archive, name.replace("__", "/"), data)
    return out.getvalue()


def archive(files: dict[str, bytes]) -> bytes:
    """A tar of these files, whatever their names are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, data in files.items():
            _add(made, name, data)
    return out.getvalue()


def _add(made: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.uid, entry.gid = len(data), os.geteuid(), os.getegid()
    made.addfile(entry, io.BytesIO(data))


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def config(layers: Sequence[bytes], **more: object) -> bytes:
    """A configuration of uncompressed layers."""
    fields = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"]}} | more
    return json.dumps(fields | {"rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]}}).encode()


def docker_archive(*images: tuple[Sequence[str], Sequence[bytes]], **more: object) -> bytes:
    """What old ``docker save`` writes: per image its names and its layers."""
    files: dict[str, bytes] = {}
    manifest = []
    for names, layers in images:
        blob = config(layers, **more)
        paths = [f"{digest(layer)[7:]}/layer.tar" for layer in layers]
        files |= dict(zip(paths, layers, strict=True)) | {f"{digest(blob)[7:]}.json": blob}
        manifest.append({"Config": f"{digest(blob)[7:]}.json", "RepoTags": list(names), "Layers": paths})
    return archive(files | {"manifest.json": json.dumps(manifest).encode()})


async def stream(data: bytes, size: int = 1 << 16) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def load(images: Images, data: bytes) -> list[Loaded]:
    return [event async for event in images.load(stream(data)) if isinstance(event, Loaded)]


async def import_(images: Images, name: str = "", **files: bytes) -> Image:
    return await images.import_(stream(tar(**files)), reference=Reference.parse(name) if name else None)


def names(images: Images) -> dict[str, list[str]]:
    """Every visible image, with its names."""
    return {listed.image.id: [name.familiar for name in listed.references] for listed in images.select()}


def unused(image_id: str) -> Sequence[Use]:
    return ()


def manifest(config: bytes, blobs: Sequence[bytes], /, **more: object) -> bytes:
    """An OCI manifest of uncompressed layers; ``more`` replaces fields."""
    fields: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": digest(layer), "size": len(layer)} for layer in blobs],
    }
    return json.dumps(fields | more).encode()


def listed(blob: bytes, platform: str = "", **more: object) -> dict[str, object]:
    """A manifest or index as an index lists it. ``platform``: ``os/architecture``."""
    fields: dict[str, object] = {"digest": digest(blob), "size": len(blob)}
    fields["mediaType"] = json.loads(blob).get("mediaType", MANIFEST)
    if platform:
        fields["platform"] = dict(zip(("os", "architecture"), platform.split("/"), strict=True))
    return fields | more


def index(*entries: dict[str, object]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


class Multi:
    """An index of two platforms, with an attestation of the first, and of one more that nobody has."""

    def __init__(self) -> None:
        self.layers = {name: tar(etc__arch=name.encode()) for name in ("amd64", "arm64")}
        self.configs = {
            name: config([layer], architecture=name, history=[{"created_by": f"made for {name}"}])
            for name, layer in self.layers.items()
        }
        self.manifests = {name: manifest(self.configs[name], [layer]) for name, layer in self.layers.items()}
        self.statement = b'{"_type": "https://in-toto.io/Statement/v0.1", "subject": []}'
        self.attested = config([self.statement], architecture="unknown", os="unknown")
        proof = {"mediaType": IN_TOTO, "digest": digest(self.statement), "size": len(self.statement)}
        self.attestation = manifest(self.attested, [], layers=[proof])
        self.missing = manifest(b"{}", [])
        about = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": digest(self.manifests["amd64"]),
        }
        self.index = index(
            listed(self.manifests["amd64"], "linux/amd64"),
            listed(self.manifests["arm64"], "linux/arm64"),
            listed(self.missing, "linux/s390x"),
            listed(self.attestation, "unknown/unknown", annotations=about),
        )

    async def add(self, images: Images, name: str, *architectures: str, pulled: bool = False) -> Image:
        """As a pull does it; the last of the images. With none of the architectures given, all."""
        async with images.lease() as lease:
            for data in (self.attestation, self.attested, self.statement):
                lease.keep(digest(data))
                await images.blobs.put(data)
            for architecture in architectures or self.layers:
                layer = self.layers[architecture]
                lease.keep(digest(layer))
                await images.blobs.put(layer)
                image = await images.add(
                    self.configs[architecture],
                    self.manifests[architecture],
                    [Descriptor(LAYER, digest(layer), len(layer))],
                    [Reference.parse(name)],
                    [self.index],
                    pulled=pulled,
                )
        return image

    @property
    def whole_index(self) -> bytes:
        """An index of what there is, and of nothing that there is not."""
        entries = [entry for entry in json.loads(self.index)["manifests"] if entry["digest"] != digest(self.missing)]
        return index(*entries)

    def complete(self, name: str) -> dict[str, bytes]:
        """The files of an OCI layout of ``whole_index``."""
        files = self.layout(name)
        del files[f"blobs/sha256/{digest(self.index)[7:]}"]
        top = listed(self.whole_index, annotations={"io.containerd.image.name": name})
        return files | {f"blobs/sha256/{digest(self.whole_index)[7:]}": self.whole_index, "index.json": index(top)}

    def layout(self, name: str) -> dict[str, bytes]:
        """The files of an OCI layout that has all of it."""
        blobs = [self.index, self.attestation, self.attested, self.statement]
        blobs += [blob for kind in (self.layers, self.configs, self.manifests) for blob in kind.values()]
        top = listed(self.index, annotations={"io.containerd.image.name": name})
        files = {f"blobs/sha256/{digest(blob)[7:]}": blob for blob in blobs}
        return files | {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index(top)}

    @property
    def attesting(self) -> set[str]:
        """The digests of what there is beside the images."""
        return {digest(data) for data in (self.index, self.attestation, self.attested, self.statement)}
