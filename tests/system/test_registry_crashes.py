"""``cove registry serve`` in bad moments: kills while clients push, a full disk, large blobs, a hundred at once."""

import contextlib
import hashlib
import http.client
import json
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.registry import Registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
KILLS = int(os.environ.get("COVE_TEST_KILLS", "5"))
LARGE = int(os.environ.get("COVE_TEST_LARGE_MB", "64")) << 20
MEMORY = 130 << 20
"""Bytes that the process may have held at any moment, most of which is the interpreter and its modules."""


def sha(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def push_image(registry: Registry, name: str, layer: bytes) -> bool:
    """In the steps that clients take; False when the registry went away meanwhile."""
    try:
        descriptors = []
        for kind, content in ((CONFIG, b"{}"), (LAYER, layer)):
            place = registry.http("POST", f"/v2/{name}/blobs/uploads/", b"").headers["location"]
            half = len(content) // 2
            registry.http("PATCH", place, content[:half])
            done = registry.http("PUT", f"{place}?digest={sha(content)}", content[half:])
            assert done.status in (201, 404), done
            descriptors.append({"mediaType": kind, "digest": sha(content), "size": len(content)})
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptors[0], "layers": descriptors[1:]}
        content = json.dumps(body).encode()
        return registry.http("PUT", f"/v2/{name}/manifests/t", content, {"Content-Type": MANIFEST}).status == 201
    except (OSError, http.client.HTTPException):
        return False


def check_whole(registry: Registry) -> int:
    """Every tag leads to bytes that are what their digests say, and there is no file without an owner; tags seen."""
    seen = 0
    owned: set[str] = set()
    for name in json.loads(registry.http("GET", "/v2/_catalog").body)["repositories"]:
        for tag in json.loads(registry.http("GET", f"/v2/{name}/tags/list").body)["tags"]:
            content = registry.http("GET", f"/v2/{name}/manifests/{tag}").body
            manifest = json.loads(content)
            for part in (manifest["config"], *manifest["layers"]):
                assert sha(registry.http("GET", f"/v2/{name}/blobs/{part['digest']}").body) == part["digest"]
            seen += 1
    for file in (registry.root / "blobs/sha256").iterdir():
        owned.add(file.name)
        assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name
    return seen


def test_killed_while_clients_push(tmp_path: Path) -> None:
    layers = [os.urandom(300_000) for _ in range(4)]
    chance = random.Random(7)
    registry = Registry(tmp_path / "root", "--log-level", "error")
    pushed: set[str] = set()
    try:
        for round_ in range(KILLS):
            registry.start()
            timer = threading.Timer(chance.uniform(0.0, 0.25), registry.process.kill)  # type: ignore[union-attr]
            timer.start()
            with ThreadPoolExecutor(4) as pool:
                names = [f"r{round_}/{number}" for number in range(4)]
                done = pool.map(lambda name, layer: push_image(registry, name, layer), names, layers)
                pushed |= {name for name, whole in zip(names, done, strict=True) if whole}
            timer.join()
            registry.stop(signal.SIGKILL)
        registry.start()
        assert check_whole(registry) >= len(pushed)
        for name in pushed:
            assert registry.http("GET", f"/v2/{name}/manifests/t").status == 200, name
        assert push_image(registry, "after", layers[0])
    finally:
        registry.close()


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.needs("root")
def test_a_full_disk(tmp_path: Path) -> None:
    content = os.urandom(6 << 20)
    with small_disk(tmp_path / "disk", "8m") as disk, Registry(disk / "root") as registry:
        filler = disk / "filler"
        filler.write_bytes(bytes(4 << 20))
        place = registry.http("POST", "/v2/full/blobs/uploads/", b"").headers["location"]
        refused = registry.http("PATCH", place, content)
        assert refused.status == 507 and b"no space" in refused.body
        filler.unlink()
        at = int(registry.http("GET", place).headers["range"].partition("-")[2]) + 1
        assert registry.http("PUT", f"{place}?digest={sha(content)}", content[at:]).status == 201
        assert registry.http("GET", f"/v2/full/blobs/{sha(content)}").body == content


def test_large_blobs_take_no_memory(tmp_path: Path) -> None:
    piece = os.urandom(1 << 20)
    checksum = hashlib.sha256()
    for _ in range(LARGE >> 20):
        checksum.update(piece)
    digest = f"sha256:{checksum.hexdigest()}"
    with Registry(tmp_path / "root") as registry:
        assert registry.process is not None
        with contextlib.closing(http.client.HTTPConnection(registry.host, timeout=60)) as connection:
            place = registry.http("POST", "/v2/large/blobs/uploads/", b"").headers["location"]
            body = (piece for _ in range(LARGE >> 20))
            connection.request("PUT", f"{place}?digest={digest}", body, {"Content-Length": str(LARGE)})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (201, b"")
            connection.request("GET", f"/v2/large/blobs/{digest}")
            answer = connection.getresponse()
            read = 0
            while chunk := answer.read(1 << 20):
                read += len(chunk)
            assert read == LARGE
        status = Path(f"/proc/{registry.process.pid}/status").read_text()
        highest = int(status.partition("VmHWM:")[2].split()[0]) << 10
        assert highest < MEMORY, f"{highest >> 20} MiB"


def test_a_hundred_clients_at_once(tmp_path: Path) -> None:
    with Registry(tmp_path / "root") as registry:
        shared = os.urandom(50_000)
        with ThreadPoolExecutor(100) as pool:
            done = list(pool.map(lambda number: push_image(registry, f"many/{number % 10}", shared), range(100)))
        assert all(done)
        assert check_whole(registry) == 10
        assert len(list((registry.root / "uploads").iterdir())) == 0


def test_the_tag_of_older_clients_for_referrers(tmp_path: Path) -> None:
    """A client that does not know the end point keeps an index under a tag: it is a tag like any other."""
    with Registry(tmp_path / "root") as registry:
        assert push_image(registry, "old", b"layer")
        tag = sha(b"subject").replace(":", "-")
        content = registry.http("GET", "/v2/old/manifests/t").body
        put = registry.http("PUT", f"/v2/old/manifests/{tag}", content, {"Content-Type": MANIFEST})
        assert put.status == 201 and "oci-subject" not in put.headers
        assert registry.http("GET", f"/v2/old/manifests/{tag}").body == content
        found = registry.http("GET", f"/v2/old/referrers/{sha(b'subject')}")
        assert json.loads(found.body)["manifests"] == []
