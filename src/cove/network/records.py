"""What the database keeps of networks, endpoints and published ports."""

import time

import msgspec

from cove.store import Table

BRIDGE_NAME_OPTION = "com.docker.network.bridge.name"
MTU_OPTION = "com.docker.network.driver.mtu"
ICC_OPTION = "com.docker.network.bridge.enable_icc"
MASQUERADE_OPTION = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING_OPTION = "com.docker.network.bridge.host_binding_ipv4"
DEFAULT_BRIDGE_OPTION = "com.docker.network.bridge.default_bridge"
INHIBIT_IPV4_OPTION = "com.docker.network.bridge.inhibit_ipv4"
TRUSTED_OPTION = "com.docker.network.bridge.trusted_host_interfaces"
GATEWAY_MODE_OPTIONS = {
    4: "com.docker.network.bridge.gateway_mode_ipv4",
    6: "com.docker.network.bridge.gateway_mode_ipv6",
}
PUBLISH_OPTION = "cove.publish"
PREFIX_OPTION = "com.docker.network.container_iface_prefix"
PARENT_OPTION = "parent"

RESPECTING_INPUT = ("respect-input", "respect-ufw")
"""One way under two names: ufw's rules for what comes in are in the hook that it respects."""

PUBLISH_MODES = ("forward", *RESPECTING_INPUT)

ROUTE_KEYS = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}
"""Docker's names of the auxiliary address that is the containers' gateway in the bridge's place."""

INTERFACE_PREFIX = "eth"
DEFAULT_MTU = 1500


class Pool(msgspec.Struct, frozen=True, omit_defaults=True):
    """Addresses of one network: ``subnet`` and ``range`` (where containers get theirs from) as CIDR.

    ``gateway``: without prefix length; "" where none was asked for and the driver's kind needs none.
    ``auxiliary``: addresses that something else on the network has, by a name of the user's choice.
    """

    subnet: str
    gateway: str
    range: str = ""
    auxiliary: dict[str, str] = {}

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.subnet else 4


class NetworkRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A network. ``created``: nanoseconds since the epoch. ``options``: the driver's, in Docker's keys.

    ``config_only``: it holds settings for others to copy, and is never made; ``config_from``: the name of the one that
    this was copied from. ``adopted``: its link on the host was there before it, and stays when it goes.
    """

    id: str
    name: str
    driver: str
    created: int = msgspec.field(default_factory=time.time_ns)
    pools: tuple[Pool, ...] = ()
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    internal: bool = False
    attachable: bool = False
    ipv4: bool = True
    ipv6: bool = False
    ipam_driver: str = "default"
    ipam_options: dict[str, str] = {}
    config_only: bool = False
    config_from: str = ""
    adopted: bool = False

    @property
    def link(self) -> str:
        """The name of the bridge on the host; "" for networks without one."""
        return self.options.get(BRIDGE_NAME_OPTION, "")

    @property
    def parent(self) -> str:
        """The host's link that the links of this network are on top of: its ``parent``, or a stand-in of its own."""
        return self.options.get(PARENT_OPTION) or f"dm-{self.id[:12]}"

    @property
    def mtu(self) -> int:
        return int(self.options.get(MTU_OPTION) or DEFAULT_MTU)

    @property
    def icc(self) -> bool:
        """Whether containers on the network may talk to each other."""
        return is_true(self.options.get(ICC_OPTION, "true"))

    @property
    def inhibits_ipv4(self) -> bool:
        """Whether the bridge goes without its IPv4 address."""
        return is_true(self.options.get(INHIBIT_IPV4_OPTION, "false"))

    @property
    def trusted(self) -> tuple[str, ...]:
        """Links of the host by which machines outside may reach containers directly."""
        return tuple(filter(None, self.options.get(TRUSTED_OPTION, "").split(":")))

    def guarded(self, default: str) -> bool:
        """Whether the host's rules for what comes in are to judge what comes to published ports."""
        return (self.options.get(PUBLISH_OPTION) or default) in RESPECTING_INPUT

    @property
    def interface_prefix(self) -> str:
        return self.options.get(PREFIX_OPTION) or INTERFACE_PREFIX

    def gateway_mode(self, version: int) -> str:
        """``nat``, ``nat-unprotected``, ``routed`` or ``isolated``, for an address family."""
        return self.options.get(GATEWAY_MODE_OPTIONS[version]) or "nat"

    def masquerades(self, version: int) -> bool:
        """Whether traffic to elsewhere leaves the host under the host's address."""
        wanted = is_true(self.options.get(MASQUERADE_OPTION, "true"))
        return wanted and not self.internal and self.gateway_mode(version) in ("nat", "nat-unprotected")

    @property
    def is_default(self) -> bool:
        """The network ``bridge``, on which containers are that ask for none."""
        return self.name == "bridge"

    @property
    def predefined(self) -> bool:
        """Made by the daemon; a user can neither remove it nor choose addresses on it."""
        return self.name in PREDEFINED


PREDEFINED = ("bridge", "host", "none")


def is_true(text: str) -> bool:
    """Go's ``strconv.ParseBool``. Raises ValueError for anything else."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError(text)


class EndpointRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A container's attachment to a network, from its start (or connect) to its stop (or disconnect).

    ``address4``, ``address6``, ``gateway4``, ``gateway6``: without prefix length (``prefix4``, ``prefix6``), or "".
    ``host_link``: the host's end of the veth pair, "" where the driver makes none. ``interface``: the container's end.
    ``link_local``: further addresses, with their prefix length. ``sysctls``: of the interface, by name below ``net``,
    with ``IFNAME`` for the interface. ``priority``: of several, the highest has the default route.
    ``pending``: a connect that is under way; the next daemon undoes it.
    """

    id: str
    network: str
    container: str
    address4: str = ""
    prefix4: int = 0
    gateway4: str = ""
    address6: str = ""
    prefix6: int = 0
    gateway6: str = ""
    mac: str = ""
    host_link: str = ""
    interface: str = ""
    aliases: tuple[str, ...] = ()
    link_local: tuple[str, ...] = ()
    sysctls: dict[str, str] = {}
    priority: int = 0
    pending: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """Those that it has of the network's pools."""
        return tuple(filter(None, (self.address4, self.address6)))

    @property
    def interface_addresses(self) -> tuple[str, ...]:
        """All of them, with their prefix lengths."""
        pairs = ((self.address4, self.prefix4), (self.address6, self.prefix6))
        return (*(f"{address}/{prefix}" for address, prefix in pairs if address), *self.link_local)


class PortRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A published port: ``protocol`` ``address``:``port`` on the host leads to ``target``:``container_port``.

    ``protocol``: tcp, udp or sctp. ``address``: of the host, ``0.0.0.0`` or ``::`` for all. ``target``: of the
    container; of the other family than ``address`` where a relay has to carry the traffic. ``routed``: there is no
    port of the host; the container's own, which ``address`` and ``port`` repeat, is reached by routing.
    ``guarded``: the host's own rules for what comes in (nft's hook input) judge what comes to it.
    """

    protocol: str
    address: str
    port: int
    container: str
    target: str
    container_port: int
    routed: bool = False
    guarded: bool = False

    @property
    def relayed(self) -> bool:
        """A relay carries the traffic: the kernel cannot translate between address families, or is not to."""
        return self.guarded or (":" in self.address) != (":" in self.target)


NETWORKS = Table(
    "networks", NetworkRecord, ("id",), {"id": lambda network: network.id, "name": lambda network: network.name}
)
ENDPOINTS = Table(
    "endpoints",
    EndpointRecord,
    ("network", "container"),
    {
        "network": lambda endpoint: endpoint.network,
        "container": lambda endpoint: endpoint.container,
        "address4": lambda endpoint: endpoint.address4 or None,
        "address6": lambda endpoint: endpoint.address6 or None,
    },
)
PORTS = Table(
    "ports",
    PortRecord,
    ("protocol", "address", "port"),
    {
        "protocol": lambda port: port.protocol,
        "address": lambda port: port.address,
        "port": lambda port: port.port,
        "container": lambda port: port.container,
    },
)
