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


class Pool(msgspec.Struct, frozen=True, omit_defaults=True):
    """Addresses of one network: ``subnet`` and ``range`` (where containers get theirs from) as CIDR.

    ``auxiliary``: addresses that something else on the network has, by a name of the user's choice.
    """

    subnet: str
    gateway: str
    range: str = ""
    auxiliary: dict[str, str] = {}


class NetworkRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A network. ``created``: nanoseconds since the epoch. ``options``: the driver's, in Docker's keys.

    ``pools`` holds at most one subnet per address family on a bridge network, none on ``host`` and ``none``.
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
    ipv6: bool = False

    @property
    def link(self) -> str:
        """The name of the bridge on the host; "" for networks without one."""
        return self.options.get(BRIDGE_NAME_OPTION, "")

    @property
    def mtu(self) -> int:
        return int(self.options.get(MTU_OPTION) or 1500)

    @property
    def icc(self) -> bool:
        """Whether containers on the network may talk to each other."""
        return self.options.get(ICC_OPTION, "true") != "false"

    @property
    def masquerade(self) -> bool:
        """Whether traffic to elsewhere leaves the host under the host's address."""
        return self.options.get(MASQUERADE_OPTION, "true") != "false"

    @property
    def predefined(self) -> bool:
        """Made by the daemon; a user can neither remove it nor choose addresses on it."""
        return self.name in PREDEFINED


PREDEFINED = ("bridge", "host", "none")


class EndpointRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A container's attachment to a network, from its start (or connect) to its stop (or disconnect).

    ``address4``, ``address6``, ``gateway4``, ``gateway6``: without prefix length (``prefix4``, ``prefix6``), or "".
    ``host_link``: the host's end of the veth pair, "" where the driver makes none. ``interface``: the container's end.
    ``default_route``: the container's traffic to elsewhere leaves through this endpoint.
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
    default_route: bool = True
    aliases: tuple[str, ...] = ()


class PortRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A published port: ``protocol`` ``address``:``port`` on the host leads to ``target``:``container_port``.

    ``protocol``: tcp, udp or sctp. ``address``: of the host, ``0.0.0.0`` or ``::`` for all. ``target``: of the
    container; of the other family than ``address`` where a relay has to carry the traffic.
    """

    protocol: str
    address: str
    port: int
    container: str
    target: str
    container_port: int

    @property
    def relayed(self) -> bool:
        """The kernel cannot translate between address families: a relay carries the connections."""
        return (":" in self.address) != (":" in self.target)


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
