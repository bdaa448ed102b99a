"""Containers: creating, listing and inspecting them, and what the smaller routes answer.

Statistics are in ``cove.wire.stats``.
"""

from typing import Any, ClassVar

from msgspec import field

from cove.wire.base import Wire
from cove.wire.config import Config
from cove.wire.host_config import HostConfig, Mount, PortBinding, Resources, RestartPolicy
from cove.wire.images import DriverData
from cove.wire.networks import EndpointSettings, NetworkingConfig

ZERO_TIME = "0001-01-01T00:00:00Z"
"""Go's zero time: it has not happened yet."""


class ContainerCreate(Config):
    """Body of ``POST /containers/create``: a Config with two more objects."""

    host_config: HostConfig = field(default_factory=HostConfig)
    networking_config: NetworkingConfig = field(default_factory=NetworkingConfig)


class ContainerCreated(Wire):
    id: str
    warnings: list[str] = field(default_factory=list)


class Port(Wire):
    """A published or exposed port of a list entry. ``public_port``: 0 and no ``ip`` when it is only exposed."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"ip", "public_port"})

    ip: str = field(name="IP", default="")
    private_port: int = 0
    public_port: int = 0
    type: str = "tcp"


class MountPoint(Wire):
    """A mount of a container. ``type``: bind, volume, tmpfs or image. ``source``: a path on the host."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"type", "name", "driver"})

    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = field(name="RW", default=True)
    propagation: str = ""


class SummaryHostConfig(Wire):
    omit_empty: ClassVar[frozenset[str]] = frozenset({"network_mode", "annotations"})

    network_mode: str = ""
    annotations: dict[str, str] | None = None


class SummaryNetworkSettings(Wire):
    networks: dict[str, EndpointSettings] = field(default_factory=dict)


class HealthSummary(Wire):
    """``status``: none, starting, healthy or unhealthy."""

    status: str = "none"
    failing_streak: int = 0


class ContainerSummary(Wire):
    """One line of ``docker ps``. ``created``: seconds since the epoch. Sizes in bytes, None unless asked for.

    ``status`` is for people: ``Up 2 minutes (healthy)``.
    """

    omit_empty: ClassVar[frozenset[str]] = frozenset({"size_rw", "size_root_fs", "image_manifest_descriptor"})

    id: str
    names: list[str]
    image: str = ""
    image_id: str = ""
    image_manifest_descriptor: dict[str, Any] | None = None
    command: str = ""
    created: int = 0
    ports: list[Port] = field(default_factory=list)
    size_rw: int | None = None
    size_root_fs: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    state: str = "created"
    status: str = ""
    host_config: SummaryHostConfig = field(default_factory=SummaryHostConfig)
    network_settings: SummaryNetworkSettings = field(default_factory=SummaryNetworkSettings)
    mounts: list[MountPoint] = field(default_factory=list)
    health: HealthSummary = field(default_factory=HealthSummary)


class HealthcheckResult(Wire):
    """One probe. Times: RFC 3339."""

    start: str
    end: str
    exit_code: int
    output: str = ""


class Health(Wire):
    """``status``: none, starting, healthy or unhealthy. ``log``: the last five probes, oldest first."""

    status: str = "none"
    failing_streak: int = 0
    log: list[HealthcheckResult] = field(default_factory=list)


class ContainerState(Wire):
    """``status``: created, running, paused, restarting, removing, exited or dead. Times: RFC 3339."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"health"})

    status: str = "created"
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = field(name="OOMKilled", default=False)
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: str = ZERO_TIME
    finished_at: str = ZERO_TIME
    health: Health | None = None


class NetworkSettings(Wire):
    """``ports``: by ``port/protocol``; None as a value is exposed and not published.

    The addresses at the top repeat those on the default bridge, for old clients.
    """

    bridge: str = ""
    sandbox_id: str = ""
    sandbox_key: str = ""
    ports: dict[str, list[PortBinding] | None] = field(default_factory=dict)
    hairpin_mode: bool = False
    link_local_ipv6_address: str = ""
    link_local_ipv6_prefix_len: int = 0
    secondary_ip_addresses: list[Any] | None = None
    secondary_ipv6_addresses: list[Any] | None = None
    endpoint_id: str = ""
    gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    mac_address: str = ""
    networks: dict[str, EndpointSettings] = field(default_factory=dict)


class ContainerInspect(Wire):
    """Response of ``GET /containers/{id}/json``. Sizes in bytes, None unless asked for. ``created``: RFC 3339."""

    omit_empty: ClassVar[frozenset[str]] = frozenset(
        {"size_rw", "size_root_fs", "image_manifest_descriptor", "storage"}
    )

    id: str
    created: str
    path: str = ""
    args: list[str] = field(default_factory=list)
    state: ContainerState = field(default_factory=ContainerState)
    image: str = ""
    resolv_conf_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    log_path: str = ""
    name: str = ""
    restart_count: int = 0
    driver: str = "overlay2"
    platform: str = "linux"
    mount_label: str = ""
    process_label: str = ""
    image_manifest_descriptor: dict[str, Any] | None = None
    app_armor_profile: str = ""
    exec_ids: list[str] | None = None
    host_config: HostConfig = field(default_factory=HostConfig)
    graph_driver: DriverData = field(default_factory=DriverData)
    storage: dict[str, Any] | None = None
    size_rw: int | None = None
    size_root_fs: int | None = None
    mounts: list[MountPoint] = field(default_factory=list)
    config: Config = field(default_factory=Config)
    network_settings: NetworkSettings = field(default_factory=NetworkSettings)


class WaitError(Wire):
    message: str


class ContainerWait(Wire):
    """``status_code``: the exit code. ``error``: why waiting or starting failed."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"error"})

    status_code: int = 0
    error: WaitError | None = None


class ContainerTop(Wire):
    """The columns of ps(1), and a row for each process."""

    titles: list[str]
    processes: list[list[str]]


class ContainerUpdate(Resources):
    """Body of ``POST /containers/{id}/update``.

    Of our own, for a container that may run: ``publish_add`` has the form of PortBindings, ``publish_remove`` names
    ports of the host, ``[ADDRESS:]PORT[/PROTOCOL]``; ``mount_add`` has the form of Mounts, ``mount_remove`` names
    paths of the container.
    """

    restart_policy: RestartPolicy | None = None
    health_on_failure: str = ""
    egress: str = ""
    publish_add: dict[str, list[PortBinding] | None] | None = None
    publish_remove: list[str] | None = None
    mount_add: list[Mount] | None = None
    mount_remove: list[str] | None = None


class PublishedEdit(Wire):
    """Body of ``POST /cove/containers/{id}/ports``: as ``publish_add`` and ``publish_remove`` of an update."""

    add: dict[str, list[PortBinding] | None] | None = None
    remove: list[str] | None = None


class ContainerUpdated(Wire):
    warnings: list[str] = field(default_factory=list)


class Change(Wire):
    """One path of ``docker diff``. ``kind``: 0 modified, 1 added, 2 deleted."""

    path: str
    kind: int


class ContainersPruned(Wire):
    """``space_reclaimed`` in bytes."""

    containers_deleted: list[str] | None = None
    space_reclaimed: int = 0


class PathStat(Wire, rename="camel"):
    """``X-Docker-Container-Path-Stat``. ``mode``: Go's os.FileMode bits. ``mtime``: RFC 3339. ``size`` in bytes."""

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str = ""


class CommitOptions(Wire):
    """What ``POST /commit`` asks for. ``changes``: Dockerfile lines. ``config`` overrides the container's."""

    container: str
    repo: str = ""
    tag: str = ""
    comment: str = ""
    author: str = ""
    pause: bool = True
    changes: list[str] = field(default_factory=list)
    config: Config | None = None
