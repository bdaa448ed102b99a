"""The seam between networks and what makes them real: one driver per kind of network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cove.network.records import EndpointRecord, NetworkRecord


@dataclass(frozen=True)
class Interface:
    """A link that is in a container's network namespace under ``name``, for the container's side to set up.

    ``addresses``: CIDR. ``gateway4``, ``gateway6``: the default routes through this link, or None.
    The same shape as ``cove.runtime.messages.Interface``, which this package may not import.
    """

    name: str
    addresses: tuple[str, ...]
    gateway4: str | None
    gateway6: str | None


class Driver(Protocol):
    """Makes the links of one kind of network. Every method may be called again, and then finishes the work.

    ``addressed``: endpoints get addresses from the network's pools. ``user_networks``: users may create such networks.
    Failures of the kernel are OSError.
    """

    addressed: bool
    user_networks: bool

    async def start_network(self, network: NetworkRecord) -> None:
        """Make the host's side of a network, or adopt what a daemon before us left of it."""

    async def stop_network(self, network: NetworkRecord) -> None:
        """Remove the host's side of a network without endpoints."""

    def host_link(self) -> str:
        """A fresh name for the host's end of an endpoint's link; "" when there is none."""

    async def attach(self, network: NetworkRecord, endpoint: EndpointRecord, namespace: int) -> Interface | None:
        """Put an endpoint's link into the namespace with this descriptor; None when there is nothing to set up."""

    async def detach(self, network: NetworkRecord, endpoint: EndpointRecord) -> None:
        """Remove an endpoint's link; it may be gone already."""

    async def reconcile(self, network: NetworkRecord, endpoints: Sequence[EndpointRecord]) -> list[EndpointRecord]:
        """Remove links that belong to none of ``endpoints``; returns the endpoints that have lost theirs."""
