"""Networks and endpoints."""

from typing import Any, ClassVar

from msgspec import field

from cove.wire.base import Wire


class EndpointIPAMConfig(Wire):
    """Addresses that were asked for."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"ipv4_address", "ipv6_address", "link_local_ips"})

    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: list[str] | None = field(name="LinkLocalIPs", default=None)


class EndpointSettings(Wire):
    """A container's attachment to a network: what was asked for, and, when it is up, what it got.

    ``network_labels``: ours, what the network must have by every start; of who asked by a scoped socket.
    """

    omit_empty: ClassVar[frozenset[str]] = frozenset({"network_labels"})

    ipam_config: EndpointIPAMConfig | None = None
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: list[str] | None = field(name="DNSNames", default=None)
    network_labels: dict[str, str] | None = None


class NetworkingConfig(Wire):
    """``endpoints_config``: by network name or id; None as a value is the defaults."""

    endpoints_config: dict[str, EndpointSettings | None] | None = None


class IPAMConfig(Wire):
    """``subnet`` and ``ip_range`` in CIDR."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"subnet", "ip_range", "gateway", "auxiliary_addresses"})

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary_addresses: dict[str, str] | None = None


class IPAM(Wire):
    driver: str = "default"
    options: dict[str, str] | None = None
    config: list[IPAMConfig] | None = None


class ConfigReference(Wire):
    network: str = ""


class NetworkCreate(Wire):
    """Body of ``POST /networks/create``. ``enable_ipv4`` and ``enable_ipv6``: None is the default."""

    name: str = ""
    check_duplicate: bool = False
    driver: str = ""
    scope: str = ""
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    ipam: IPAM | None = None
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: ConfigReference | None = None
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class NetworkCreated(Wire):
    id: str
    warning: str = ""


class EndpointResource(Wire):
    """A container on a network, as the network's inspection shows it. Addresses in CIDR."""

    name: str = ""
    endpoint_id: str = ""
    mac_address: str = ""
    ipv4_address: str = ""
    ipv6_address: str = ""


class SubnetStatus(Wire):
    """How many addresses of a subnet are taken, and how many may still be handed out."""

    ips_in_use: int = field(name="IPsInUse", default=0)
    dynamic_ips_available: int = field(name="DynamicIPsAvailable", default=0)


class IPAMStatus(Wire):
    """``subnets``: by subnet, in CIDR."""

    subnets: dict[str, SubnetStatus] = field(default_factory=dict)


class NetworkStatus(Wire):
    ipam: IPAMStatus = field(default_factory=IPAMStatus)


class Network(Wire):
    """Response of inspect and list. ``created``: RFC 3339. ``containers``: by id; empty in a list."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"services", "peers", "status"})

    name: str
    id: str
    created: str
    scope: str = "local"
    driver: str = "bridge"
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    ipam: IPAM = field(default_factory=IPAM)
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_from: ConfigReference = field(default_factory=ConfigReference)
    config_only: bool = False
    containers: dict[str, EndpointResource] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    services: dict[str, Any] | None = None
    peers: list[Any] | None = None
    status: NetworkStatus | None = None


class NetworkConnect(Wire):
    """Body of ``POST /networks/{id}/connect``."""

    container: str = ""
    endpoint_config: EndpointSettings | None = None


class NetworkDisconnect(Wire):
    """Body of ``POST /networks/{id}/disconnect``."""

    container: str = ""
    force: bool = False


class NetworksPruned(Wire):
    networks_deleted: list[str] | None = None
