"""What the daemon's configuration says about networks."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cove.network.addresses import unique_local_base

DOCKER_POOLS: tuple[tuple[str, int], ...] = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
"""Where subnets of new networks come from: a range, and the prefix length of the subnets cut from it, in order.

Docker's defaults ("default-address-pools" in the daemon's reference).
"""


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """``bridge``: the default network's Linux bridge. ``has_bridge``: whether there is a default network; one that was
    there stays as long as a container has an address on it. ``bip``, ``bip6``: its address and prefix (CIDR), "" to
    choose one. ``range4``, ``range6``: where its containers' addresses come from (CIDR). ``gateway4``, ``gateway6``:
    their default routes, "" for the bridge itself. ``ipv6``, ``icc``: of the default network.
    ``families``: address families, 4 and 6, that we have firewall rules for. ``direct_routing``: published ports are
    open at the containers' own addresses too. ``publish``: how ports are published by networks that do not say.
    ``accept_mark``: of packets that may reach every container, ``MARK`` or ``MARK/MASK``.
    ``network_options``: what new networks have that do not say, by driver and option.

    ``ip_forward``: turn on forwarding in the host's network namespace, without which nothing leaves a bridge.
    ``host_address``: where ports are published that name no host address, "" for all addresses. ``pools``: where
    subnets come from that a user leaves open, ranges of either address family. ``identity``: of the machine, which
    IPv6 subnets follow from when ``pools`` has none.
    """

    bridge: str = "cove0"
    has_bridge: bool = True
    bip: str = ""
    bip6: str = ""
    range4: str = ""
    range6: str = ""
    gateway4: str = ""
    gateway6: str = ""
    ipv6: bool = False
    icc: bool = True
    mtu: int = 1500
    pools: tuple[tuple[str, int], ...] = DOCKER_POOLS
    ip_forward: bool = True
    masquerade: bool = True
    host_address: str = ""
    identity: str = ""
    families: tuple[int, ...] = (4, 6)
    direct_routing: bool = False
    accept_mark: str = ""
    publish: str = ""
    network_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def all_pools(self) -> tuple[tuple[str, int], ...]:
        """``pools``, and this machine's own unique local addresses unless there are others of IPv6."""
        if any(":" in base for base, _length in self.pools):
            return self.pools
        return (*self.pools, (unique_local_base(self.identity), 64))

    @property
    def table(self) -> str:
        """The nftables table, so that daemons side by side, which must name different bridges, do not share one."""
        return "cove" if self.bridge == "cove0" else f"cove_{self.bridge}".replace(".", "_").replace("-", "_")
