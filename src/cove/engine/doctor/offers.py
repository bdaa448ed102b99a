"""What the kernel and its libraries offer, and what it costs when something is missing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cove.engine.bundle import capacities
from cove.engine.bundle.capacities import Capacities
from cove.kernel import features, seccomp
from cove.kernel.cgroups import Layout
from cove.kernel.nftables import Nftables
from cove.wire.doctor import Offer


class Machine(NamedTuple):
    """``layers``: how layers lie on disk, as ``info`` says it. ``group``: the control group of the containers."""

    layout: Layout
    group: str
    layers: str

    @property
    def limits(self) -> Capacities:
        return capacities.look(self.layout, self.group)


class Feature(NamedTuple):
    """``look``: what there is, or "" when it is missing. ``cost``: what its absence means for users."""

    name: str
    look: Callable[[Machine], str]
    cost: str


def _kernel(_: Machine) -> str:
    return os.uname().release if features.release() >= (5, 11) else ""


def _control_groups(machine: Machine) -> str:
    if not machine.layout.hierarchies:
        return ""
    return "version 2" if machine.layout.unified else "version 1"


def _controllers(machine: Machine) -> str:
    limits = machine.limits
    names = {
        "memory": limits.memory,
        "swap": limits.swap,
        "cpu": limits.cpu_quota,
        "cpuset": limits.cpuset,
        "pids": limits.pids,
        "io": limits.block_throttle,
    }
    return " ".join(name for name, there in names.items() if there)


def _missing_controllers(machine: Machine) -> str:
    """A line of its own, that is "all" when no limit is without a controller."""
    limits = machine.limits
    return "all" if limits.memory and limits.pids and limits.cpu_quota and limits.cpuset and limits.swap else ""


def _user_namespaces(_: Machine) -> str:
    most = features.first_line("/proc/sys/user/max_user_namespaces")
    return f"{most} at most" if most.isdecimal() and int(most) > 0 else ""


def _namespaces(_: Machine) -> str:
    found = features.namespaces()
    return " ".join(found) if {"mnt", "pid", "net", "ipc", "uts", "cgroup"} <= set(found) else ""


def _firewall(_: Machine) -> str:
    try:
        with Nftables() as connection:
            connection.run("list tables")
    except OSError:
        return ""
    return "libnftables"


def _ipv6(_: Machine) -> str:
    off = features.first_line("/proc/sys/net/ipv6/conf/all/disable_ipv6")
    return {"0": "on", "1": "there, and off for all interfaces"}.get(off, "")


def _module(name: str) -> Callable[[Machine], str]:
    def look(_: Machine) -> str:
        return "on" if name in features.security_modules() else ""

    return look


def _file_system(name: str) -> Callable[[Machine], str]:
    def look(_: Machine) -> str:
        return "registered" if name in features.file_systems() else ""

    return look


def _filters(_: Machine) -> str:
    return features.first_line("/proc/sys/kernel/seccomp/actions_avail") if seccomp.supported() else ""


FEATURES: tuple[Feature, ...] = (
    Feature("Kernel", _kernel, "older than 5.11: not tested, and without fixes that containers count on"),
    Feature("Namespaces", _namespaces, "containers cannot be kept apart"),
    Feature("User namespaces", _user_namespaces, "no userns-remap, no rootless use"),
    Feature(
        "Time namespaces",
        lambda _: "there" if "time" in features.namespaces() else "",
        "cove-oci refuses bundles with time offsets",
    ),
    Feature("Control groups", _control_groups, "no limits, no statistics, no pause"),
    Feature("Controllers", _controllers, "no limits are enforced"),
    Feature(
        "Limits of memory, swap, CPU and processes",
        _missing_controllers,
        "flags without their controller are refused, or ignored as Docker does",
    ),
    Feature("Overlay", _file_system("overlay"), "no container can be started, unless the module can be loaded"),
    Feature(
        "EROFS from files",
        lambda machine: "used" if machine.layers.startswith("EROFS") else "",
        "layers are unpacked into directories: pulling and removing images takes longer",
    ),
    Feature("Seccomp", _filters, "containers can make every system call"),
    Feature(
        "Idmapped mounts",
        lambda _: "there" if features.has_mount_attributes() else "",
        "no idmap option of mounts; layers cannot be shared with user namespaces",
    ),
    Feature(
        "Paths held to a root (openat2)",
        lambda _: "there" if features.has_resolved_opens() else "",
        "no container can be started: paths inside one could not be resolved safely",
    ),
    Feature("nftables", _firewall, "no published ports, no isolation of networks, no egress policies"),
    Feature("IPv6", _ipv6, "no networks with --ipv6"),
    Feature(
        "eBPF",
        lambda _: "there" if features.has_bpf() else "",
        "no device rules on control groups of version 2",
    ),
    Feature(
        "AppArmor", _module("apparmor"), "one layer of defence less: files and mounts are held by namespaces alone"
    ),
    Feature("SELinux", _module("selinux"), "one layer of defence less: --security-opt label= has no effect"),
    Feature(
        "IPv4 forwarding",
        lambda machine: "on" if machine.limits.forwarding else "",
        "containers on bridges reach nothing outside",
    ),
    Feature(
        "CDI specifications",
        lambda _: " ".join(path for path in ("/etc/cdi", "/var/run/cdi") if Path(path).is_dir()),
        "no --device vendor.com/class=name and no --gpus until a vendor's tool writes some",
    ),
)


def offered(machine: Machine) -> list[Offer]:
    """Every feature: its value, or what its absence costs."""
    found = []
    for feature in FEATURES:
        value = feature.look(machine)
        found.append(Offer(name=feature.name, available=bool(value), value=value, cost="" if value else feature.cost))
    return found
