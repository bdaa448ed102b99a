"""Containers are held to their egress policies, on the networks where one can hold: those with a bridge of ours."""

import contextlib
from collections.abc import Iterable, Mapping

from cove.errors import InvalidArgument, NotFound
from cove.network.allocations import Allocations
from cove.network.catalogue import Catalogue
from cove.network.egress import Egress
from cove.network.egress_policy import EgressPolicy
from cove.network.records import EndpointRecord, NetworkRecord


class Policing:
    """Brings together what a container has of the networks, and what the kernel is to know of its policy."""

    def __init__(self, catalogue: Catalogue, allocations: Allocations, egress: Egress) -> None:
        self._catalogue = catalogue
        self._allocations = allocations
        self._egress = egress

    async def hold(
        self, container_id: str, policy: EgressPolicy | None, *, without: EndpointRecord | None = None
    ) -> None:
        """Hold a container to a policy, on all networks that it has; ``without`` one that it is about to lose.

        Raises InvalidArgument, OSError.
        """
        places = self._bridged(container_id, without) if policy is not None else ()
        await self._egress.apply(container_id, policy, places)

    async def let_go(self, container_id: str) -> None:
        """Of one that ends; does nothing for one without a policy."""
        if self._egress.holds(container_id):
            await self._egress.apply(container_id, None, ())

    async def resume(self, policies: Mapping[str, EgressPolicy]) -> None:
        """What holds for running containers, after a daemon before us. Raises OSError."""
        await self._egress.open((known, policy, self._bridged(known)) for known, policy in policies.items())

    def check(self, references: Iterable[str]) -> None:
        """Raises InvalidArgument for a network where no policy can hold; those that are not there pass."""
        for reference in references:
            with contextlib.suppress(NotFound):
                _refuse_unbridged(self._catalogue.get(reference))

    def _bridged(self, container_id: str, without: EndpointRecord | None = None) -> list[tuple[EndpointRecord, str]]:
        """A container's endpoints with their bridges. Raises InvalidArgument for one that passes no bridge of ours."""
        found = []
        for endpoint in self._allocations.of(container_id).endpoints:
            if endpoint != without:
                network = self._catalogue.get(endpoint.network)
                _refuse_unbridged(network)
                found.append((endpoint, network.link))
        return found


def _refuse_unbridged(network: NetworkRecord) -> None:
    if network.driver != "bridge":
        raise InvalidArgument(f"an egress policy needs bridge networks: {network.name} is {network.driver}")
