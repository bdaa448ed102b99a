"""What departs from least privilege in a container: one table, in the spirit of the CIS benchmark for Docker."""

import os
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cove.engine.bundle import security
from cove.engine.containers.record import MountPoint, Record
from cove.engine.doctor.check import Check
from cove.wire.host_config import HostConfig, PortBinding


class Subject(NamedTuple):
    """``own``: directories of this daemon, its sockets among them. ``seccomp``: the daemon's own profile.

    ``remapped``: root in containers is not root on the host, unless they ask for it.
    """

    record: Record
    own: tuple[str, ...] = ()
    seccomp: str = "builtin"
    remapped: bool = False
    modules: tuple[str, ...] = ()

    @property
    def host(self) -> HostConfig:
        return self.record.host_config

    @property
    def options(self) -> security.SecurityOptions:
        return security.parse(self.host.security_opt or [])


_POWERFUL = frozenset(
    "ALL SYS_ADMIN SYS_MODULE SYS_RAWIO SYS_PTRACE DAC_READ_SEARCH BPF PERFMON SYS_BOOT MAC_ADMIN MAC_OVERRIDE "
    "SYS_TIME SYSLOG NET_ADMIN CHECKPOINT_RESTORE".split()
)
"""Capabilities that reach the host, or through which a container gets to others."""

_SOCKETS = ("/run/docker.sock", "/run/cove/cove.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock")
_SENSITIVE = ("/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sys", "/usr", "/var", "/var/lib")
_ALL_BELOW = ("/boot", "/dev", "/proc", "/sys")
_ANY_ADDRESS = ("", "0.0.0.0", "::")

_SECRET_NAME = re.compile(
    r"(^|_)(PASSWORD|PASSWD|PASSPHRASE|PWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|SECRET_?KEY|CREDENTIALS?)$",
    re.IGNORECASE,
)
_NO_SECRETS = ("PWD", "OLDPWD")


def _capabilities(subject: Subject, *, powerful: bool) -> str:
    if subject.host.privileged:
        return ""
    added = sorted({name.upper().removeprefix("CAP_") for name in subject.host.cap_add or []})
    return " ".join(name for name in added if (name in _POWERFUL) == powerful)


def _shared(field: str) -> Callable[[Subject], str]:
    def look(subject: Subject) -> str:
        return "host" if getattr(subject.host, field) == "host" else ""

    return look


def _binds(subject: Subject) -> list[tuple[MountPoint, str]]:
    return [(mount, os.path.realpath(mount.source)) for mount in subject.record.mounts if mount.kind == "bind"]


def _is_within(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _engine_sockets(subject: Subject) -> str:
    """A socket of an engine itself, or a directory that holds one of this daemon's or of the usual ones."""
    wanted = [os.path.realpath(path) for path in (*_SOCKETS, *subject.own)]
    return _shown(
        mount
        for mount, source in _binds(subject)
        if source != "/" and any(_is_within(path, source) or _is_within(source, path) for path in wanted)
    )


def _sensitive(subject: Subject, *, writable: bool) -> str:
    return _shown(
        mount
        for mount, source in _binds(subject)
        if mount.writable == writable
        and (source == "/" or source in _SENSITIVE or any(_is_within(source, place) for place in _ALL_BELOW))
    )


def _shown(mounts: Iterable[MountPoint]) -> str:
    return ", ".join(f"{mount.source} on {mount.destination}" for mount in mounts)


def _propagation(subject: Subject) -> str:
    return _shown(mount for mount in subject.record.mounts if mount.propagation in ("shared", "rshared"))


def _devices(subject: Subject) -> str:
    host = subject.host
    named = [item.path_on_host for item in host.devices or []]
    return ", ".join([*named, *(host.device_cgroup_rules or [])])


def _seccomp(subject: Subject) -> str:
    asked = subject.options.seccomp
    if subject.host.privileged and not asked:
        return ""  # said once, by the check of privileged containers
    return "unconfined" if (asked or subject.seccomp) == "unconfined" else ""


def _apparmor(subject: Subject) -> str:
    if "apparmor" not in subject.modules or subject.host.privileged:
        return ""
    return "unconfined" if subject.options.apparmor == "unconfined" else ""


def _labels(subject: Subject) -> str:
    return "label=disable" if "selinux" in subject.modules and "disable" in subject.options.labels else ""


def _paths(subject: Subject) -> str:
    host = subject.host
    if host.privileged:
        return ""
    unmasked = subject.options.system_paths or host.masked_paths == [] or host.readonly_paths == []
    return "systempaths=unconfined" if unmasked else ""


def _root(subject: Subject) -> str:
    user = (subject.record.config.user or "").partition(":")[0]
    if user not in ("", "0", "root") or (subject.remapped and subject.host.userns_mode != "host"):
        return ""
    return f"user {user or 'root'}"


def _gains(subject: Subject) -> str:
    return "" if subject.options.no_new_privileges else "no-new-privileges is off"


def _ports(subject: Subject) -> str:
    if subject.host.publish_all_ports:
        return "--publish-all"
    bindings = subject.host.port_bindings or {}
    return ", ".join(
        f"{_binding(item)} → {port}"
        for port, items in sorted(bindings.items())
        for item in items or []
        if item.host_ip in _ANY_ADDRESS
    )


def _binding(item: PortBinding) -> str:
    return f"{item.host_ip or '0.0.0.0'}:{item.host_port or 'any'}"


def _secrets(subject: Subject) -> str:
    pairs = [entry.partition("=") for entry in subject.record.config.env or []]
    return ", ".join(
        name for name, _, value in pairs if value and name not in _NO_SECRETS and _SECRET_NAME.search(name)
    )


def _health(subject: Subject) -> str:
    test = subject.record.config.healthcheck.test if subject.record.config.healthcheck else None
    return "none" if not test or test == ["NONE"] else ""


def _out_of_memory(subject: Subject) -> str:
    host = subject.host
    if host.oom_kill_disable and not host.memory:
        return "--oom-kill-disable without --memory"
    return f"--oom-score-adj {host.oom_score_adj}" if host.oom_score_adj < 0 else ""


def _when(condition: Callable[[Subject], object], evidence: str) -> Callable[[Subject], str]:
    return lambda subject: evidence if condition(subject) else ""


CHECKS: tuple[Check[Subject], ...] = (
    Check(
        "privileged",
        "high",
        _when(lambda subject: subject.host.privileged, "--privileged"),
        "it has every capability and device and no filter: root in it is root on the host",
        "drop --privileged; give the --cap-add and --device that it needs",
    ),
    Check(
        "engine-socket",
        "high",
        _engine_sockets,
        "whoever may talk to an engine, or change its files, is root on the host",
        "give it a scoped socket: cove socket create NAME --allow …",
    ),
    Check(
        "sensitive-bind",
        "high",
        lambda subject: _sensitive(subject, writable=True),
        "it can change files that the host runs or trusts",
        "mount the one file that it needs, with :ro, or a volume",
    ),
    Check(
        "powerful-capabilities",
        "high",
        lambda subject: _capabilities(subject, powerful=True),
        "these capabilities reach beyond the container",
        "drop them; give a device, a sysctl or a smaller capability",
    ),
    Check("host-pid", "high", _shared("pid_mode"), "it sees and may signal the host's processes", "drop --pid host"),
    Check(
        "device-access",
        "medium",
        _devices,
        "what it may do with a device, the kernel's driver decides alone",
        "give as few devices as possible, with the permissions r, w or m that they need",
    ),
    Check(
        "seccomp-unconfined",
        "high",
        _seccomp,
        "it can make every system call, those with the youngest bugs too",
        "drop seccomp=unconfined, or name a profile that allows the calls that it misses",
    ),
    Check(
        "apparmor-unconfined",
        "medium",
        _apparmor,
        "the kernel has AppArmor, and it does not hold this container",
        "drop apparmor=unconfined",
    ),
    Check(
        "selinux-disabled",
        "medium",
        _labels,
        "the kernel has SELinux, and it does not hold this container",
        "drop label=disable; use :z or :Z for its volumes",
    ),
    Check(
        "system-paths",
        "high",
        _paths,
        "files of /proc and /sys that tell of the host, or change it, are open to it",
        "drop systempaths=unconfined",
    ),
    Check(
        "host-network",
        "medium",
        _shared("network_mode"),
        "it reaches what listens on the host's loopback, and abstract sockets",
        "drop --network host; publish ports",
    ),
    Check("host-ipc", "medium", _shared("ipc_mode"), "it shares memory with the host's programs", "drop --ipc host"),
    Check(
        "host-uts",
        "low",
        _shared("uts_mode"),
        "with CAP_SYS_ADMIN it could rename the host",
        "drop --uts host",
    ),
    Check(
        "host-cgroupns",
        "low",
        _shared("cgroupns_mode"),
        "it sees the control groups of all others",
        "drop --cgroupns host",
    ),
    Check(
        "host-userns",
        "medium",
        lambda subject: "host" if subject.remapped and subject.host.userns_mode == "host" else "",
        "root in it is root on the host, though the daemon maps users",
        "drop --userns host",
    ),
    Check(
        "writable-cgroups",
        "medium",
        _when(
            lambda subject: subject.options.writable_cgroups and not subject.host.privileged, "writable-cgroups=true"
        ),
        "it can raise or lift limits below its own control group",
        "drop writable-cgroups=true",
    ),
    Check(
        "capabilities-added",
        "low",
        lambda subject: _capabilities(subject, powerful=False),
        "it may do more than containers usually may",
        "drop what its program does not use",
    ),
    Check(
        "sensitive-bind-readonly",
        "medium",
        lambda subject: _sensitive(subject, writable=False),
        "it can read the host's secrets and settings",
        "mount the one file that it needs",
    ),
    Check(
        "mount-propagation",
        "medium",
        _propagation,
        "mounts that it makes appear on the host",
        "use rslave, or none",
    ),
    Check(
        "secrets-in-environment",
        "medium",
        _secrets,
        "variables are seen by inspect, by child processes, and stay in images that are committed",
        "mount a file, and name it in a variable ending in _FILE where the program knows that",
    ),
    Check(
        "runs-as-root",
        "medium",
        _root,
        "whoever breaks out of it is root on the host",
        "use --user, USER in the Dockerfile, or userns-remap",
    ),
    Check(
        "no-memory-limit",
        "medium",
        _when(lambda subject: not subject.host.memory, "none"),
        "it can take all memory, and others are killed for it",
        "use --memory (cove update -m does it at once)",
    ),
    Check(
        "no-pids-limit",
        "medium",
        _when(lambda subject: (subject.host.pids_limit or 0) <= 0, "none"),
        "a fork bomb in it stops the host",
        "use --pids-limit (cove update does it at once)",
    ),
    Check(
        "out-of-memory",
        "medium",
        _out_of_memory,
        "when memory runs out, others are killed in its place",
        "drop the flag, or set --memory",
    ),
    Check(
        "new-privileges",
        "low",
        _gains,
        "setuid programs in it can raise a user to root",
        "use --security-opt no-new-privileges, or the daemon's setting",
    ),
    Check(
        "ports-on-all-addresses",
        "low",
        _ports,
        "everybody who reaches the host reaches it; a firewall for the host's own ports does not see it",
        "publish on an address: -p 127.0.0.1:8080:80",
    ),
    Check(
        "writable-root",
        "low",
        _when(lambda subject: not subject.host.readonly_rootfs, "read-write"),
        "whoever breaks in can change its programs",
        "use --read-only with --tmpfs and volumes for what it writes",
    ),
    Check(
        "no-health-check",
        "low",
        _health,
        "nobody notices when it hangs",
        "use --health-cmd or HEALTHCHECK",
    ),
)
