"""``update``: other limits for a running container."""

import sys

from cove.lean import Any, json
from cove.oci.runtime import Resources
from cove.runtime import cgroup
from cove.runtime.command.arguments import INT, TEXT, Flag, expect, flag
from cove.runtime.command.call import Call
from cove.runtime.command.container import Failed, load

UPDATE_FLAGS: tuple[Flag, ...] = (
    flag("resources,r", TEXT, "path to the file containing the resources to update or '-' to read from the stdin"),
    flag("blkio-weight", INT, "specifies per cgroup weight, range is from 10 to 1000"),
    flag("cpu-period", TEXT, "CPU CFS period to be used for hardcapping (in usecs)"),
    flag("cpu-quota", TEXT, "CPU CFS hardcap limit (in usecs)"),
    flag("cpu-share", TEXT, "CPU shares (relative weight vs. other containers)"),
    flag("cpu-rt-period", TEXT, "CPU realtime period to be used for hardcapping (in usecs)"),
    flag("cpu-rt-runtime", TEXT, "CPU realtime hardcap limit (in usecs)"),
    flag("cpuset-cpus", TEXT, "CPU(s) to use"),
    flag("cpuset-mems", TEXT, "memory node(s) to use"),
    flag("kernel-memory", TEXT, "ignored: the kernel has no such limit any more"),
    flag("memory", TEXT, "memory limit (in bytes)"),
    flag("memory-reservation", TEXT, "memory reservation or soft_limit (in bytes)"),
    flag("memory-swap", TEXT, "total memory usage (memory + swap); set '-1' to enable unlimited swap"),
    flag("pids-limit", INT, "maximum number of pids allowed in the container"),
    flag("l3-cache-schema", TEXT, "refused: Intel RDT is not supported"),
    flag("mem-bw-schema", TEXT, "refused: Intel RDT is not supported"),
)
_NUMBERS = {
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
}
_SUFFIXES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def update(call: Call) -> int:
    values, words = call.parse(UPDATE_FLAGS)
    expect(words, 1, 1, "update")
    container = load(call.root, words[0])
    if container.status() not in ("running", "created", "paused"):
        raise Failed("container not running")
    resources = _from_file(values["resources"]) if values["resources"] else _from_flags(values)
    try:
        cgroup.update(container.cgroup, resources)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Failed(f"unable to apply the limits: {error}") from None
    return 0


def _from_file(path: str) -> Resources:
    """Devices are left out: the rules of a running container stay."""
    try:
        if path == "-":
            given: Any = json.loads(sys.stdin.read())
        else:
            with open(path, "rb") as file:
                given = json.loads(file.read())
        kept: Resources = _without_null(given)
    except (OSError, ValueError, AttributeError) as error:
        raise Failed(f"--resources: {error}") from None
    kept.pop("devices", None)
    return kept


def _without_null(given: Any) -> Any:
    if isinstance(given, dict):
        return {key: _without_null(value) for key, value in given.items() if value is not None}
    return given


def _from_flags(values: dict[str, Any]) -> Resources:
    if values["l3-cache-schema"] or values["mem-bw-schema"]:
        raise Failed("Intel RDT is not supported")
    made: dict[str, Any] = {}
    for name, (group, key) in _NUMBERS.items():
        if values[name]:
            made.setdefault(group, {})[key] = _bytes(name, values[name])
    for key in ("cpus", "mems"):
        if values[f"cpuset-{key}"]:
            made.setdefault("cpu", {})[key] = values[f"cpuset-{key}"]
    if values["pids-limit"]:
        made["pids"] = {"limit": values["pids-limit"]}
    if values["blkio-weight"]:
        made["blockIO"] = {"weight": values["blkio-weight"]}
    return made  # type: ignore[return-value]


def _bytes(name: str, word: str) -> int:
    lower = word.lower().removesuffix("b")
    factor = _SUFFIXES.get(lower[-1:], 1)
    try:
        return int(lower[:-1] if factor > 1 else lower) * factor
    except ValueError:
        raise Failed(f"invalid value for {name}: {word!r}") from None
