"""The limits of the OCI configuration as properties of a unit (systemd.resource-control(5)); pure but for device names.

What systemd has no word for is not here: it is written to the control group's files after, with all the rest.
"""

from collections.abc import Iterator

from cove.oci.runtime import CpuLimits, DeviceRule, MemoryLimits, Resources
from cove.runtime.dbus.marshalling import Variant
from cove.runtime.limits import weight_of_shares
from cove.runtime.systemd import Property

_INFINITY = (1 << 64) - 1
_PERIOD = 100_000  # microseconds, the kernel's default
_PERCENT = 10_000  # microseconds a second: systemd counts quotas in whole percents
_NUMBERED = {
    "memory.min": "MemoryMin",
    "memory.low": "MemoryLow",
    "memory.high": "MemoryHigh",
    "memory.max": "MemoryMax",
    "memory.swap.max": "MemorySwapMax",
    "pids.max": "TasksMax",
    "cpu.weight": "CPUWeight",
}
_DIRECTORIES = {"c": "/dev/char", "b": "/dev/block"}
_CLASSES = {"c": "char", "b": "block"}


def beginning(slice_: str, unit: str, pid: int) -> list[Property]:
    """What makes it a scope of ours. ``pid``: of its first process, as systemd sees it."""
    return [
        ("Description", Variant("s", f"cove container {unit.removesuffix('.scope')}")),
        ("Slice", Variant("s", slice_)),
        ("PIDs", Variant("au", [pid])),
        ("Delegate", Variant("b", True)),
        ("DefaultDependencies", Variant("b", False)),
    ]


def accounting(unified: bool) -> list[Property]:
    """Each makes systemd have the controller in the scope."""
    names = ("MemoryAccounting", "CPUAccounting", "IOAccounting" if unified else "BlockIOAccounting", "TasksAccounting")
    return [(name, Variant("b", True)) for name in names]


def limits(resources: Resources, *, unified: bool) -> list[Property]:
    """Raises ValueError for a set of CPUs that is none."""
    return [
        *_memory(resources.get("memory", {}), unified),
        *_cpu(resources.get("cpu", {}), unified),
        *_tasks(resources),
        *_block(resources, unified),
        *_by_file(resources.get("unified", {}) if unified else {}),
    ]


def _amount(name: str, value: int) -> Property:
    return name, Variant("t", _INFINITY if value < 0 else value)


def _memory(memory: MemoryLimits, unified: bool) -> Iterator[Property]:
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    if limit:
        yield _amount("MemoryMax" if unified else "MemoryLimit", limit)
    if not unified:
        return
    if reservation := memory.get("reservation", 0):
        yield _amount("MemoryLow", reservation)
    if swap < 0 or (limit < 0 and not swap):
        yield _amount("MemorySwapMax", -1)
    elif swap:
        yield _amount("MemorySwapMax", swap - limit)


def _cpu(cpu: CpuLimits, unified: bool) -> Iterator[Property]:
    if shares := cpu.get("shares", 0):
        yield _amount("CPUWeight", weight_of_shares(shares)) if unified else _amount("CPUShares", shares)
    quota, period = cpu.get("quota", 0), cpu.get("period", 0)
    if period:
        yield _amount("CPUQuotaPeriodUSec", period)
    if quota or period:
        yield _amount("CPUQuotaPerSecUSec", _per_second(quota, period or _PERIOD))
    if unified:
        yield from _sets(cpu.get("cpus", ""), cpu.get("mems", ""))


def _per_second(quota: int, period: int) -> int:
    """Of CPU time, in microseconds, rounded up to what systemd can say; -1 for no quota."""
    if quota <= 0:
        return -1
    return -(-quota * 1_000_000 // period // _PERCENT) * _PERCENT


def _sets(cpus: str, mems: str) -> Iterator[Property]:
    if cpus:
        yield "AllowedCPUs", Variant("ay", bits(cpus))
    if mems:
        yield "AllowedMemoryNodes", Variant("ay", bits(mems))


def bits(ranges: str) -> bytes:
    """``0,2-3`` as a little-endian mask. Raises ValueError."""
    mask = 0
    for word in filter(None, (each.strip() for each in ranges.split(","))):
        first, _, last = word.partition("-")
        low, high = int(first), int(last or first)
        if not 0 <= low <= high <= 1 << 16:
            raise ValueError(f"{ranges!r} is not a set of numbers")
        mask |= (1 << high + 1) - (1 << low)
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")


def _tasks(resources: Resources) -> Iterator[Property]:
    if limit := resources.get("pids", {"limit": 0})["limit"]:
        yield _amount("TasksMax", limit)


def _block(resources: Resources, unified: bool) -> Iterator[Property]:
    """Version 2 has weights of another scale, and of BFQ, which systemd does not tell apart: by file alone."""
    if not unified and (weight := resources.get("blockIO", {}).get("weight")):
        yield _amount("BlockIOWeight", weight)


def _by_file(files: dict[str, str]) -> Iterator[Property]:
    for file, value in files.items():
        if file in _NUMBERED and (value == "max" or value.isdecimal()):
            yield _amount(_NUMBERED[file], -1 if value == "max" else int(value))
        elif file in ("cpuset.cpus", "cpuset.mems"):
            yield from _sets(*((value, "") if file == "cpuset.cpus" else ("", value)))


def devices(rules: list[DeviceRule]) -> list[Property]:
    """What may be used, for the policy that systemd puts back at its reload. Finer denials are in our filter alone."""
    allowed = _allowed(rules)
    if allowed is None:
        return [("DevicePolicy", Variant("s", "auto"))]
    return [("DevicePolicy", Variant("s", "strict")), ("DeviceAllow", Variant("a(ss)", allowed))]


def _allowed(rules: list[DeviceRule]) -> list[tuple[str, str]] | None:
    """None when everything is, as it is without rules."""
    allowed: dict[str, str] | None = None
    for rule in rules:
        names, access = _names(rule), rule.get("access", "") or "rwm"
        if not names:
            allowed = None if rule["allow"] else {}
        elif allowed is not None:
            for name in names:
                _change(allowed, name, access if rule["allow"] else "", access)
    return None if allowed is None else [(name, access) for name, access in allowed.items() if access]


def _change(allowed: dict[str, str], name: str, added: str, named: str) -> None:
    kept = {letter for letter in allowed.get(name, "") if letter not in named}
    allowed[name] = "".join(letter for letter in "rwm" if letter in kept or letter in added)


def _names(rule: DeviceRule) -> list[str]:
    """As DeviceAllow= has it; none for a rule of all devices."""
    kind, major, minor = rule.get("type", "a") or "a", rule.get("major", -1), rule.get("minor", -1)
    if kind == "a":
        return []
    if major >= 0 and minor >= 0:
        return [f"{_DIRECTORIES[kind]}/{major}:{minor}"]
    if major >= 0:
        return [f"{_CLASSES[kind]}-{name}" for name in _drivers(kind, major)]
    return [f"{_CLASSES[kind]}-*"] if minor < 0 else []


def _drivers(kind: str, major: int) -> list[str]:
    """Whom the kernel gave the number, by /proc/devices (proc_devices(5))."""
    with open("/proc/devices", encoding="utf-8", errors="replace") as file:
        characters, _, blocks = file.read().partition("Block devices:")
    lines = (blocks if kind == "b" else characters).splitlines()
    words = [line.split() for line in lines]
    return list(dict.fromkeys(pair[1] for pair in words if len(pair) == 2 and pair[0] == str(major)))
