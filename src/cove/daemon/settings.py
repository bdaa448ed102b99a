"""Every setting of the daemon, declared once: its key in the configuration file, its type, its default.

Keys are dockerd's where dockerd has the setting (``daemon.json``); ``options`` declares their flags. Some are accepted
without an effect, so that units and scripts written for dockerd start this daemon: ``options`` says which.
"""

from typing import Any

import msgspec

from cove.wire.host_config import Ulimit

STOCK_CONFIG_FILE = "/etc/docker/daemon.json"
DEFAULT_CONFIG_FILE = "/etc/cove/daemon.json"


class Runtime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A further OCI runtime. ``path``: of the program."""

    path: str = ""
    arguments: tuple[str, ...] = msgspec.field(name="runtimeArgs", default=())
    kind: str = msgspec.field(name="runtimeType", default="")
    options: dict[str, Any] = {}


class AddressPool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Networks are cut from ``base`` (CIDR) with prefixes of ``size`` bits."""

    base: str
    size: int


class Proxies(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """How the daemon itself reaches registries."""

    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The daemon's configuration: frozen; a reload makes another one."""

    # Where it lives and whom it serves
    data_root: str = "/var/lib/cove"
    exec_root: str = "/run/cove"
    hosts: tuple[str, ...] = ()
    pidfile: str = ""
    group: str = "docker"
    tls: bool = False
    tlsverify: bool = False
    tlscacert: str = ""
    tlscert: str = ""
    tlskey: str = ""
    allow_unauthenticated_tcp: bool = False
    authorization_plugins: tuple[str, ...] = ()
    live_restore: bool = True
    shutdown_timeout: int = 15
    oom_score_adjust: int = 0

    # What it says
    debug: bool = False
    log_level: str = "info"
    log_format: str = "text"
    raw_logs: bool = False
    labels: tuple[str, ...] = ()
    experimental: bool = False
    features: dict[str, bool] = {}
    metrics_addr: str = ""
    audit_log: str = ""
    trash_minutes: int = 60
    trash_percent: int = 5
    trash_auto_removed: bool = False
    events_kept: int = 20_000
    events_hours: int = 168

    # Containers
    cgroup_parent: str = "/cove"
    exec_opts: tuple[str, ...] = ()
    runtimes: dict[str, Runtime] = {}
    default_runtime: str = ""
    log_driver: str = "json-file"
    log_opts: dict[str, str] = {}
    default_ulimits: dict[str, Ulimit] = {}
    default_shm_size: int | str = 64 << 20
    default_ipc_mode: str = "private"
    default_cgroupns_mode: str = "private"
    init: bool = False
    init_path: str = ""
    no_new_privileges: bool = False
    selinux_enabled: bool = False
    userns_remap: str = ""
    seccomp_profile: str = "builtin"
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cdi_spec_dirs: tuple[str, ...] = ("/etc/cdi", "/var/run/cdi")

    # Images and registries
    storage_driver: str = ""
    storage_opts: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()
    allow_nondistributable_artifacts: tuple[str, ...] = ()
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    max_download_attempts: int = 5
    registry_silence: int = 60
    registry_certs_dirs: tuple[str, ...] = ("/etc/cove/certs.d", "/etc/docker/certs.d")
    proxies: Proxies = Proxies()
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    builder: dict[str, Any] = {}

    # Networks
    bridge: str = ""
    bip: str = ""
    bip6: str = ""
    fixed_cidr: str = ""
    fixed_cidr_v6: str = ""
    default_gateway: str = ""
    default_gateway_v6: str = ""
    default_address_pools: tuple[AddressPool, ...] = ()
    default_network_opts: dict[str, dict[str, str]] = {}
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    host_gateway_ips: tuple[str, ...] = ()
    ip: str = ""
    ip_forward: bool = True
    ip_forward_no_drop: bool = False
    ip_masq: bool = True
    publish: str = "forward"
    iptables: bool = True
    ip6tables: bool = True
    icc: bool = True
    ipv6: bool = False
    mtu: int = 0
    userland_proxy: bool = True
    userland_proxy_path: str = ""
    firewall_backend: str = ""
    allow_direct_routing: bool = False
    bridge_accept_fwmark: str = ""

    # Swarm
    swarm_default_advertise_addr: str = ""
    network_control_plane_mtu: int = 1500
    node_generic_resources: tuple[str, ...] = ()

    # Docker's other processes
    containerd: str = ""
    containerd_namespace: str = ""
    containerd_plugins_namespace: str = ""
    cri_containerd: bool = False

    def listen_addresses(self) -> tuple[str, ...]:
        return self.hosts or (f"unix://{self.exec_root}/cove.sock",)
