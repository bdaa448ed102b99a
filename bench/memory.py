"""Memory: what the engine's own processes hold, as proportional set size, so that shared pages count once."""

import re
from pathlib import Path

from bench.measure import Result, docker
from harness.engine import Engine
from harness.leaks import in_namespace

CONTAINERS = 20
MIB = 1024.0


def idle(engines: list[Engine]) -> Result:
    """All of an engine's processes, with no container."""
    ours, peer = (_total(in_namespace(engine.netns)) for engine in engines)
    return Result("engine, idle", ours, peer, "MiB", 1, (ours, ours), None, 80.0)


def per_container(engines: list[Engine]) -> Result:
    """What all of an engine's processes hold more for each running container than without any.

    The programs in the containers are not counted. What a shim shares with the zygote is the zygote's less: so the
    sum over all processes is compared, not the new ones alone.
    """
    ours, peer = (_per_container(engine) for engine in engines)
    return Result("per running container", ours, peer, "MiB", CONTAINERS, (ours, ours), None, 2.0)


def _per_container(engine: Engine) -> float:
    before = _total(in_namespace(engine.netns))
    names = [f"memory{number}" for number in range(CONTAINERS)]
    for name in names:
        docker(engine, "run", "-d", "--name", name, "busybox", "sleep", "86400")
    after = _total(in_namespace(engine.netns))
    docker(engine, "rm", "-f", *names)
    return (after - before) / CONTAINERS


def _total(pids: list[int]) -> float:
    """Their proportional set size in MiB."""
    return sum(_proportional_kib(pid) for pid in pids) / MIB


def _proportional_kib(pid: int) -> int:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
