"""Processor time of an engine's own processes for logs and statistics of containers, without the containers' own."""

import os
import time
from pathlib import Path

from bench.measure import Result, docker
from bench.rows import LOGGED, WRITE
from harness.engine import Engine
from harness.leaks import in_namespace

WATCHED = 200
WATCH = f"{WATCHED} watched by stats, processor time per second"
_WATCHED_FOR = 20.0
"""Seconds."""

_TICK = os.sysconf("SC_CLK_TCK")
_WAIT = "until [ -e /end ]; do usleep 20000; done"


def per_logged_megabyte(engines: list[Engine]) -> Result:
    """Milliseconds of the engine's processes for each megabyte that a container writes to a json-file log."""
    ours, peer = (_per_megabyte(engine) for engine in engines)
    return Result("log, processor time per MB", ours, peer, "ms", 1, (ours, ours), 1.0, None)


def _per_megabyte(engine: Engine) -> float:
    script = f"until [ -e /go ]; do usleep 20000; done; {WRITE}; touch /end; sleep 1000"
    flags = ("--net", "none", "--log-opt", "max-size=20m", "--log-opt", "max-file=5")
    docker(engine, "run", "-d", "--name", "writer", *flags, "busybox", "sh", "-c", script)
    before = _used(engine)
    docker(engine, "exec", "writer", "touch", "/go")
    docker(engine, "exec", "writer", "sh", "-c", _WAIT)
    used = _used(engine) - before
    docker(engine, "rm", "-f", "writer")
    return used / LOGGED


def watched(engines: list[Engine]) -> Result:
    """Milliseconds of the engine's processes in each second that ``docker stats`` shows so many containers."""
    ours, peer = (_watched(engine) for engine in engines)
    return Result(WATCH, ours, peer, "ms", 1, (ours, ours), 1.0, None)


def _watched(engine: Engine) -> float:
    names = [f"watched{number}" for number in range(WATCHED)]
    for name in names:
        docker(engine, "run", "-d", "--net", "none", "--name", name, "busybox", "sleep", "86400")
    with engine.spawned("docker", "stats", "--format", "{{.Name}} {{.CPUPerc}}") as client:
        assert client.stdout is not None
        while names[0].encode() not in client.stdout.readline():  # the first screen is there
            pass
        before, began = _used(engine), time.monotonic()
        while time.monotonic() - began < _WATCHED_FOR:
            os.read(client.stdout.fileno(), 1 << 16)
        used, lasted = _used(engine) - before, time.monotonic() - began
    docker(engine, "rm", "-f", *names)
    return used / lasted


def _used(engine: Engine) -> float:
    """Milliseconds, of all processes in the engine's network namespace, which the container is not in."""
    return sum(_ticks(pid) for pid in in_namespace(engine.netns)) * 1000 / _TICK


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])  # utime and stime, proc(5)
