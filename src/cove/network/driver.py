"""The seam between networks and what makes them real: one driver per kind of network.

A network is made in this order: ``settle`` (may refuse; nothing is made yet), the row is written, ``start_network``. A
container's start: an address is taken and the endpoint's row written, ``attach`` once the namespace is there. Its end:
``detach`` where the link would outlive the container, the row goes. When a daemon starts: ``start_network`` for each
network, then ``reconcile`` with the endpoints that are left.

A driver whose networks span machines, or one behind a socket (a remote plug-in), needs no other seam: ``settle`` may
ask a store or the plug-in, ``attach`` may make whatever link it likes in the namespace, and addresses can be left out
(``addressed``) or chosen elsewhere and claimed as fixed ones. Drivers are registered by name in ``networks``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cove.network.addresses import mac_for
from cove.network.records import EndpointRecord, NetworkRecord

ON_LINK = {4: "0.0.0.0", 6: "::"}
"""In place of a gateway: the default route leads to the link itself."""


@dataclass(frozen=True)
class Interface:
    """A link that is in a container's network namespace under ``name``, for the container's side to set up.

    ``addresses``: CIDR. ``gateway4``, ``gateway6``: the default routes through this link (``ON_LINK`` for one without
    a gateway), or None. ``sysctls``: names below /proc/sys (``net/ipv6/conf/eth0/accept_ra``) to values, set before
    the link is up; one that the kernel does not have is an error unless its name starts with ``-``. ``announce``: the
    neighbours may remember another MAC address for one of the addresses. ``routes``: subnets, CIDR, that are reached by
    a gateway on the link, with that gateway.
    The same shape as ``cove.runtime.messages.Interface``, which this package may not import.
    """

    name: str
    addresses: tuple[str, ...]
    gateway4: str | None = None
    gateway6: str | None = None
    sysctls: dict[str, str] = field(default_factory=dict)
    announce: bool = False
    routes: tuple[tuple[str, str], ...] = ()


class Driver(Protocol):
    """Makes the links of one kind of network. Every method may be called again, and then finishes the work.

    ``addressed``: endpoints get addresses from the network's pools. ``user_networks``: users may create such networks.
    ``routed_by_host``: the host is the way out of its subnets: it has the gateways, and no other route to them.
    ``own_mac``: every endpoint has a MAC address of its own. Failures of the kernel are OSError.
    """

    addressed: bool
    user_networks: bool
    routed_by_host: bool
    own_mac: bool

    async def settle(self, network: NetworkRecord, others: Sequence[NetworkRecord]) -> NetworkRecord:
        """A network that is to be made, with what the driver fills in. ``others``: all networks that there are.

        Raises InvalidArgument (options), Forbidden or Conflict (something of it is taken), Unimplemented (the kernel).
        """

    async def start_network(self, network: NetworkRecord) -> None:
        """Make the host's side of a network, or adopt what a daemon before us left of it."""

    async def stop_network(self, network: NetworkRecord) -> None:
        """Remove the host's side of a network without endpoints."""

    def host_link(self) -> str:
        """A fresh name for the host's end of an endpoint's link; "" when there is none."""

    def host_links(self, network: NetworkRecord) -> tuple[str, ...]:
        """The links of the host that the network needs, besides those of its endpoints."""

    def gateways(self, network: NetworkRecord, endpoint: EndpointRecord) -> tuple[str | None, str | None]:
        """Where the default routes of an endpoint would lead, for each address family; None: nowhere."""

    async def attach(self, network: NetworkRecord, endpoint: EndpointRecord, namespace: int) -> Interface | None:
        """Put an endpoint's link into the namespace with this descriptor; None when there is nothing to set up.

        The answer has no gateways: which of several endpoints has the default route is not the driver's to say.
        """

    async def detach(self, network: NetworkRecord, endpoint: EndpointRecord) -> None:
        """Remove an endpoint's link as far as it is on the host; it may be gone already."""

    async def reconcile(self, network: NetworkRecord, endpoints: Sequence[EndpointRecord]) -> list[EndpointRecord]:
        """Remove links that belong to none of ``endpoints``; returns the endpoints that have lost theirs."""


def interface(endpoint: EndpointRecord, sysctls: dict[str, str] | None = None) -> Interface:
    """The interface of an endpoint, with what every kind of network sets: IPv6 is on only where it has an address.

    ``sysctls``: of the driver; those of the user come last.
    """
    name = endpoint.interface
    v6 = any(":" in address for address in endpoint.interface_addresses)
    settings = {f"-net/ipv6/conf/{name}/{key}": value for key, value in (_WITH_IPV6 if v6 else _WITHOUT_IPV6).items()}
    settings |= sysctls or {}
    settings |= {key.replace("IFNAME", name): value for key, value in endpoint.sysctls.items()}
    return Interface(
        name, endpoint.interface_addresses, sysctls=settings, announce=v6 or endpoint.mac != mac_for(endpoint.address4)
    )


_WITH_IPV6 = {"disable_ipv6": "0", "accept_ra": "0"}
_WITHOUT_IPV6 = {"disable_ipv6": "1"}


def gateways(network: NetworkRecord, endpoint: EndpointRecord) -> tuple[str | None, str | None]:
    """Those of the endpoint's pools, unless the network is internal."""
    if network.internal:
        return None, None
    return endpoint.gateway4 or None, endpoint.gateway6 or None
