"""What ``events`` tells of block devices and huge pages, in runc's names; sizes in bytes."""

import os

from cove.kernel.cgroups import Cgroup
from cove.lean import Any, suppress

_HUGE_PAGES = "/sys/kernel/mm/hugepages"
_FILES = {
    "ioServiceBytesRecursive": ("io_service_bytes", ("rbytes", "wbytes")),
    "ioServicedRecursive": ("io_serviced", ("rios", "wios")),
}
_OPERATIONS = ("Read", "Write")


def blkio(group: Cgroup) -> dict[str, Any]:
    """What was read and written, by device; what nobody counts is left out."""
    found = {}
    for name, (file, counters) in _FILES.items():
        entries = _unified(group, counters) if group.layout.unified else _split(group, file)
        if entries:
            found[name] = entries
    return found


def _split(group: Cgroup, file: str) -> list[dict[str, Any]]:
    """Of the first of the two policies that has counted anything: which does depends on the device's scheduler."""
    for policy in ("bfq", "throttle"):
        text = group.read("blkio", f"blkio.{policy}.{file}_recursive") or ""
        if entries := [_entry(*words) for words in map(str.split, text.splitlines()) if len(words) == 3]:
            return entries
    return []


def _unified(group: Cgroup, counters: tuple[str, str]) -> list[dict[str, Any]]:
    entries = []
    for device, *words in map(str.split, (group.read("io", "io.stat") or "").splitlines()):
        values = dict(word.split("=", 1) for word in words)
        entries += [
            _entry(device, operation, values[counter])
            for operation, counter in zip(_OPERATIONS, counters, strict=True)
            if counter in values
        ]
    return entries


def _entry(device: str, operation: str, value: str) -> dict[str, Any]:
    major, _, minor = device.partition(":")
    return {"major": int(major), "minor": int(minor), "op": operation, "value": int(value)}


def hugetlb(group: Cgroup) -> dict[str, Any]:
    """By the size of the pages, ``2MB``; nothing where the group has no such controller."""
    found = {}
    for size in _page_sizes():
        used, most, failures = (
            ("current", "max", "events")
            if group.layout.unified
            else ("usage_in_bytes", "max_usage_in_bytes", "failcnt")
        )
        text = group.read("hugetlb", f"hugetlb.{size}.{used}")
        if text is not None:
            failed = (group.read("hugetlb", f"hugetlb.{size}.{failures}") or "0").split()[-1]
            peak = group.read("hugetlb", f"hugetlb.{size}.{most}") or "0"
            found[size] = {"usage": int(text), "max": int(peak) if peak.isdecimal() else 0, "failcnt": int(failed)}
    return found


def _page_sizes() -> list[str]:
    """As the names of the files have it (hugetlb.rst)."""
    names: list[str] = []
    with suppress(OSError):
        names = os.listdir(_HUGE_PAGES)
    return [_size(int(name.removeprefix("hugepages-").removesuffix("kB"))) for name in sorted(names)]


def _size(kilobytes: int) -> str:
    for unit, factor in (("GB", 1 << 20), ("MB", 1 << 10)):
        if kilobytes >= factor:
            return f"{kilobytes // factor}{unit}"
    return f"{kilobytes}KB"
