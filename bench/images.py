"""Rows about images: loading a large one, and listing many."""

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from bench.measure import Row, docker
from bench.root_tar import root_tar
from harness.engine import Engine

MANY = 500
_LARGE = Path("/tmp/cove-bench-image.tar")
_PREFIX = "bench-many"


def _config(diff_id: str, number: int) -> bytes:
    root = {"type": "layers", "diff_ids": [diff_id]}
    config = {"Labels": {"number": str(number)}, "Cmd": ["true"]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": root, "config": config}).encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))


def _large_image() -> Path:
    """What ``docker save`` writes of an image of one layer, the root of 250 MB."""
    if not _LARGE.exists():
        part = _LARGE.with_suffix(".part")
        with root_tar().open("rb") as file:
            diff_id = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        with tarfile.open(part, "w") as tar:
            tar.add(root_tar(), "layer.tar")
            _add(tar, "config.json", _config(diff_id, 0))
            entry = {"Config": "config.json", "Layers": ["layer.tar"], "RepoTags": ["bench-load:1"]}
            _add(tar, "manifest.json", json.dumps([entry]).encode())
        part.rename(_LARGE)
    return _LARGE


def _many_images() -> bytes:
    """An archive of images that share one small layer, each with a name."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        _add(tar, "file", b"content")
    diff_id = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    out, entries = io.BytesIO(), []
    with tarfile.open(fileobj=out, mode="w") as tar:
        _add(tar, "layer.tar", layer.getvalue())
        for number in range(MANY):
            _add(tar, f"{number}.json", _config(diff_id, number))
            names = [f"{_PREFIX}/{number}:1"]
            entries.append({"Config": f"{number}.json", "Layers": ["layer.tar"], "RepoTags": names})
        _add(tar, "manifest.json", json.dumps(entries).encode())
    return out.getvalue()


def _load_many(engine: Engine) -> None:
    argv = ["docker", "load", "-q"]
    subprocess.run(argv, input=_many_images(), env=engine.client_environment(), check=True, stdout=subprocess.DEVNULL)


def _remove_many(engine: Engine) -> None:
    docker(engine, "rmi", *(f"{_PREFIX}/{number}:1" for number in range(MANY)))


ROWS = (
    Row(
        "load of 250 MB",
        lambda engine: docker(engine, "load", "-i", str(_large_image())),
        reset=lambda engine: docker(engine, "rmi", "bench-load:1"),
        target=0.3,
    ),
    Row(
        f"images, {MANY} of them",
        lambda engine: docker(engine, "images"),
        before=_load_many,
        after=_remove_many,
        target=1.0,
    ),
)
