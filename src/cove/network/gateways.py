"""Which of a container's endpoints has its default routes. Pure; Docker's rules.

The best endpoint is the one with the highest gateway priority; of equals one whose network is not internal, then one
with a gateway for more address families, then the first by the network's name. The best one with gateways for both
families has both; without such, each family has the best one that has a gateway for it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from cove.network.records import EndpointRecord


class Candidate(NamedTuple):
    """``gateway4``, ``gateway6``: as ``Driver.gateways`` has them. ``network``: its name."""

    endpoint: EndpointRecord
    network: str
    internal: bool
    gateway4: str | None
    gateway6: str | None


class Gateways(NamedTuple):
    """The endpoints with the default routes; None: that family has none."""

    ipv4: Candidate | None = None
    ipv6: Candidate | None = None


def choose(candidates: Sequence[Candidate]) -> Gateways:
    """The endpoints that have the default routes."""
    first4 = first6 = None
    for candidate in sorted(candidates, key=rank):
        if candidate.gateway4 and candidate.gateway6:
            return Gateways(candidate, candidate)
        first4 = first4 or (candidate if candidate.gateway4 else None)
        first6 = first6 or (candidate if candidate.gateway6 else None)
    return Gateways(first4, first6)


def rank(candidate: Candidate) -> tuple[int, bool, int, str]:
    """What endpoints are sorted by, best first; the interfaces of a container that starts have this order too."""
    families = bool(candidate.gateway4) + bool(candidate.gateway6)
    return -candidate.endpoint.priority, candidate.internal, -families, candidate.network
