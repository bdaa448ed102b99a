"""Addresses that containers have asked for: theirs again at their next start, so nobody else's meanwhile."""

from collections.abc import Iterable, Iterator

from cove.engine.containers.container import Container
from cove.network import NetworkRecord


def promised(containers: Iterable[Container], network: NetworkRecord) -> Iterator[str]:
    """The addresses on a network that containers which do not run have asked for.

    As they wrote them: what is no address is refused when they start.
    """
    for container in containers:
        if container.running:  # then the network itself knows that they are taken
            continue
        endpoints = container.record.networking.endpoints_config or {}
        settings = endpoints.get(network.name) or endpoints.get(network.id)
        if settings is not None and (asked := settings.ipam_config) is not None:
            yield from filter(None, (asked.ipv4_address, asked.ipv6_address))
