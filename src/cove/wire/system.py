"""The engine itself: version, information, disk usage, log-in."""

from typing import Any, ClassVar

from msgspec import field

from cove.wire.base import Wire
from cove.wire.containers import ContainerSummary
from cove.wire.images import ImageSummary
from cove.wire.volumes import Volume


class Component(Wire):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"details"})

    name: str
    version: str
    details: dict[str, str] | None = None


class PlatformName(Wire):
    name: str = ""


class Version(Wire):
    """Response of ``GET /version``. ``build_time``: RFC 3339. The server fills in the API versions."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"build_time", "experimental"})

    platform: PlatformName = field(default_factory=PlatformName)
    components: list[Component] = field(default_factory=list)
    version: str = ""
    api_version: str = ""
    min_api_version: str = field(name="MinAPIVersion", default="")
    git_commit: str = ""
    go_version: str = ""
    os: str = "linux"
    arch: str = ""
    kernel_version: str = ""
    experimental: bool = False
    build_time: str = ""


class Plugins(Wire):
    volume: list[str] = field(default_factory=list)
    network: list[str] = field(default_factory=list)
    authorization: list[str] | None = None
    log: list[str] = field(default_factory=list)


class IndexInfo(Wire):
    name: str
    mirrors: list[str] = field(default_factory=list)
    secure: bool = True
    official: bool = False


class RegistryConfig(Wire):
    insecure_registry_cidrs: list[str] = field(name="InsecureRegistryCIDRs", default_factory=list)
    index_configs: dict[str, IndexInfo] = field(default_factory=dict)
    mirrors: list[str] = field(default_factory=list)


class Runtime(Wire, rename=None):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"path", "runtimeArgs", "status"})

    path: str = ""
    runtimeArgs: list[str] | None = None
    status: dict[str, str] | None = None


class Swarm(Wire):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"nodes", "managers", "cluster"})

    node_id: str = ""
    node_addr: str = ""
    local_node_state: str = "inactive"
    control_available: bool = False
    error: str = ""
    remote_managers: list[Any] | None = None
    nodes: int = 0
    managers: int = 0
    cluster: dict[str, Any] | None = None


class Commit(Wire):
    id: str = field(name="ID", default="")
    expected: str = ""


class Firewall(Wire):
    """``driver``: what rules are written with. ``info``: pairs."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"info"})

    driver: str = ""
    info: list[list[str]] | None = None


class Device(Wire):
    """A device that ``--device`` may name. ``source``: who found it, such as ``cdi``."""

    source: str = ""
    id: str = field(name="ID", default="")


class AddressPool(Wire):
    """``base``: CIDR; ``size``: the prefix length of the subnets that are cut from it."""

    base: str
    size: int


class NamedResource(Wire):
    kind: str
    value: str


class DiscreteResource(Wire):
    kind: str
    value: int


class GenericResource(Wire):
    """What a swarm node has of a kind: one by its name, or a number of them."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"named_resource_spec", "discrete_resource_spec"})

    named_resource_spec: NamedResource | None = None
    discrete_resource_spec: DiscreteResource | None = None


class Info(Wire):
    """Response of ``GET /info``. ``mem_total`` in bytes; ``system_time``: RFC 3339; ``driver_status``: pairs."""

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {"default_address_pools", "product_license", "firewall_backend", "discovered_devices"}
    )

    id: str = field(name="ID")
    containers: int = 0
    containers_running: int = 0
    containers_paused: int = 0
    containers_stopped: int = 0
    images: int = 0
    driver: str = ""
    driver_status: list[list[str]] = field(default_factory=list)
    plugins: Plugins = field(default_factory=Plugins)
    memory_limit: bool = True
    swap_limit: bool = True
    cpu_cfs_period: bool = True
    cpu_cfs_quota: bool = True
    cpu_shares: bool = field(name="CPUShares", default=True)
    cpu_set: bool = field(name="CPUSet", default=True)
    pids_limit: bool = True
    ipv4_forwarding: bool = True
    debug: bool = False
    n_fd: int = field(name="NFd", default=0)
    oom_kill_disable: bool = True
    n_goroutines: int = field(name="NGoroutines", default=0)
    system_time: str = ""
    logging_driver: str = "json-file"
    cgroup_driver: str = "cgroupfs"
    cgroup_version: str = "1"
    n_events_listener: int = field(name="NEventsListener", default=0)
    kernel_version: str = ""
    operating_system: str = ""
    os_version: str = field(name="OSVersion", default="")
    os_type: str = field(name="OSType", default="linux")
    architecture: str = ""
    index_server_address: str = ""
    registry_config: RegistryConfig = field(default_factory=RegistryConfig)
    ncpu: int = field(name="NCPU", default=0)
    mem_total: int = 0
    generic_resources: list[GenericResource] | None = None
    docker_root_dir: str = ""
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    name: str = ""
    labels: list[str] = field(default_factory=list)
    experimental_build: bool = False
    server_version: str = ""
    runtimes: dict[str, Runtime] = field(default_factory=dict)
    default_runtime: str = ""
    swarm: Swarm = field(default_factory=Swarm)
    live_restore_enabled: bool = True
    isolation: str = ""
    init_binary: str = ""
    containerd_commit: Commit = field(default_factory=Commit)
    runc_commit: Commit = field(default_factory=Commit)
    init_commit: Commit = field(default_factory=Commit)
    security_options: list[str] = field(default_factory=list)
    product_license: str = ""
    default_address_pools: list[AddressPool] | None = None
    firewall_backend: Firewall | None = None
    discovered_devices: list[Device] | None = None
    cdi_spec_dirs: list[str] = field(name="CDISpecDirs", default_factory=list)
    warnings: list[str] | None = None


class Usage(Wire):
    """What one kind of objects takes on disk, in bytes. ``active_count``: how many are in use."""

    active_count: int = 0
    total_count: int = 0
    reclaimable: int = 0
    total_size: int = 0


class ImagesUsage(Usage):
    """``items``: None unless asked to be verbose; likewise in the others."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"items"})

    items: list[ImageSummary] | None = None


class ContainersUsage(Usage):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"items"})

    items: list[ContainerSummary] | None = None


class VolumesUsage(Usage):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"items"})

    items: list[Volume] | None = None


class BuildCacheUsage(Usage):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"items"})

    items: list[Any] | None = None


class DiskUsage(Wire):
    """Response of ``GET /system/df``. ``layers_size`` in bytes, shared layers counted once.

    The four usages are what newer versions of the API show, and None when not asked for; the lists are what older ones
    show.
    """

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {"image_usage", "container_usage", "volume_usage", "build_cache_usage"}
    )

    image_usage: ImagesUsage | None = None
    container_usage: ContainersUsage | None = None
    volume_usage: VolumesUsage | None = None
    build_cache_usage: BuildCacheUsage | None = None
    layers_size: int = 0
    images: list[ImageSummary] = field(default_factory=list)
    containers: list[ContainerSummary] = field(default_factory=list)
    volumes: list[Volume] = field(default_factory=list)
    build_cache: list[Any] = field(default_factory=list)
    builder_size: int = 0


class AuthResponse(Wire):
    status: str
    identity_token: str = ""
