"""``events``: usage of resources from time to time, and kills for want of memory."""

import json
import os
import time
from typing import Any

from cove.kernel.cgroups import Cgroup
from cove.runtime.command import block_usage
from cove.runtime.command.arguments import BOOL, TEXT, Flag, expect, flag
from cove.runtime.command.call import Call
from cove.runtime.command.container import Container, Failed, load

EVENTS_FLAGS: tuple[Flag, ...] = (
    flag("interval", TEXT, "set the stats collection interval", "5s"),
    flag("stats", BOOL, "display the container's stats then exit"),
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LOOK = 1.0  # seconds between looks at what has happened
_MICROSECOND = 1000  # in nanoseconds


def events(call: Call) -> int:
    values, words = call.parse(EVENTS_FLAGS)
    expect(words, 1, 1, "events")
    container = load(call.root, words[0])
    if not container.alive:
        raise Failed("container with id " + container.id + " is not running")
    if values["stats"]:
        _print(container, "stats", usage(container.cgroup))
        return 0
    _follow(container, _seconds(values["interval"]))
    return 0


def _follow(container: Container, interval: float) -> None:
    kills = container.cgroup.oom_kills()
    due = time.monotonic() + interval
    while container.alive:
        time.sleep(min(_LOOK, max(0.0, due - time.monotonic())))
        if (seen := container.cgroup.oom_kills()) > kills:
            kills = seen
            _print(container, "oom", None)
        if time.monotonic() >= due and container.alive:
            due += interval
            _print(container, "stats", usage(container.cgroup))


def _print(container: Container, kind: str, data: Any) -> None:
    event = {"type": kind, "id": container.id}
    print(json.dumps(event if data is None else {**event, "data": data}), flush=True)


def _seconds(word: str) -> float:
    unit = next((unit for unit in ("ms", "s", "m", "h") if word.endswith(unit)), "")
    try:
        seconds = float(word.removesuffix(unit)) * _UNITS[unit]
    except (ValueError, KeyError):
        raise Failed(f"invalid value {word!r} for flag -interval") from None
    if seconds <= 0:
        raise Failed("duration interval must be greater than 0")
    return seconds


def usage(group: Cgroup) -> dict[str, Any]:
    """What the processes of a control group use; times in nanoseconds, sizes in bytes."""
    memory: dict[str, Any] = {
        "stats": group.counters("memory", "memory.stat"),
        "raw": group.counters("memory", "memory.stat"),
    }
    if group.layout.unified:
        cpu = group.counters("cpu", "cpu.stat")
        total = cpu.get("usage_usec", 0) * _MICROSECOND
        modes = [cpu.get(f"{mode}_usec", 0) * _MICROSECOND for mode in ("user", "system")]
        sizes = [_number(group, "memory", f"memory.{name}") for name in ("current", "peak", "max")]
        memory |= {"cache": memory["stats"].get("file", 0)}
    else:
        cpu = group.counters("cpu", "cpu.stat")
        total = _number(group, "cpuacct", "cpuacct.usage")
        ticks = group.counters("cpuacct", "cpuacct.stat")
        modes = [ticks.get(mode, 0) * 10**9 // os.sysconf("SC_CLK_TCK") for mode in ("user", "system")]
        sizes = [_number(group, "memory", f"memory.{name}_in_bytes") for name in ("usage", "max_usage", "limit")]
        memory |= {"cache": memory["stats"].get("cache", 0), "failcnt": _number(group, "memory", "memory.failcnt")}
    return {
        "cpu": {"usage": {"total": total, "kernel": modes[1], "user": modes[0]}, "throttling": _throttling(cpu)},
        "memory": {**memory, "usage": dict(zip(("usage", "max", "limit"), sizes, strict=True))},
        "pids": {"current": _number(group, "pids", "pids.current"), "limit": _number(group, "pids", "pids.max")},
        "blkio": block_usage.blkio(group),
        "hugetlb": block_usage.hugetlb(group),
        "intel_rdt": {},
        "network_interfaces": None,
    }


def _throttling(cpu: dict[str, int]) -> dict[str, int]:
    time_of = cpu.get("throttled_time", cpu.get("throttled_usec", 0) * _MICROSECOND)
    return {
        "periods": cpu.get("nr_periods", 0),
        "throttledPeriods": cpu.get("nr_throttled", 0),
        "throttledTime": time_of,
    }


def _number(group: Cgroup, controller: str, file: str) -> int:
    text = group.read(controller, file) or ""
    return int(text) if text.isdecimal() else 0
