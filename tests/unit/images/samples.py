"""Layers, archives and streams for tests of images."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Sequence

from cove.images import Image, Images, Loaded, Use
from cove.reference import Reference


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
