"""A busy life of random operations, while the daemon and shims are killed: the records agree with the machine after it.

``COVE_SOAK_SECONDS`` in the environment is how long (600 for a soak worth the name); ``COVE_TEST_SEEDS=1,2,3`` chooses
the sequences, whose seeds are printed. Several clients contend for a few names, networks and volumes; what each answer
must be cannot be said, but none is a failure of the engine's own, and when all is over nothing is half done.
"""

import contextlib
import http.client
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.base_image import small_tar
from harness.daemon import Daemon
from harness.engine import SLOWNESS
from harness.leaks import CGROUP_ROOT
from harness.rawhttp import Response
from harness.waiting import eventually

SECONDS = float(os.environ.get("COVE_SOAK_SECONDS", "20"))
SEEDS = [int(seed) for seed in os.environ.get("COVE_TEST_SEEDS", "1").split(",")]
pytestmark = [pytest.mark.needs("cove"), pytest.mark.timeout(SECONDS * 2 + 240)]

CLIENTS = 4
NAMES = [f"soak{number}" for number in range(6)]
NETWORKS = ["soaknet0", "soaknet1"]
VOLUMES = ["soakvol0", "soakvol1"]
NEEDED = ("create", "POST start", "POST exec", "DELETE soaknet0")
"""What has been done at least once in the end."""
DAEMON_LIFE_SECONDS = 3.0
SHIM_LIFE_SECONDS = 1.0
COMMANDS = (
    ["sleep", "600"],
    ["sleep", "600"],
    ["true"],
    ["false"],
    ["sh", "-c", "trap 'exit 3' TERM; while :; do echo tick; sleep 0.1; done"],
    ["sh", "-c", "sleep 0.2; exit 7"],
    ["yes"],
)
MURDERED = b"ended before the container started"
"""What a client is told whose shim this test killed during the start."""

POLICIES = ("no", "no", "on-failure", "always", "unless-stopped")


class Client:
    """One client. ``wrong``: answers that no client should see; ``done``: how often each operation succeeded."""

    def __init__(self, daemon: Daemon, seed: int, over: threading.Event) -> None:
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()
        self._daemon = daemon
        self._random = random.Random(seed)
        self._over = over
        self.thread = threading.Thread(target=self._run, name=f"client {seed}", daemon=True)

    def _run(self) -> None:
        operations = [self._create, self._create, self._act, self._act, self._act, self._look, self._exec, self._copy]
        operations += [self._network, self._volume, self._update, self._remove]
        while not self._over.is_set():
            self._random.choice(operations)()

    def _container(self) -> str:
        return self._random.choice(NAMES)

    def _chance(self, part: float) -> bool:
        return self._random.random() < part

    def _create(self) -> None:
        host: dict[str, Any] = {
            "AutoRemove": self._chance(0.15),
            "PortBindings": {"80/tcp": [{"HostPort": str(9100 + self._random.randrange(4))}]}
            if self._chance(0.4)
            else {},
            "Binds": [f"{self._random.choice(VOLUMES)}:/data"] if self._chance(0.4) else [],
            "NetworkMode": self._random.choice(["bridge", "none", "host", *NETWORKS]),
            "Init": self._chance(0.2),
        }
        if not host["AutoRemove"]:
            host["RestartPolicy"] = {"Name": self._random.choice(POLICIES)}
        body: dict[str, Any] = {"Image": "busybox", "Cmd": self._random.choice(COMMANDS), "HostConfig": host}
        body["Tty"] = self._chance(0.2)
        if self._chance(0.3):
            body["Healthcheck"] = {"Test": ["CMD", "true"], "Interval": 300_000_000, "Timeout": 1_000_000_000}
        name = self._container()
        if self._ask("POST", f"/containers/create?name={name}", body, "create") and self._chance(0.9):
            self._ask("POST", f"/containers/{name}/start")

    def _act(self) -> None:
        name, other = self._container(), self._container()
        what = self._random.choice(
            f"start start stop?t=0 stop?t=1 restart?t=0 kill kill?signal=TERM pause unpause rename?name={other}".split()
        )
        self._ask("POST", f"/containers/{name}/{what}")

    def _look(self) -> None:
        what = "json json?size=1 logs?stdout=1&stderr=1&tail=20 top stats?stream=0&one-shot=1 changes".split()
        whole = [
            "/containers/json?all=1",
            "/containers/json?all=1&size=1",
            "/system/df",
            "/info",
            "/networks",
            "/volumes",
        ]
        one = f"/containers/{self._container()}/{self._random.choice(what)}"
        self._ask("GET", self._random.choice([one, one, *whole]))

    def _exec(self) -> None:
        body = {"Cmd": self._random.choice([["true"], ["sleep", "1"], ["sh", "-c", "echo $$"]]), "AttachStdout": True}
        answer = self._ask("POST", f"/containers/{self._container()}/exec", body)
        if answer:
            self._ask("POST", f"/exec/{answer.json()['Id']}/start", {"Detach": self._chance(0.5)})

    def _copy(self) -> None:
        path = f"/containers/{self._container()}/archive?path=/tmp"
        if self._chance(0.5):
            self._ask("GET", path)
        else:
            self._ask("PUT", path, small_tar({"soak": "x" * self._random.randrange(5000)}))

    def _network(self) -> None:
        network, name = self._random.choice(NETWORKS), self._container()
        operations: list[tuple[str, str, Any]] = [
            ("POST", "/networks/create", {"Name": network}),
            ("POST", f"/networks/{network}/connect", {"Container": name}),
            ("POST", f"/networks/{network}/connect", {"Container": name}),
            ("POST", f"/networks/{network}/disconnect", {"Container": name, "Force": self._chance(0.5)}),
            ("DELETE", f"/networks/{network}", None),
        ]
        self._ask(*self._random.choice(operations))

    def _volume(self) -> None:
        volume = self._random.choice(VOLUMES)
        if self._chance(0.5):
            self._ask("POST", "/volumes/create", {"Name": volume})
        else:
            self._ask("DELETE", f"/volumes/{volume}")

    def _update(self) -> None:
        body: dict[str, Any] = {"Memory": self._random.choice([64, 128]) << 20, "MemorySwap": -1}
        if self._chance(0.5):
            body = {"RestartPolicy": {"Name": self._random.choice(POLICIES)}}
        self._ask("POST", f"/containers/{self._container()}/update", body)

    def _remove(self) -> None:
        self._ask("DELETE", f"/containers/{self._container()}{'?force=1&v=1' if self._chance(0.7) else ''}")

    def _ask(self, method: str, target: str, body: Any = None, what: str = "") -> Response | None:
        """The answer if it is a success; None also when the daemon was not there, or was killed over it."""
        try:
            answer = self._daemon.http(method, target, body, timeout=30)
        except TimeoutError:
            self.wrong.append(f"{method} {target}: no answer")
            return None
        except (OSError, http.client.HTTPException):
            time.sleep(0.01)
            return None
        if answer.status >= 500 and MURDERED not in answer.body:
            self.wrong.append(
                f"{method} {target} {body if not isinstance(body, bytes) else ''}: {answer.status} {answer.body!r}"
            )
        self.done[what or f"{method} {target.split('?')[0].rstrip('/').split('/')[-1]}"] += answer.status < 300
        return answer if answer.status < 300 else None


def _soak(daemon: Daemon, seed: int) -> list[Client]:
    """Let the clients live for SECONDS, killing the daemon and shims at random moments."""
    chances, over = random.Random(seed), threading.Event()
    clients = [Client(daemon, seed * 1000 + number, over) for number in range(CLIENTS)]
    for client in clients:
        client.thread.start()
    end = time.monotonic() + SECONDS
    daemon_dies = time.monotonic() + chances.uniform(0, DAEMON_LIFE_SECONDS)
    while time.monotonic() < end:
        time.sleep(chances.uniform(0, SHIM_LIFE_SECONDS))  # the moment is the test's input, not a wait
        if time.monotonic() < daemon_dies:
            _kill_a_shim(daemon, chances)
            continue
        daemon.kill9()
        if chances.random() < 0.3:
            _kill_a_shim(daemon, chances)
        daemon.start()
        daemon_dies = time.monotonic() + chances.uniform(0, DAEMON_LIFE_SECONDS)
    eventually(lambda: all(_done(clients)[what] for what in NEEDED), seconds=60 * SLOWNESS)
    over.set()
    for client in clients:
        client.thread.join(60 * SLOWNESS)
        assert not client.thread.is_alive(), f"{client.thread.name} waits for an answer"
    return clients


def _done(clients: list[Client]) -> Counter[str]:
    return sum((client.done.copy() for client in clients), Counter[str]())


def _kill_a_shim(daemon: Daemon, chances: random.Random) -> None:
    shims = sorted(_shims(daemon))
    if shims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chances.choice(shims), signal.SIGKILL)


def _shims(daemon: Daemon) -> list[int]:
    """The parents, outside, of what runs in containers' control groups."""
    found = set()
    for group in (CGROUP_ROOT / "pids" / daemon.cgroup_parent.lstrip("/")).glob("*/cgroup.procs"):
        with contextlib.suppress(OSError):
            members = [int(pid) for pid in group.read_text().split()]
            parents = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in members}
            found |= parents - {0, 1, *members}
    return list(found)


def _disagreements(daemon: Daemon) -> list[str]:
    """What the records say and the machine does not, and what two views of the API say differently."""
    found: list[str] = []
    for item in daemon.http("GET", "/containers/json?all=1").json():
        answer = daemon.http("GET", f"/containers/{item['Id']}/json")
        if answer.status == 404:
            continue
        found += [f"{item['Names']} {problem}" for problem in _problems(daemon, item, answer.json())]
    return found


def _problems(daemon: Daemon, item: dict[str, Any], inspected: dict[str, Any]) -> list[str]:
    state = inspected["State"]
    members = _members(daemon, inspected["Id"])
    problems = []
    if item["State"] != state["Status"] and "restarting" not in (item["State"], state["Status"]):
        problems.append(f"is {item['State']} in the list, {state['Status']} for inspect")
    if state["Status"] in ("removing", "dead"):
        problems.append(f"is {state['Status']}")
    if state["Status"] in ("running", "paused"):
        if state["Pid"] not in members:
            problems.append(f"runs as {state['Pid']}, which is not among {members}")
    elif members and state["Status"] != "restarting":
        problems.append(f"is {state['Status']} and has the processes {members}")
    return problems


def _members(daemon: Daemon, identity: str) -> list[int]:
    for hierarchy in (CGROUP_ROOT / "pids", CGROUP_ROOT):
        group = hierarchy / daemon.cgroup_parent.lstrip("/") / identity / "cgroup.procs"
        with contextlib.suppress(OSError):
            return [int(pid) for pid in group.read_text().split()]
    return []


def _tracebacks(daemon: Daemon) -> list[str]:
    """Those in its log, each with the line before it."""
    lines = daemon.log.read_text(errors="replace").splitlines()
    found = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    ends = [next((end for end in range(at, len(lines)) if lines[end].startswith("time=")), len(lines)) for at in found]
    return ["\n".join(lines[max(0, at - 1) : end]) for at, end in zip(found, ends, strict=True)]


def _ends(daemon: Daemon) -> None:
    """Every container can still be used as its state allows, and removed."""
    for name in NAMES:
        answer = daemon.http("GET", f"/containers/{name}/json")
        if answer.status == 404:
            continue
        state = answer.json()["State"]
        if state["Paused"]:
            assert daemon.http("POST", f"/containers/{name}/unpause").status == 204
        elif state["Running"]:
            done = daemon.docker("exec", name, "true", check=False)
            assert done.code == 0 or "is not running" in done.err or "restarting" in done.err, (name, done)
        assert daemon.http("DELETE", f"/containers/{name}?force=1").status in (204, 404), name
        daemon.docker("run", "--rm", "--name", name, "busybox", "true")


@pytest.mark.parametrize("seed", SEEDS)
def test_random_operations(fresh_daemon: Daemon, seed: int) -> None:
    print(f"seed {seed}, {SECONDS:g} s")
    clients = _soak(fresh_daemon, seed)
    print(_done(clients))
    wrong = [each for client in clients for each in client.wrong]
    assert not wrong, f"{len(wrong)} answers:\n" + "\n".join([*wrong[:20], *_tracebacks(fresh_daemon)])
    assert not _tracebacks(fresh_daemon), "\n".join(_tracebacks(fresh_daemon))
    eventually(lambda: _disagreements(fresh_daemon), lambda found: not found)
    _ends(fresh_daemon)
