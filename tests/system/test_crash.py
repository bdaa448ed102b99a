"""``kill -9`` of the daemon at random moments of a busy life: no container is lost, nothing is left behind."""

import contextlib
import random
import subprocess
import threading
import time
from collections import Counter

import pytest

from harness.daemon import Daemon

pytestmark = [pytest.mark.needs("cove"), pytest.mark.timeout(600)]

MOMENTS = 50
LONGEST_LIFE_SECONDS = 0.35
COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep .02; done"


class Busy:
    """Clients that run, exec, stop and remove, again and again, whatever becomes of the daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self.done: Counter[str] = Counter()
        self._daemon = daemon
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._life, args=(number,)) for number in range(2)]

    def __enter__(self) -> "Busy":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def _life(self, number: int) -> None:
        name = f"busy{number}"
        while not self._stop.is_set():
            for command in (
                ("run", "--rm", "busybox", "true"),
                ("run", "-d", "--name", name, "-p", f"{9000 + number}:80", "busybox", "sleep", "600"),
                ("exec", name, "true"),
                ("stop", "-t", "0", name),
                ("rm", "-f", name),
            ):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    finished = self._daemon.docker(*command, check=False, timeout=20)
                    self.done[command[0]] += finished.code == 0


@pytest.mark.parametrize("seed", [1])
def test_at_random_moments(fresh_daemon: Daemon, seed: int) -> None:
    moments = random.Random(seed)
    fresh_daemon.docker("run", "-d", "--name", "witness", "busybox", "sh", "-c", COUNT)
    pid = fresh_daemon.docker("inspect", "-f", "{{.State.Pid}}", "witness").out
    with Busy(fresh_daemon) as busy:
        for _ in range(MOMENTS):
            time.sleep(moments.uniform(0, LONGEST_LIFE_SECONDS))  # the moment is the test's input, not a wait
            fresh_daemon.kill9()
            fresh_daemon.start()
    assert min(busy.done[verb] for verb in ("run", "exec", "stop", "rm")) > 3, busy.done  # it was a busy life
    assert fresh_daemon.docker("inspect", "-f", "{{.State.Pid}}", "witness").out == pid
    fresh_daemon.docker("kill", "witness")
    lines = fresh_daemon.docker("logs", "witness").out.split()
    assert lines == [str(number) for number in range(len(lines))]
    everything = fresh_daemon.docker("ps", "-a", "--format", "{{.Names}} {{.Status}}").out
    assert "Removal" not in everything
    assert "Dead" not in everything
