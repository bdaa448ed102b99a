"""A container's limits as its own program reads them, by one name on machines of either version of control groups."""

from pathlib import Path

from harness.engine import Engine

HOARD = "dd if=/dev/zero of=/dev/null bs=200M count=1"
"""Needs 200 MB at once."""

UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers").exists()

_ROOT = "/sys/fs/cgroup"
_VERSION1 = {
    "memory": "memory/memory.limit_in_bytes",
    "swap": "memory/memory.memsw.limit_in_bytes",
    "reservation": "memory/memory.soft_limit_in_bytes",
    "swappiness": "memory/memory.swappiness",
    "quota": "cpu/cpu.cfs_quota_us",
    "period": "cpu/cpu.cfs_period_us",
    "shares": "cpu/cpu.shares",
    "cpus": "cpuset/cpuset.cpus",
    "mems": "cpuset/cpuset.mems",
    "pids": "pids/pids.max",
    "weight": "blkio/blkio.bfq.weight",
    "weights": "blkio/blkio.bfq.weight_device",
    "read_bps": "blkio/blkio.throttle.read_bps_device",
    "write_bps": "blkio/blkio.throttle.write_bps_device",
    "read_iops": "blkio/blkio.throttle.read_iops_device",
    "write_iops": "blkio/blkio.throttle.write_iops_device",
}
_VERSION2 = {
    "memory": "memory.max",
    "swap": "memory.swap.max",
    "reservation": "memory.low",
    "quota": "cpu.max",
    "period": "cpu.max",
    "shares": "cpu.weight",
    "cpus": "cpuset.cpus",
    "mems": "cpuset.mems",
    "pids": "pids.max",
    "weight": "io.bfq.weight",
    "weights": "io.bfq.weight",
    "read_bps": "io.max",
    "write_bps": "io.max",
    "read_iops": "io.max",
    "write_iops": "io.max",
}
_UNLIMITED = {"9223372036854771712": "-1"}
_WORDS = {"read_bps": "rbps", "write_bps": "wbps", "read_iops": "riops", "write_iops": "wiops"}
_SHARES = {"59": "512", "100": "1024", "1": "2", "10000": "262144"}
"""Some weights of version 2, and the shares that they are made of."""


def path(name: str) -> str:
    """The file of a limit in a container."""
    return f"{_ROOT}/{(_VERSION2 if UNIFIED else _VERSION1)[name]}"


def limit(daemon: Engine, box: str, name: str) -> str:
    """A limit of a running container, as version 1 shows it: ``swap`` is of memory and swap together."""
    text = daemon.docker("exec", box, "cat", path(name)).out.strip()
    return _as_version1(daemon, box, name, text) if UNIFIED else _UNLIMITED.get(text, text)


def _as_version1(daemon: Engine, box: str, name: str, text: str) -> str:
    match name:
        case "swap":
            memory = limit(daemon, box, "memory")
            return "-1" if "max" in (text, memory) else str(int(text) + int(memory))
        case "quota":
            return text.split()[0].replace("max", "-1")
        case "period":
            return text.split()[1]
        case "shares":
            return _SHARES.get(text, f"weight {text}")
        case "weight":
            return text.splitlines()[0].removeprefix("default ")
        case "weights":
            return "\n".join(text.splitlines()[1:])
    if name in _WORDS:
        lines = [line.split() for line in text.splitlines()]
        return "\n".join(
            f"{line[0]} {_value(line, _WORDS[name])}" for line in lines if _value(line, _WORDS[name]) != "max"
        )
    return text


def _value(words: list[str], name: str) -> str:
    return dict(word.split("=", 1) for word in words[1:])[name]
