"""What the host gives a container: the ``HostConfig`` object."""

from typing import ClassVar

from msgspec import field

from cove.wire.base import Wire


class PortBinding(Wire):
    """Where a container's port is published. ``host_port``: empty is any, ``8000-8010`` is any of these."""

    host_ip: str = field(name="HostIp", default="")
    host_port: str = ""


class LogConfig(Wire):
    """``type``: the log driver, empty for the daemon's default."""

    type: str = ""
    config: dict[str, str] | None = None


class RestartPolicy(Wire):
    """``name``: no, always, unless-stopped, on-failure or empty. ``maximum_retry_count``: 0 is no bound."""

    name: str = ""
    maximum_retry_count: int = 0


class DeviceMapping(Wire):
    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(Wire):
    """``count``: -1 is all. ``capabilities``: an OR list of AND lists."""

    driver: str = ""
    count: int = 0
    device_ids: list[str] | None = None
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class WeightDevice(Wire):
    path: str = ""
    weight: int = 0


class ThrottleDevice(Wire):
    """``rate``: bytes or operations per second."""

    path: str = ""
    rate: int = 0


class Ulimit(Wire):
    name: str = ""
    hard: int = 0
    soft: int = 0


class BindOptions(Wire):
    """``idmap``: ours, match-user or HOST:CONTAINER:COUNT; other clients do not see it unless it is set."""

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {
            "propagation",
            "non_recursive",
            "create_mountpoint",
            "read_only_non_recursive",
            "read_only_force_recursive",
            "idmap",
        }
    )

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False
    idmap: str = field(name="IDMap", default="")


class DriverConfig(Wire):
    """A volume driver and its options."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"name", "options"})

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(Wire):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"no_copy", "labels", "subpath", "driver_config"})

    no_copy: bool = False
    labels: dict[str, str] | None = None
    subpath: str = ""
    driver_config: DriverConfig | None = None


class ImageOptions(Wire):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"subpath"})

    subpath: str = ""


class TmpfsOptions(Wire):
    """``size_bytes``: 0 is no bound. ``mode``: permission bits."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"size_bytes", "mode", "options"})

    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class Mount(Wire):
    """One ``--mount``. ``type``: bind, volume, tmpfs, image, npipe or cluster."""

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {
            "type",
            "source",
            "target",
            "read_only",
            "consistency",
            "bind_options",
            "volume_options",
            "image_options",
            "tmpfs_options",
        }
    )

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class Resources(Wire):
    """Limits. Memory in bytes (``memory_swap``: -1 is no bound), ``nano_cpus`` in 1e-9 CPUs, periods in microseconds.

    Fields that may be None were not given: the kernel's or the daemon's default.
    """

    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = field(name="BlkioDeviceReadIOps", default=None)
    blkio_device_write_iops: list[ThrottleDevice] | None = field(name="BlkioDeviceWriteIOps", default=None)
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequest] | None = None
    kernel_memory: int = 0
    kernel_memory_tcp: int = field(name="KernelMemoryTCP", default=0)
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = field(name="IOMaximumIOps", default=0)
    io_maximum_bandwidth: int = field(name="IOMaximumBandwidth", default=0)


class HostConfig(Resources):
    """A container's settings that depend on the host. ``shm_size`` in bytes; ``console_size`` rows, columns.

    ``health_on_failure``: ours, none, restart, stop or kill; other clients do not see it unless it is set.
    ``egress``: ours, none, deny, learn or allow=LIST; likewise.
    ``masked_paths`` and ``readonly_paths``: None is the default, ``[]`` is none. ``umask``: permission bits.
    """

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {
            "mounts",
            "annotations",
            "storage_opt",
            "tmpfs",
            "sysctls",
            "init",
            "health_on_failure",
            "egress",
            "kernel_memory",
            "kernel_memory_tcp",
            "umask",
        }
    )
    words: ClassVar[frozenset[str]] = frozenset({"cap_add", "cap_drop"})

    binds: list[str] | None = None
    container_id_file: str = field(name="ContainerIDFile", default="")
    log_config: LogConfig = field(default_factory=LogConfig)
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy = field(default_factory=RestartPolicy)
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    console_size: list[int] = field(default_factory=lambda: [0, 0])
    annotations: dict[str, str] | None = None
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = field(name="UTSMode", default="")
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    mounts: list[Mount] | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    init: bool | None = None
    health_on_failure: str = ""
    egress: str = ""
    umask: int | None = None
