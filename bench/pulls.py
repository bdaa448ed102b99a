"""Rows of images that move: pulls and pushes with Debian's docker-registry on the loopback, the same content for both.

Each engine has a registry of its own process beside it, as they have network namespaces of their own; what there is to
pull is the same directory.
"""

import io
import shutil
import tarfile
from pathlib import Path

from bench.measure import Result, Row, docker
from bench.root_tar import root_tar
from harness.debian_registry import DebianRegistry
from harness.engine import Engine
from harness.oci_layout import Layout
from harness.registry import free_port, skopeo

CACHE = Path("/tmp/cove-bench-registry")
LAYERS = 20
SOURCE_PORT, TARGET_PORT = 5000, 5001
ONE, MANY = f"localhost:{SOURCE_PORT}/bench/one", f"localhost:{SOURCE_PORT}/bench/many"
TARGET = f"localhost:{TARGET_PORT}/bench/pushed"
LEVEL = 6

_registries: dict[tuple[str, int], DebianRegistry] = {}


def content() -> Path:
    """A registry's directory with the images ``bench/one`` and ``bench/many``; made once on a machine."""
    if not CACHE.exists():
        part = CACHE.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        layout = Layout(part / "layout")
        whole = root_tar().read_bytes()
        layout.tag("one", layout.image([whole], level=LEVEL))
        layout.tag("many", layout.image(_split(), level=LEVEL))
        with DebianRegistry(None, part / "registry", free_port()) as registry:
            for tag in ("one", "many"):
                target = f"docker://{registry.host}/bench/{tag}:latest"
                source = f"oci:{layout.directory}:{tag}"
                skopeo("copy", "--insecure-policy", "--dest-tls-verify=false", "-q", source, target)
        shutil.rmtree(layout.directory)
        part.rename(CACHE)
    return CACHE / "registry"


def _split() -> list[bytes]:
    """The tar's entries, dealt to layers in runs of the same number."""
    with tarfile.open(root_tar()) as tar:
        entries = tar.getmembers()
        size = -(-len(entries) // LAYERS)
        layers = []
        for start in range(0, len(entries), size):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as layer:
                for entry in entries[start : start + size]:
                    layer.addfile(entry, tar.extractfile(entry) if entry.isreg() else None)
            layers.append(out.getvalue())
    return layers


def _serve(engine: Engine, root: Path, port: int) -> None:
    registry = DebianRegistry(engine.netns, root, port)
    registry.start()
    _registries[engine.name, port] = registry


def _stop(engine: Engine, port: int) -> None:
    _registries.pop((engine.name, port)).stop()


def _begin_pull(engine: Engine) -> None:
    root = engine.base / "source"
    root.mkdir(exist_ok=True)
    data = root / "data"
    if not data.exists():
        data.symlink_to(content() / "data")
    _serve(engine, root, SOURCE_PORT)


def _end_pull(engine: Engine) -> None:
    _stop(engine, SOURCE_PORT)


def _begin_push(engine: Engine) -> None:
    _begin_pull(engine)
    docker(engine, "pull", ONE)
    docker(engine, "tag", ONE, TARGET)
    root = engine.base / "target"
    root.mkdir(exist_ok=True)
    _serve(engine, root, TARGET_PORT)


def _begin_pushed(engine: Engine) -> None:
    _begin_push(engine)
    docker(engine, "push", TARGET)


def _push_over_http(engine: Engine) -> None:
    answer = engine.http("POST", f"/images/{TARGET}/push?tag=latest", headers={"X-Registry-Auth": "e30="})
    assert answer.status == 200 and b'"error"' not in answer.body, answer.body


def _forget_pushed(engine: Engine) -> None:
    shutil.rmtree(engine.base / "target" / "data")


def _end_push(engine: Engine) -> None:
    docker(engine, "rmi", TARGET, ONE)
    _stop(engine, TARGET_PORT)
    shutil.rmtree(engine.base / "target")
    _end_pull(engine)


def _pull(name: str, image: str) -> Row:
    return Row(
        name,
        lambda engine: docker(engine, "pull", image),
        before=_begin_pull,
        reset=lambda engine: docker(engine, "rmi", image),
        after=_end_pull,
        target=0.3,
    )


ROWS = (
    _pull("pull of one layer, 250 MB", ONE),
    _pull(f"pull of {LAYERS} layers, 250 MB", MANY),
    Row(
        "push of one layer, 250 MB",
        lambda engine: docker(engine, "push", TARGET),
        before=_begin_push,
        reset=_forget_pushed,
        after=_end_push,
        target=1.0,
    ),
    Row(
        "push of it again",
        lambda engine: docker(engine, "push", TARGET),
        before=_begin_pushed,
        after=_end_push,
        target=0.5,
    ),
    Row("push of it again, over HTTP", _push_over_http, before=_begin_pushed, after=_end_push, target=0.5),
)

PEAK = "peak of the engine in a pull"


def peak(engines: list[Engine]) -> Result:
    """The most memory that the engine's own process had while it pulled the image of many layers, in MiB."""
    ours, peer = (_peak(engine) for engine in engines)
    return Result(PEAK, ours, peer, "MiB", 1, (ours, ours), None, 150)


def _peak(engine: Engine) -> float:
    process = Path(f"/proc/{engine.pid}")
    _begin_pull(engine)
    (process / "clear_refs").write_text("5")  # begin the peak anew (proc_pid_clear_refs(5))
    docker(engine, "pull", MANY)
    status = (process / "status").read_text()
    docker(engine, "rmi", MANY)
    _end_pull(engine)
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
