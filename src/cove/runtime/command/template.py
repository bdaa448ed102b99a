"""``spec``: a configuration to begin with."""

import json
import os
from typing import Any

from cove.runtime.command.arguments import BOOL, TEXT, Flag, expect, flag
from cove.runtime.command.call import Call
from cove.runtime.command.container import Failed

SPEC_FLAGS: tuple[Flag, ...] = (
    flag("bundle,b", TEXT, "path to the root of the bundle directory"),
    flag("rootless", BOOL, "generate a configuration for a rootless container"),
)
_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
_MASKED = (
    "/proc/acpi /proc/asound /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/timer_stats "
    "/proc/sched_debug /sys/firmware /sys/devices/virtual/powercap /proc/scsi /proc/interrupts"
)
_READ_ONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"
_MOUNTS = (
    ("/proc", "proc", "proc", ""),
    ("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
    ("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
    ("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k"),
    ("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"),
    ("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"),
    ("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro"),
)


def spec(call: Call) -> int:
    """Write ``config.json`` in the bundle; one that is there is not overwritten."""
    values, words = call.parse(SPEC_FLAGS)
    expect(words, 0, 0, "spec")
    path = os.path.join(values["bundle"] or ".", "config.json")
    configuration = _rootless(template()) if values["rootless"] else template()
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(json.dumps(configuration, indent="\t"))
    except FileExistsError:
        raise Failed("File config.json exists. Remove it first") from None
    return 0


def template() -> dict[str, Any]:
    """A shell at a terminal, in namespaces of its own."""
    return {
        "ociVersion": "1.2.0",
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES),
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "cove",
        "mounts": [_mount(*entry) for entry in _MOUNTS],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": _MASKED.split(),
            "readonlyPaths": _READ_ONLY.split(),
        },
    }


def _mount(destination: str, kind: str, source: str, options: str) -> dict[str, Any]:
    made: dict[str, Any] = {"destination": destination, "type": kind, "source": source}
    return {**made, "options": options.split(",")} if options else made


def _rootless(made: dict[str, Any]) -> dict[str, Any]:
    """With a user namespace, and without what its owner may not do outside of it."""
    linux = made["linux"]
    linux["namespaces"] = [entry for entry in linux["namespaces"] if entry["type"] != "network"] + [{"type": "user"}]
    linux["uidMappings"] = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
    del linux["resources"]
    for mount in made["mounts"]:
        if mount["destination"] == "/sys":
            mount |= {"type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]}
        mount["options"] = [option for option in mount.get("options", []) if not option.startswith("gid=")]
    return made
