"""Builds whose layers are directories (``--storage-driver overlay2``)."""

import os
import random
import time
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.waiting import eventually

KILLS = int(os.environ.get("COVE_TEST_KILLS", "1"))
DOCKERFILE = """\
FROM busybox AS made
ARG N
RUN mkdir -p /out/old && echo $N >/out/file && ln /out/file /out/again && chown 7:8 /out/file && echo x >/out/old/x
FROM busybox
WORKDIR /to
COPY --link --from=made /out ./
COPY --link word .
RUN rm again && rm -r old && mkdir old && echo new >old/y && ln -s old/y link && rm word && echo again >word
"""
LOOK = "find . | sort; cat file link word; stat -c %u:%g file"
SEEN = ".\n./file\n./link\n./old\n./old/y\n./word\n{}\nnew\nagain\n7:8\n"


@pytest.fixture
def machine(fresh_daemon: Daemon) -> Daemon:
    fresh_daemon.restart_with("--storage-driver=overlay2")
    assert fresh_daemon.docker("info", "-f", "{{.Driver}}").out == "overlay2\n"
    return fresh_daemon


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "word").write_text("word\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path


def built(machine: Daemon, context: Path, number: int) -> str:
    """Build, see that the image has what it is to have, and return it."""
    image = machine.cove("build", "-q", "--build-arg", f"N={number}", str(context)).out.strip()
    assert machine.docker("run", "--rm", image, "sh", "-c", LOOK).out == SEEN.format(number)
    return image


def layers(machine: Daemon) -> set[str]:
    return {entry.name for entry in (machine.data_root / "layers").iterdir()}


def test_builds_are_cached_and_survive_and_leave_nothing(machine: Daemon, context: Path) -> None:
    before = layers(machine)
    image = built(machine, context, 1)
    machine.restart()
    done = machine.cove("build", "-q", "--explain", "--build-arg", "N=1", str(context)).out.splitlines()
    assert [line.split()[0] for line in done[:-1]] == ["HIT"] * 6
    assert done[-1] == image
    kill_9_at_any_moment(machine, context)
    machine.cove("image", "verify")
    machine.docker("image", "prune", "-f")
    machine.cove("builder", "prune", "-a", "-f")
    eventually(lambda: layers(machine) == before)
    assert list((machine.data_root / "tmp").iterdir()) == []


def kill_9_at_any_moment(machine: Daemon, context: Path) -> None:
    """End the daemon in the middle of builds, and see that the same builds succeed afterwards."""
    moments = random.Random(8)
    for number in range(2, KILLS + 2):
        with machine.spawned("cove", "build", "-q", "--build-arg", f"N={number}", str(context)) as client:
            time.sleep(moments.uniform(0.02, 0.5))
            machine.kill9()
            client.wait(30)
        machine.start()
        assert built(machine, context, number) == built(machine, context, number)
