"""The runtime configuration (``config.json``) of the OCI runtime specification 1.2, as typed dictionaries.

Only the standard library is imported: the zygote uses this module. Field names are the specification's.
"""

from cove.lean import Any, NotRequired, TypedDict


class User(TypedDict, total=False):
    """Who the process runs as.

    ``username`` is Cove's use of the field on Linux: ``name``, ``uid``, ``name:group`` or ``uid:gid`` as a
    Dockerfile's USER has it, resolved by the runtime against the container's own /etc/passwd and /etc/group.
    It wins over ``uid`` and ``gid``. ``additionalGroups`` (ours too) are names or numbers of ``--group-add``.
    """

    uid: int
    gid: int
    umask: int
    additionalGids: list[int]
    username: str
    additionalGroups: list[str]


class Box(TypedDict):
    height: int
    width: int


class Rlimit(TypedDict):
    type: str
    soft: int
    hard: int


class Capabilities(TypedDict, total=False):
    bounding: list[str]
    effective: list[str]
    inheritable: list[str]
    permitted: list[str]
    ambient: list[str]


class Scheduler(TypedDict):
    """How the process is scheduled (sched(7)); times in nanoseconds."""

    policy: str  # "SCHED_OTHER", "SCHED_FIFO", …
    nice: NotRequired[int]
    priority: NotRequired[int]
    flags: NotRequired[list[str]]
    runtime: NotRequired[int]
    deadline: NotRequired[int]
    period: NotRequired[int]


class IoPriority(TypedDict, total=False):
    """``class``: "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE" or "IOPRIO_CLASS_IDLE"; ``priority``: 0 (first) to 7."""

    priority: int


class Affinity(TypedDict, total=False):
    """The processors of an exec, as lists such as "0-3,7": before and after it is in the control group."""

    initial: str
    final: str


class Process(TypedDict):
    args: list[str]
    cwd: str
    terminal: NotRequired[bool]
    consoleSize: NotRequired[Box]
    env: NotRequired[list[str]]
    user: NotRequired[User]
    capabilities: NotRequired[Capabilities]
    rlimits: NotRequired[list[Rlimit]]
    noNewPrivileges: NotRequired[bool]
    oomScoreAdj: NotRequired[int]
    apparmorProfile: NotRequired[str]
    selinuxLabel: NotRequired[str]
    scheduler: NotRequired[Scheduler]
    ioPriority: NotRequired[IoPriority]
    execCPUAffinity: NotRequired[Affinity]


class Root(TypedDict):
    path: str
    readonly: NotRequired[bool]


class IdMapping(TypedDict):
    """``size`` ids from ``containerID`` on are those from ``hostID`` on."""

    containerID: int
    hostID: int
    size: int


class Mount(TypedDict):
    """With mappings it is an idmapped mount: files of ``containerID`` on the disk are shown as of ``hostID``.

    ``namespace`` (ours): the file of the mount namespace in which a bind's source is looked up, without links.
    ``matchUser`` (ours): mappings that show the source's owner as the container's user (``cove.runtime.owners``).
    """

    namespace: NotRequired[str]
    matchUser: NotRequired[bool]
    destination: str
    source: NotRequired[str]
    type: NotRequired[str]
    options: NotRequired[list[str]]
    uidMappings: NotRequired[list[IdMapping]]
    gidMappings: NotRequired[list[IdMapping]]


class Namespace(TypedDict):
    type: str  # "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"
    path: NotRequired[str]


class Device(TypedDict):
    path: str
    type: str  # "c", "b", "u", "p"
    major: NotRequired[int]
    minor: NotRequired[int]
    fileMode: NotRequired[int]
    uid: NotRequired[int]
    gid: NotRequired[int]


class DeviceRule(TypedDict):
    allow: bool
    type: NotRequired[str]  # "a", "b", "c"
    major: NotRequired[int]
    minor: NotRequired[int]
    access: NotRequired[str]  # letters of "rwm"


class MemoryLimits(TypedDict, total=False):
    limit: int
    reservation: int
    swap: int
    kernel: int  # of no effect, as in every runtime
    kernelTCP: int
    swappiness: int
    disableOOMKiller: bool
    useHierarchy: bool  # of no effect: it always is
    checkBeforeUpdate: bool


class CpuLimits(TypedDict, total=False):
    shares: int
    quota: int
    period: int
    burst: int
    idle: int
    realtimeRuntime: int
    realtimePeriod: int
    cpus: str
    mems: str


class PidsLimit(TypedDict):
    limit: int


class Resources(TypedDict, total=False):
    devices: list[DeviceRule]
    memory: MemoryLimits
    cpu: CpuLimits
    pids: PidsLimit
    blockIO: dict[str, Any]
    hugepageLimits: list[dict[str, Any]]
    rdma: dict[str, dict[str, int]]
    network: dict[str, Any]
    unified: dict[str, str]


class SeccompArgument(TypedDict):
    index: int
    value: int
    valueTwo: NotRequired[int]
    op: str  # "SCMP_CMP_EQ" and so on


class SeccompCall(TypedDict):
    names: list[str]
    action: str  # "SCMP_ACT_ALLOW" and so on
    errnoRet: NotRequired[int]
    args: NotRequired[list[SeccompArgument]]


class Seccomp(TypedDict):
    defaultAction: str
    defaultErrnoRet: NotRequired[int]
    architectures: NotRequired[list[str]]
    flags: NotRequired[list[str]]
    listenerPath: NotRequired[str]
    listenerMetadata: NotRequired[str]
    syscalls: NotRequired[list[SeccompCall]]


class TimeOffset(TypedDict, total=False):
    secs: int
    nanosecs: int


class Personality(TypedDict):
    domain: str  # "LINUX", "LINUX32"
    flags: NotRequired[list[str]]


class Linux(TypedDict, total=False):
    namespaces: list[Namespace]
    uidMappings: list[IdMapping]
    gidMappings: list[IdMapping]
    timeOffsets: dict[str, TimeOffset]  # "monotonic", "boottime"
    personality: Personality
    intelRdt: dict[str, object]
    devices: list[Device]
    cgroupsPath: str
    resources: Resources
    rootfsPropagation: str
    maskedPaths: list[str]
    readonlyPaths: list[str]
    sysctl: dict[str, str]
    seccomp: Seccomp
    mountLabel: str


class Hook(TypedDict):
    """A program that is run at a point of the container's life; ``timeout`` in seconds."""

    path: str
    args: NotRequired[list[str]]
    env: NotRequired[list[str]]
    timeout: NotRequired[int]


class Hooks(TypedDict, total=False):
    prestart: list[Hook]
    createRuntime: list[Hook]
    createContainer: list[Hook]
    startContainer: list[Hook]
    poststart: list[Hook]
    poststop: list[Hook]


class Spec(TypedDict):
    ociVersion: str
    process: Process
    root: Root
    hostname: NotRequired[str]
    domainname: NotRequired[str]
    mounts: NotRequired[list[Mount]]
    annotations: NotRequired[dict[str, str]]
    hooks: NotRequired[Hooks]
    linux: NotRequired[Linux]
