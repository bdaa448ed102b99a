"""Builds that are cut off: by their client, by the end of the daemon, by a full disk; and many at once."""

import concurrent.futures
import os
import random
import time
from pathlib import Path

import pytest

from harness.compose import Compose
from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

BUILDS = int(os.environ.get("COVE_TEST_BUILDS", "12"))
"""How many at once; 100 for the whole."""
KILLS = int(os.environ.get("COVE_TEST_KILLS", "4"))
DOCKERFILE = """\
FROM busybox AS a
ARG N
RUN echo $N >/a; dd if=/dev/urandom of=/big bs=64k count=20 2>/dev/null
FROM busybox AS b
ARG N
COPY . /all
RUN echo $N >/b; rm /bin/ls
FROM busybox
COPY --from=a /a /big /to/
COPY --from=b /b /to/
RUN cat /to/a /to/b >/to/c
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for number in range(50):
        (tmp_path / f"file{number}").write_text(f"{number}\n" * number)
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def test_a_client_that_goes_away_ends_its_build(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo begun; sleep 600\n")
    with daemon.spawned("docker", "build", str(tmp_path)) as client:
        assert client.stdout is not None
        eventually(lambda: b"begun" in client.stdout.readline())
    eventually(lambda: not list(daemon.exec_root.glob("containers/*")))


def test_many_at_once(daemon: Engine, context: Path) -> None:
    def build(number: int) -> str:
        return daemon.cove("build", "-q", "--build-arg", f"N={number % 6}", str(context), timeout=300).out

    with concurrent.futures.ThreadPoolExecutor(BUILDS) as pool:
        made = list(pool.map(build, range(BUILDS)))
    assert len(set(made)) == min(BUILDS, 6)
    look = daemon.docker("run", "--rm", made[3].strip(), "cat", "/to/c").out
    assert look == "3\n3\n"


def test_what_a_build_needs_is_not_collected(daemon: Engine, context: Path) -> None:
    """Whatever is removed meanwhile: images, their layers, the cache. What is built is whole."""
    names = [f"made:{number}" for number in range(3)]
    collecting = [
        ("image", "prune", "-a", "-f"),
        ("builder", "prune", "-a", "-f"),
        *(("rmi", "-f", name) for name in names),
    ]

    def build(number: int) -> str:
        argument = f"N={number}-{time.monotonic_ns()}"
        return daemon.cove("build", "-q", "-t", names[number % 3], "--build-arg", argument, str(context)).out.strip()

    daemon.docker("create", "--name", "keeps-the-base", "busybox")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        pending = [pool.submit(build, number) for number in range(BUILDS)]
        rounds = 0
        while not all(each.done() for each in pending):
            daemon.cove(*collecting[rounds % len(collecting)], check=False)
            rounds += 1
        assert all(each.result().startswith("sha256:") for each in pending)
        assert rounds > len(collecting)
        made = build(0)
        assert daemon.docker("run", "--rm", made, "cat", "/to/a", "/to/c").out.count("0-") == 3
        assert daemon.cove("image", "verify").code == 0


def test_kill_9_at_any_moment(fresh_daemon: Daemon, context: Path) -> None:
    moments = random.Random(8)
    for number in range(KILLS):
        with fresh_daemon.spawned("cove", "build", "-q", "--build-arg", f"N={number}", str(context)) as client:
            time.sleep(moments.uniform(0.02, 0.8))
            fresh_daemon.kill9()
            client.wait(30)
        fresh_daemon.start()
        image = fresh_daemon.cove("build", "-q", "--build-arg", f"N={number}", str(context)).out.strip()
        assert fresh_daemon.docker("run", "--rm", image, "cat", "/to/c").out == f"{number}\n{number}\n"
        assert fresh_daemon.cove("build", "-q", "--build-arg", f"N={number}", str(context)).out.strip() == image


def test_the_sdk(daemon: Engine, context: Path) -> None:
    image, lines = daemon.sdk.images.build(path=str(context), tag="made:sdk", buildargs={"N": "7"}, rm=True)
    assert image.tags == ["made:sdk"]
    assert any("Step 1/" in line.get("stream", "") for line in lines)
    assert daemon.sdk.containers.run("made:sdk", ["cat", "/to/a"], remove=True) == b"7\n"


def test_compose_builds(daemon: Engine, context: Path) -> None:
    (context / "Dockerfile").write_text('FROM busybox\nARG N\nRUN echo $N >/n\nCMD ["cat", "/n"]\n')
    service = f"build: {{context: {context}, args: {{N: '5'}}}}\n    image: made:compose\n"
    Compose(daemon, context, f"services:\n  one:\n    {service}")("build")
    assert daemon.docker("run", "--rm", "made:compose").out == "5\n"
