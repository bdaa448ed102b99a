"""Our registry beside Debian's docker-registry: skopeo pushes and pulls an image of one large layer."""

import gzip
import hashlib
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Result, spread
from bench.root_tar import root_tar
from harness.debian_registry import DebianRegistry
from harness.engine import Engine
from harness.registry import Registry, free_port, skopeo

QUIET = {"level": "info", "accesslog": {"disabled": True}}
ROUNDS = 9
PUSH, PULL = "registry: push of 250 MB", "registry: pull of 250 MB"
IMAGE = Path("/tmp/cove-bench-image")
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def push(engines: list[Engine]) -> Result:
    """Seconds of ``skopeo copy`` to a registry that has nothing of it."""
    with _registries() as (ours, peer, _):
        return _result(PUSH, [_push(ours.host), _push(peer.host)])


def pull(engines: list[Engine]) -> Result:
    """Seconds of ``skopeo copy`` from a registry, whose files are in the page cache."""
    with _registries() as (ours, peer, place):
        for registry in (ours, peer):
            _push(registry.host)(0)
        return _result(PULL, [_pull(ours.host, place), _pull(peer.host, place)])


def _result(name: str, timed: list[Callable[[int], None]]) -> Result:
    times: list[list[float]] = [[] for _ in timed]
    for number in range(ROUNDS + 1):
        for each, taken in zip(timed, times, strict=True):
            began = time.perf_counter()
            each(number)
            taken.append((time.perf_counter() - began) * 1000)
    ours, peer = (statistics.median(taken[1:]) for taken in times)
    return Result(name, ours, peer, "ms", ROUNDS, spread(times[0][1:]), 1.0, None)


def _push(host: str) -> Callable[[int], None]:
    """Each round has a layer of its own, so that nothing is there already."""

    def timed(number: int) -> None:
        skopeo("copy", "--dest-tls-verify=false", f"dir:{_image(number)}", f"docker://{host}/bench:{number}")

    for number in range(ROUNDS + 1):
        _image(number)
    return timed


def _pull(host: str, place: Path) -> Callable[[int], None]:
    def timed(number: int) -> None:
        shutil.rmtree(place / "pulled", ignore_errors=True)
        skopeo("copy", "--src-tls-verify=false", f"docker://{host}/bench:0", f"dir:{place / 'pulled'}")

    return timed


@contextmanager
def _registries() -> Iterator[tuple[Registry, DebianRegistry, Path]]:
    with tempfile.TemporaryDirectory(prefix="cove-bench-", dir="/tmp") as name:
        place = Path(name)
        with (
            Registry(place / "ours", "--log-level", "warning") as ours,
            DebianRegistry(None, place / "peer", free_port(), log=QUIET) as peer,
        ):
            yield ours, peer, place


def _image(number: int) -> Path:
    """An image as skopeo's ``dir:`` has it; of each number another one of the same size. Made once on a machine."""
    made = IMAGE / str(number)
    if (made / "manifest.json").exists():
        return made
    made.mkdir(parents=True, exist_ok=True)
    tar = root_tar().read_bytes()
    layer = gzip.compress(tar, 6, mtime=0) if not (IMAGE / "layer").exists() else (IMAGE / "layer").read_bytes()
    (IMAGE / "layer").write_bytes(layer)
    layer = layer[:4] + number.to_bytes(4, "little") + layer[8:]  # the time that gzip notes
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
        }
    ).encode()
    descriptors = [_blob(made, _CONFIG, config), _blob(made, _LAYER, layer)]
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": descriptors[0], "layers": descriptors[1:]}
    (made / "version").write_text("Directory Transport Version: 1.1\n")
    (made / "manifest.json").write_text(json.dumps(manifest))
    return made


def _blob(place: Path, kind: str, content: bytes) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    (place / digest).write_bytes(content)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}
