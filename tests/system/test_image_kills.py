"""``kill -9`` of the daemon at random moments of a load, a removal, a prune: what is left is whole, or not there.

``COVE_TEST_MOMENTS=100`` in the environment is the number of moments.
"""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.oci_layout import Layout, busybox_layers, tar
from harness.registry import skopeo
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "skopeo", "busybox-static", "cove")

MOMENTS = int(os.environ.get("COVE_TEST_MOMENTS", "3"))
LONGEST_SECONDS = 0.4
IMAGES = 4
"""In the archive, of three layers each, of which one is theirs alone."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("kills")
    layout = Layout(place / "layout")
    shared = busybox_layers(Path(shutil.which("busybox") or "").read_bytes(), 2)
    for number in range(IMAGES):
        own = tar({f"own{number}": random.Random(number).randbytes(3 << 20)})
        layout.tag(str(number), layout.image([*shared, own], Cmd=["/bin/busybox", "true"], Labels={"killed": "1"}))
        name = f"killed:{number}"
        skopeo(
            "copy",
            "--insecure-policy",
            "-q",
            f"oci:{layout.directory}:{number}",
            f"docker-archive:{place}/{number}.tar:{name}",
        )
    return place


@pytest.fixture
def loaded(fresh_daemon: Daemon, archive: Path) -> Callable[[], None]:
    def load() -> None:
        for number in range(IMAGES):
            fresh_daemon.docker("load", "-q", "-i", str(archive / f"{number}.tar"))

    return load


def kept(daemon: Engine) -> set[str]:
    """Blobs, layers and unfinished files."""
    places = ("blobs/sha256", "layers", "tmp")
    return {f"{place}/{name}" for place in places for name in os.listdir(daemon.data_root / place)}


def names(daemon: Engine) -> list[str]:
    return sorted(daemon.docker("images", "--format", "{{.Repository}}:{{.Tag}}", "killed").out.split())


def killed(daemon: Daemon, moment: int, *argv: str) -> None:
    """The daemon is killed so far into a command, and started again; then all images are whole."""
    with daemon.spawned("docker", *argv):
        time.sleep(random.Random(moment).uniform(0, LONGEST_SECONDS))  # the moment is the input of these tests
        daemon.kill9()
    daemon.start()
    daemon.cove("image", "verify")
    for name in names(daemon):
        assert daemon.docker("run", "--rm", "--net", "none", name).code == 0


def gone(daemon: Daemon, before: set[str]) -> None:
    """Remove the images; nothing else was left."""
    if found := names(daemon):
        daemon.docker("rmi", *found)
    daemon.docker("image", "prune", "-f")
    eventually(lambda: kept(daemon) ^ before, lambda differs: not differs)


def test_of_a_load(fresh_daemon: Daemon, archive: Path) -> None:
    before = kept(fresh_daemon)
    for moment in range(MOMENTS):
        killed(fresh_daemon, moment, "load", "-i", str(archive / f"{moment % IMAGES}.tar"))
        gone(fresh_daemon, before)


def test_of_a_removal(fresh_daemon: Daemon, loaded: Callable[[], None]) -> None:
    before = kept(fresh_daemon)
    for moment in range(MOMENTS):
        loaded()
        killed(fresh_daemon, moment, "rmi", *(f"killed:{number}" for number in range(IMAGES)))
        gone(fresh_daemon, before)


def test_of_a_prune(fresh_daemon: Daemon, loaded: Callable[[], None]) -> None:
    """Which collects layers that containers of a running daemon may share: those of one image stay."""
    before = kept(fresh_daemon)
    for moment in range(MOMENTS):
        loaded()
        fresh_daemon.docker("create", "--name", "user", "killed:0")
        killed(fresh_daemon, moment, "image", "prune", "-af", "--filter", "label=killed")
        assert "killed:0" in names(fresh_daemon)
        assert fresh_daemon.docker("start", "-a", "user").code == 0
        fresh_daemon.cove("rm", "--now", "user")
        gone(fresh_daemon, before)
