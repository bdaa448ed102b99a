"""From a container's record to the OCI configuration that the runtime is given for one start. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cove import cdi
from cove.engine.bundle import privileges, security
from cove.engine.bundle.devices import BlockLimits, Given
from cove.engine.bundle.remap import Remap
from cove.engine.containers.record import MountPoint, Record
from cove.oci.idmaps import exchanged
from cove.oci.runtime import (
    CpuLimits,
    DeviceRule,
    Linux,
    MemoryLimits,
    Mount,
    Namespace,
    Process,
    Resources,
    Rlimit,
    Spec,
    User,
)
from cove.wire.host_config import HostConfig

OCI_VERSION = "1.2.0"
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INIT = "/sbin/docker-init"
"""Where the init of --init is mounted, as in Docker."""

DEFAULT_SHM_SIZE = 64 << 20
"""Bytes of /dev/shm, Docker's default."""


class Surroundings(NamedTuple):
    """What the record does not know: where things are on this start.

    ``namespaces``: paths of the namespaces to join, by OCI type; ``etc_files``: sources of the files that are bound
    over /etc, by destination. ``init_path``: a static init on the host to run the program under, or None. ``devices``
    and ``block``: what the settings ask for of the host's devices, by their numbers.
    ``environment``: what links bring; image and user have the last word. ``remap``: the ids of a container in a user
    namespace. ``edits``: of CDI devices, which change the whole in the end. ``sources``: of mounts,
    by destination, where the record does not have them. ``mapped``: destinations of those that have the mapping.
    """

    root_path: str
    cgroup_path: str
    namespaces: dict[str, str]
    etc_files: dict[str, str]
    init_path: str | None
    devices: Given
    block: BlockLimits
    environment: list[str] = []  # noqa: RUF012
    remap: Remap | None = None
    edits: cdi.Edits | None = None
    sources: Mapping[str, str] = {}
    mapped: frozenset[str] = frozenset()


def specification(record: Record, around: Surroundings) -> Spec:
    """The configuration of one start."""
    host = record.host_config
    program = process(record, around.environment)
    if around.init_path:
        program["args"] = [INIT, "--", *program["args"]]
    spec: Spec = {
        "ociVersion": OCI_VERSION,
        "process": program,
        "root": {"path": around.root_path, "readonly": bool(host.readonly_rootfs)},
        "mounts": _mounts(record, around),
        "linux": _linux(record, around),
    }
    if host.uts_mode != "host":
        spec["hostname"] = record.config.hostname or ""
        if record.config.domainname:
            spec["domainname"] = record.config.domainname
    if host.annotations:
        spec["annotations"] = dict(host.annotations)
    if around.edits is not None:
        cdi.apply(spec, around.edits)
    return spec


def process(record: Record, linked: Sequence[str] = ()) -> Process:
    """The container's program. ``linked``: variables that links bring."""
    config, host = record.config, record.host_config
    options = security.parse(host.security_opt or [])
    made: Process = {
        "args": record.arguments,
        "cwd": config.working_dir or "/",
        "terminal": bool(config.tty),
        "env": environment(record, linked),
        "user": user(config.user or "", host),
        "capabilities": privileges.capability_sets(container_capabilities(host)),
        "rlimits": _rlimits(host),
        "noNewPrivileges": bool(options.no_new_privileges),
        "oomScoreAdj": host.oom_score_adj or 0,
    }
    size = host.console_size
    if size and size[0] and size[1]:
        made["consoleSize"] = {"height": size[0], "width": size[1]}
    profile = security.apparmor_profile(options, privileges.security_modules(), record.apparmor)
    if profile:
        made["apparmorProfile"] = profile
    if record.process_label:
        made["selinuxLabel"] = record.process_label
    return made


def environment(record: Record, linked: Sequence[str] = ()) -> list[str]:
    """PATH, HOSTNAME and TERM first, then what links bring, then what image and user gave."""
    first = [DEFAULT_PATH, f"HOSTNAME={record.config.hostname}"]
    if record.config.tty:
        first.append("TERM=xterm")
    return merged([*first, *linked], record.config.env or [])


def merged(first: Sequence[str], given: Sequence[str]) -> list[str]:
    """Two environments in one: the last word on a name wins, at the place of the first; a bare name is unset."""
    by_name = {entry.partition("=")[0]: entry for entry in [*first, *given]}
    return [entry for entry in by_name.values() if "=" in entry]


def user(name: str, host: HostConfig) -> User:
    """Resolved by the runtime inside the container."""
    made: User = {"username": name, "additionalGroups": list(host.group_add or [])}
    if host.umask is not None:
        made["umask"] = host.umask
    return made


def container_capabilities(host: HostConfig) -> tuple[str, ...]:
    return privileges.capabilities(host.cap_add or [], host.cap_drop or [], privileged=bool(host.privileged))


def _rlimits(host: HostConfig) -> list[Rlimit]:
    return [
        {"type": f"RLIMIT_{limit.name.upper()}", "soft": limit.soft, "hard": limit.hard} for limit in host.ulimits or []
    ]


def _own_namespaces(record: Record) -> list[str]:
    """The OCI types of the namespaces that are not the host's."""
    host = record.host_config
    modes = {
        "pid": host.pid_mode,
        "ipc": host.ipc_mode,
        "uts": host.uts_mode,
        "network": record.network_mode,
        "cgroup": host.cgroupns_mode,
    }
    return ["mount", *(kind for kind, mode in modes.items() if mode != "host")]


def _namespaces(record: Record, around: Surroundings) -> list[Namespace]:
    made: list[Namespace] = []
    for kind in (*(("user",) if around.remap is not None else ()), *_own_namespaces(record)):
        namespace: Namespace = {"type": kind}
        if kind in around.namespaces:
            namespace["path"] = around.namespaces[kind]
        made.append(namespace)
    return made


def _linux(record: Record, around: Surroundings) -> Linux:
    host = record.host_config
    made: Linux = {
        "namespaces": _namespaces(record, around),
        "cgroupsPath": around.cgroup_path,
        "resources": resources(host, around.block),
        "maskedPaths": list(_paths(host, host.masked_paths, privileges.masked_paths())),
        "readonlyPaths": list(_paths(host, host.readonly_paths, privileges.READONLY_PATHS)),
    }
    if around.remap is not None:
        made["uidMappings"], made["gidMappings"] = around.remap.uid_mappings, around.remap.gid_mappings
    if record.mount_label:
        made["mountLabel"] = record.mount_label
    if host.sysctls:
        made["sysctl"] = dict(host.sysctls)
    if around.devices.nodes and around.remap is None:
        made["devices"] = list(around.devices.nodes)
    made["resources"]["devices"] = [*_device_rules(host), *around.devices.rules]
    return made


def _paths(host: HostConfig, given: Sequence[str] | None, default: Sequence[str]) -> Sequence[str]:
    if host.privileged or security.parse(host.security_opt or []).system_paths:
        return ()
    return default if given is None else given


def resources(host: HostConfig, block: BlockLimits) -> Resources:
    """Limits, with Docker's conversions: NanoCpus to quota per 100 ms, swap of twice the memory by default.

    ``block``: those of block devices, whose numbers are the host's.
    """
    made: Resources = {}
    memory = _memory(host)
    if memory:
        made["memory"] = memory
    cpu = _cpu(host)
    if cpu:
        made["cpu"] = cpu
    if host.pids_limit and host.pids_limit > 0:
        made["pids"] = {"limit": host.pids_limit}
    if host.blkio_weight or block:
        made["blockIO"] = {**({"weight": host.blkio_weight} if host.blkio_weight else {}), **block}
    return made


def _device_rules(host: HostConfig) -> list[DeviceRule]:
    return list(privileges.PRIVILEGED_DEVICE_RULES if host.privileged else privileges.DEFAULT_DEVICE_RULES)


def _memory(host: HostConfig) -> MemoryLimits:
    made: MemoryLimits = {}
    if host.memory:
        made["limit"] = host.memory
        made["swap"] = host.memory_swap or host.memory * 2
    elif host.memory_swap == -1:
        made["swap"] = -1
    if host.memory_reservation:
        made["reservation"] = host.memory_reservation
    if host.memory_swappiness is not None and host.memory_swappiness >= 0:
        made["swappiness"] = host.memory_swappiness
    if host.oom_kill_disable:
        made["disableOOMKiller"] = True
    return made


def _cpu(host: HostConfig) -> CpuLimits:
    made: CpuLimits = {}
    if host.nano_cpus:
        made["period"] = 100_000
        made["quota"] = host.nano_cpus // 10_000
    if host.cpu_shares:
        made["shares"] = host.cpu_shares
    if host.cpu_quota:
        made["quota"] = host.cpu_quota
    if host.cpu_period:
        made["period"] = host.cpu_period
    if host.cpu_realtime_period:
        made["realtimePeriod"] = host.cpu_realtime_period
    if host.cpu_realtime_runtime:
        made["realtimeRuntime"] = host.cpu_realtime_runtime
    if host.cpuset_cpus:
        made["cpus"] = host.cpuset_cpus
    if host.cpuset_mems:
        made["mems"] = host.cpuset_mems
    return made


def _mounts(record: Record, around: Surroundings) -> list[Mount]:
    """The file systems of the kernel first, then what users mount, parents before children."""
    host = record.host_config
    asked = {mount.destination for mount in record.mounts}
    made = [mount for mount in _kernel_mounts(host) if mount["destination"] not in asked]
    if "ipc" in around.namespaces:
        made = [_shared_memory(around) if mount["destination"] == "/dev/shm" else mount for mount in made]
    mapped = ["idmap"] if around.remap is not None else []
    if mapped and host.ipc_mode == "host":  # a queue of messages of the host's is none of this user namespace's
        made = [mount for mount in made if mount["destination"] != "/dev/mqueue"]
    users = sorted(record.mounts, key=lambda mount: mount.destination.count("/"))
    above = [mount for mount in users if any(file.startswith(f"{mount.destination}/") for file in around.etc_files)]
    made += [_user_mount(mount, around) for mount in above]
    for destination, source in around.etc_files.items():
        if destination not in asked:
            made.append(_bind(source, destination, ["rbind", "rprivate", *mapped]))
    if around.init_path:
        made.append(_bind(around.init_path, INIT, ["bind", "ro"]))
    if around.remap is not None:  # where the kernel lets nobody make a node
        made += [_bind(place, path, ["bind", "nosuid", "noexec"]) for path, place in around.devices.places.items()]
    made += [_user_mount(mount, around) for mount in users if mount not in above]
    return made


def _kernel_mounts(host: HostConfig) -> list[Mount]:
    shm_size = host.shm_size or DEFAULT_SHM_SIZE
    access = "rw" if host.privileged else "ro"
    writable = security.parse(host.security_opt or []).writable_cgroups
    cgroup_access = access if writable is None else "rw" if writable else "ro"
    fixed = ["nosuid", "noexec", "nodev"]
    made: list[Mount] = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": fixed},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*fixed, access]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": [*fixed, cgroup_access]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": fixed},
        {
            "destination": "/dev/shm",
            "type": "tmpfs",
            "source": "shm",
            "options": [*fixed, "mode=1777", f"size={shm_size}"],
        },
    ]
    if host.ipc_mode == "none":
        made = [mount for mount in made if mount["destination"] != "/dev/shm"]
    if host.ipc_mode == "host":
        made = [mount for mount in made if mount["destination"] != "/dev/shm"]
        made.append(_bind("/dev/shm", "/dev/shm", ["rbind", *fixed]))
    return made


def _shared_memory(around: Surroundings) -> Mount:
    """The other container's /dev/shm, which belongs to its IPC namespace as programs see it."""
    mount = _bind("/dev/shm", "/dev/shm", ["bind", "nosuid", "noexec", "nodev"])
    mount["namespace"] = around.namespaces["ipc"].removesuffix("ipc") + "mnt"
    return mount


def _bind(source: str, destination: str, options: Sequence[str]) -> Mount:
    return {"destination": destination, "type": "bind", "source": source, "options": list(options)}


def _user_mount(mount: MountPoint, around: Surroundings) -> Mount:
    """``mapped``: options by which our own files have on the disk the ids that the container sees; binds stay."""
    if mount.kind == "layers":
        options = [*mount.options, "rw" if mount.writable else "ro"]
        return {"destination": mount.destination, "type": "layers", "source": mount.source, "options": options}
    if mount.kind == "tmpfs":
        return {"destination": mount.destination, "type": "tmpfs", "source": "tmpfs", "options": mount.options}
    access = "rw" if mount.writable else "rro" if mount.kind == "bind" and mount.recursion in ("", "readonly") else "ro"
    bind = "bind" if mount.recursion == "disabled" else "rbind"
    options = [bind, mount.propagation or "rprivate", access, *mount.options]
    if mount.kind == "volume" and mount.destination not in around.mapped:
        options += ["idmap"] if around.remap is not None else []
    made = _bind(around.sources.get(mount.destination, mount.source), mount.destination, options)
    if mount.idmap == "match-user":
        made["matchUser"] = True
    elif mount.idmap:
        disk, shown, count = map(int, mount.idmap.split(":"))
        users, groups = (0, 0) if around.remap is None else around.remap.root
        made["uidMappings"] = exchanged(disk, users + shown, count)
        made["gidMappings"] = exchanged(disk, groups + shown, count)
    return made
