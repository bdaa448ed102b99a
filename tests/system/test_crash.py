"""``kill -9`` of the daemon at random moments of a busy life: no container is lost, nothing is left behind.

``COVE_TEST_SEEDS=1,2,3`` in the environment chooses the moments; the default is one sequence of them.
"""

import contextlib
import http.client
import os
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from harness.base_image import busybox_root
from harness.daemon import Daemon
from harness.engine import SLOWNESS
from harness.rawhttp import Response
from harness.waiting import eventually

pytestmark = [pytest.mark.needs("cove"), pytest.mark.timeout(600)]

SEEDS = [int(seed) for seed in os.environ.get("COVE_TEST_SEEDS", "1").split(",")]
MOMENTS = 50
KEPT = 20
LONGEST_LIFE_SECONDS = 0.35
COUNT = "i=0; while :; do echo $i; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep .01; done"


class Clients:
    """Clients that do the same things again and again, whatever becomes of the daemon. ``done``: what succeeded."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.done: Counter[str] = Counter()
        self.kept: set[str] = set()
        self._stop = threading.Event()
        lives = [lambda: self._containers(0), lambda: self._containers(1), self._records, self._things]
        self._threads = [threading.Thread(target=self._again, args=(life,)) for life in lives]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def _again(self, life: Callable[[], None]) -> None:
        while not self._stop.is_set():
            life()

    def _containers(self, number: int) -> None:
        """The life of a container, by the command line."""
        name = f"busy{number}"
        for command in (
            ("run", "--rm", "busybox", "true"),
            ("run", "-d", "--name", name, "-p", f"{9000 + number}:80", "busybox", "sleep", "600"),
            ("exec", name, "true"),
            ("stop", "-t", "0", name),
            ("rm", "-f", name),
        ):
            with contextlib.suppress(subprocess.TimeoutExpired):
                finished = self.daemon.docker(*command, check=False, timeout=20)
                self.done[command[0]] += finished.code == 0

    def _records(self) -> None:
        """Containers that were promised: those made and never asked to go."""
        answer = self._ask("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"]})
        if answer is None or answer.status != 201:
            time.sleep(0.01)
            return
        self.done["create"] += 1
        if len(self.kept) < KEPT:
            self.kept.add(answer.json()["Id"])
        else:
            self._ask("DELETE", f"/containers/{answer.json()['Id']}")

    def _things(self) -> None:
        """Images, volumes and networks that come and go, and a network that a container joins and leaves."""
        for method, target, body in (
            ("POST", "/images/busybox/tag?repo=busy&tag=a", None),
            ("POST", "/images/create?fromSrc=-&repo=busyimport", busybox_root()),
            ("DELETE", "/images/busy:a", None),
            ("DELETE", "/images/busyimport", None),
            ("POST", "/volumes/create", {"Name": "busy"}),
            ("DELETE", "/volumes/busy", None),
            ("POST", "/networks/create", {"Name": "busy"}),
            ("POST", "/networks/busy/connect", {"Container": "witness"}),
            ("POST", "/networks/busy/disconnect", {"Container": "witness"}),
            ("DELETE", "/networks/busy", None),
        ):
            answer = self._ask(method, target, body)
            self.done[f"{method} {target.split('/')[1]}"] += answer is not None and answer.status < 300

    def _ask(self, method: str, target: str, body: Any = None) -> Response | None:
        """The answer of the daemon, once there is one; None when it died meanwhile, or none came any more."""
        while not self._stop.is_set():
            try:
                return self.daemon.http(method, target, body)
            except (ConnectionRefusedError, FileNotFoundError):
                time.sleep(0.005)
            except (OSError, http.client.HTTPException):
                break
        return None


@pytest.mark.parametrize("seed", SEEDS)
def test_at_random_moments(fresh_daemon: Daemon, seed: int) -> None:
    moments = random.Random(seed)
    fresh_daemon.docker("run", "-d", "--name", "witness", "busybox", "sh", "-c", COUNT)
    pid = fresh_daemon.docker("inspect", "-f", "{{.State.Pid}}", "witness").out
    with Clients(fresh_daemon) as clients:
        for _ in range(MOMENTS):
            time.sleep(moments.uniform(0, LONGEST_LIFE_SECONDS))  # the moment is the test's input, not a wait
            fresh_daemon.kill9()
            fresh_daemon.start()
        eventually(lambda: len(clients.done) == 11 and min(clients.done.values()) > 0, seconds=60 * SLOWNESS)
    assert fresh_daemon.docker("inspect", "-f", "{{.State.Pid}}", "witness").out == pid
    fresh_daemon.docker("kill", "witness")
    lines = fresh_daemon.docker("logs", "witness").out.split()
    assert lines == [str(number) for number in range(len(lines))]
    everything = fresh_daemon.docker("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Status}}").out
    assert "Removal" not in everything
    assert "Dead" not in everything
    assert clients.kept <= {line.split()[0] for line in everything.splitlines()}
    for name in ("busy0", "busy1"):
        fresh_daemon.docker("rm", "-f", name, check=False)
        fresh_daemon.docker("run", "--rm", "--name", name, "-p", "9000:80", "-p", "9001:80", "busybox", "true")
