"""A pull or a push that is cut off: by its client, by an error, by ``kill -9`` of the daemon at a random moment.

``COVE_TEST_MOMENTS=100`` in the environment is the number of moments, ``COVE_TEST_PULLS=100`` that of pulls at once.
"""

import json
import os
import random
import re
import shutil
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.oci_layout import Layout, busybox_layers, tar
from harness.registries import KINDS, Served, served
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "docker-registry", "skopeo", "busybox-static", "cove")

MOMENTS = int(os.environ.get("COVE_TEST_MOMENTS", "3"))
PULLS = int(os.environ.get("COVE_TEST_PULLS", "10"))
LONGEST_SECONDS = 0.5
MEGABYTES = 24
MOST_MEMORY = 150
"""MiB of the daemon's process at any moment of a pull."""


def _publish(engine: Engine, registry: Served, directory: Path) -> str:
    """An image of several layers, one of them large; its name."""
    layout = Layout(directory / "layout")
    large = tar({"large": random.Random(1).randbytes(MEGABYTES << 20)})
    layout.tag("1", layout.image([*busybox_layers(Path(shutil.which("busybox") or "").read_bytes(), 4), large]))
    layout.push(engine.netns, "1", f"{registry.host}/team/app:1")
    return f"{registry.host}/team/app:1"


@pytest.fixture(params=KINDS)
def registry(fresh_daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(fresh_daemon, request.param) as found:
        yield found


def _kept(daemon: Engine) -> set[str]:
    """Blobs, layers and unfinished files."""
    places = ("blobs/sha256", "layers", "tmp")
    return {f"{place}/{name}" for place in places for name in os.listdir(daemon.data_root / place)}


def test_killed_at_any_moment_of_a_pull(fresh_daemon: Daemon, registry: Served, tmp_path: Path) -> None:
    name = _publish(fresh_daemon, registry, tmp_path)
    before = _kept(fresh_daemon)
    for moment in range(MOMENTS):
        with fresh_daemon.spawned("docker", "pull", name):
            time.sleep(random.Random(moment).uniform(0, LONGEST_SECONDS))  # the moment is the input of this test
            fresh_daemon.kill9()
        fresh_daemon.start()
        if fresh_daemon.docker("image", "inspect", name, check=False).code == 0:
            assert fresh_daemon.docker("run", "--rm", name, "/bin/busybox", "echo", "hello").out == "hello\n"
            fresh_daemon.docker("rmi", name)
        eventually(lambda: _kept(fresh_daemon) ^ before, lambda differs: not differs)
    fresh_daemon.docker("pull", name)
    fresh_daemon.cove("image", "verify")
    fresh_daemon.docker("rmi", name)


def test_killed_at_any_moment_of_a_push(fresh_daemon: Daemon, registry: Served, tmp_path: Path) -> None:
    source = _publish(fresh_daemon, registry, tmp_path)
    fresh_daemon.docker("tag", "busybox", f"{registry.host}/team/built:1")  # has to be compressed
    fresh_daemon.docker("pull", source)
    names = [source, f"{registry.host}/team/built:1"]
    for moment in range(MOMENTS):
        fresh_daemon.docker("tag", names[moment % 2], f"{registry.host}/team/pushed{moment}:1")
        with fresh_daemon.spawned("docker", "push", f"{registry.host}/team/pushed{moment}:1"):
            time.sleep(random.Random(moment).uniform(0, LONGEST_SECONDS))
            fresh_daemon.kill9()
        fresh_daemon.start()
        assert (
            fresh_daemon.docker("run", "--rm", f"{registry.host}/team/pushed{moment}:1", "/bin/busybox", "true").code
            == 0
        )
        fresh_daemon.docker("push", f"{registry.host}/team/pushed{moment}:1")
        fresh_daemon.docker("rmi", f"{registry.host}/team/pushed{moment}:1")
    fresh_daemon.cove("image", "verify")
    assert not list((fresh_daemon.data_root / "tmp").glob("blob-*"))
    fresh_daemon.docker("rmi", *names)


def test_a_client_that_goes_away_leaves_nothing(fresh_daemon: Daemon, registry: Served, tmp_path: Path) -> None:
    name = _publish(fresh_daemon, registry, tmp_path)
    before = _kept(fresh_daemon)
    for moment in range(MOMENTS):
        with fresh_daemon.spawned("docker", "pull", name):
            time.sleep(random.Random(moment).uniform(0, LONGEST_SECONDS))
        eventually(lambda: _gone(fresh_daemon, name) and _kept(fresh_daemon) == before)


def _gone(daemon: Engine, name: str) -> bool:
    """Remove what a pull brought to its end before it was told that its client is gone."""
    return daemon.docker("rmi", name, check=False).code in (0, 1)


def test_a_layer_of_two_pulls_comes_once(fresh_daemon: Daemon, tmp_path: Path) -> None:
    with served(fresh_daemon, "debian") as registry:
        name = _publish(fresh_daemon, registry, tmp_path)
        other = name.replace(":1", ":2")
        fresh_daemon.netns.run(
            ["skopeo", "copy", "-q", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false",
             f"docker://{name}", f"docker://{other}"]
        )  # fmt: skip
        log = fresh_daemon.base / "registry-5000" / "log"
        with fresh_daemon.spawned("docker", "pull", name) as one, fresh_daemon.spawned("docker", "pull", other) as two:
            assert one.wait(60) == 0 and two.wait(60) == 0
        asked = [
            line for line in log.read_text().splitlines() if "GET /v2/team/app/blobs/" in line and '"cove"' in line
        ]
        assert len(asked) <= 5 + 2, asked  # the layers once, the configuration twice at most
        fresh_daemon.docker("rmi", name, other)


def test_many_pulls_of_one_image_at_once(fresh_daemon: Daemon, tmp_path: Path) -> None:
    """Each layer comes once, and is never in the daemon's own memory."""
    with served(fresh_daemon, "debian") as registry:
        name = _publish(fresh_daemon, registry, tmp_path)
        target = f"/images/create?fromImage={name.removesuffix(':1')}&tag=1"
        process = Path(f"/proc/{fresh_daemon.pid}")
        (process / "clear_refs").write_text("5")  # begin the peak anew (proc_pid_clear_refs(5))
        with ThreadPoolExecutor(PULLS) as pool:
            answers = list(pool.map(lambda _: fresh_daemon.http("POST", target, timeout=120), range(PULLS)))
        assert not [answer.body for answer in answers if answer.status != 200 or b"errorDetail" in answer.body]
        peak = int((process / "status").read_text().split("VmHWM:")[1].split()[0]) >> 10
        assert peak <= MOST_MEMORY, f"{peak} MiB"
        log = (fresh_daemon.base / "registry-5000" / "log").read_text().splitlines()
        layers = Counter(re.findall(r"GET /v2/team/app/blobs/(sha256:[0-9a-f]+) ", "\n".join(log)))
        config = json.loads(fresh_daemon.docker("inspect", name).out)[0]["Id"]
        assert {count for digest, count in layers.items() if digest != config} == {1}, layers
        assert fresh_daemon.docker("run", "--rm", name, "/bin/busybox", "echo", "hello").out == "hello\n"
        fresh_daemon.cove("image", "verify")
        fresh_daemon.docker("rmi", name)


def test_what_a_pull_needs_is_not_collected(fresh_daemon: Daemon, tmp_path: Path) -> None:
    """Whatever goes meanwhile, be it the other name of the same layers."""
    with served(fresh_daemon, "cove") as registry:
        name = _publish(fresh_daemon, registry, tmp_path)
        fresh_daemon.docker("create", "busybox")  # no prune takes it then

        def pull(number: int) -> list[bytes]:
            target = f"/images/create?fromImage={name.removesuffix(':1')}&tag=1"
            answer = fresh_daemon.http("POST", target, timeout=120)
            return [line for line in answer.body.splitlines() if b"errorDetail" in line or answer.status != 200]

        with ThreadPoolExecutor(2) as pool:
            pending = [pool.submit(pull, number) for number in range(PULLS)]
            rounds = 0
            while not all(each.done() for each in pending):
                for work in (("rmi", "-f", name), ("image", "prune", "-af")):
                    fresh_daemon.docker(*work, check=False)
                rounds += 1
            assert [each.result() for each in pending] == [[]] * PULLS
            assert rounds > 1
        fresh_daemon.docker("pull", name)
        assert fresh_daemon.docker("run", "--rm", name, "/bin/busybox", "echo", "hello").out == "hello\n"
        assert fresh_daemon.cove("image", "verify").code == 0
        fresh_daemon.docker("rmi", name)


def test_killed_while_images_come_and_go(fresh_daemon: Daemon, tmp_path: Path) -> None:
    """Of a load, a removal and a prune, in turns."""
    archive = _archive(tmp_path)
    load = ("load", "-q", "-i", str(archive))
    works = (load, ("rmi", "moment:1"), ("image", "prune", "-af"))
    fresh_daemon.docker("create", "busybox")  # no prune takes it then
    before = _kept(fresh_daemon)
    for moment in range(MOMENTS):
        work = works[moment % len(works)]
        if work != load:
            fresh_daemon.docker(*load)
        with fresh_daemon.spawned("docker", *work):
            time.sleep(random.Random(moment).uniform(0, LONGEST_SECONDS / 5))  # the moment is the input of this test
            fresh_daemon.kill9()
        fresh_daemon.start()
        fresh_daemon.cove("image", "verify")
        if fresh_daemon.docker("image", "inspect", "moment:1", check=False).code == 0:
            assert fresh_daemon.docker("run", "--rm", "moment:1", "/bin/busybox", "echo", "hello").out == "hello\n"
            fresh_daemon.docker("rmi", "moment:1")
        eventually(lambda: _kept(fresh_daemon) ^ before, lambda differs: not differs)


def _archive(directory: Path) -> Path:
    """An image of several layers as an OCI archive."""
    layout = Layout(directory / "layout")
    large = tar({"large": random.Random(1).randbytes(4 << 20)})
    layout.tag("moment:1", layout.image([*busybox_layers(Path(shutil.which("busybox") or "").read_bytes(), 8), large]))
    with tarfile.open(directory / "moment.tar", "w") as archive:
        archive.add(layout.directory, ".")
    return directory / "moment.tar"
