"""How networks and containers are joined, as a picture, and what stands between two of them."""

import asyncio
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.networking.connectivity import Connectivity, network_mode, wanted
from cove.errors import NotFound
from cove.network import (
    Goal,
    Mode,
    NetworkRecord,
    Networks,
    Party,
    PortRecord,
    Target,
    parse_policy,
    parse_target,
)
from cove.wire.topology import GraphContainer, GraphMember, GraphNetwork, NetworkGraph, NetworkTrace, TraceStep

LOOKUP_SECONDS = 3.0


class Topology:
    """Reads what the registry and the networks know; changes nothing."""

    def __init__(self, registry: Registry, networks: Networks, connectivity: Connectivity) -> None:
        self._registry = registry
        self._networks = networks
        self._connectivity = connectivity

    async def graph(self) -> NetworkGraph:
        """Every network and container, in the order of networks' creation and of containers' names."""
        containers = sorted(self._registry, key=lambda container: container.name)
        return NetworkGraph(
            networks=[
                self._network(network, containers) for network in self._networks.all() if not network.config_only
            ],
            containers=[self._container(container) for container in containers],
        )

    def _network(self, network: NetworkRecord, containers: list[Container]) -> GraphNetwork:
        return GraphNetwork(
            id=network.id,
            name=network.name,
            driver=network.driver,
            link=network.link or (network.parent if network.driver in ("macvlan", "ipvlan") else ""),
            subnets=[pool.subnet for pool in sorted(network.pools, key=lambda pool: pool.version)],
            internal=network.internal,
            icc=network.icc,
            members=[member for container in containers for member in self._members(container, network)],
        )

    def _members(self, container: Container, network: NetworkRecord) -> Iterator[GraphMember]:
        asked = wanted(container)
        if network.name not in asked and network.id not in asked:
            return
        held = next((end for end in self._connectivity.endpoints(container) if end.network == network.id), None)
        yield GraphMember(
            container=container.id,
            name=container.name,
            interface=held.interface if held else "",
            addresses=list(held.addresses) if held else [],
            aliases=list(held.aliases) if held else [],
        )

    def _container(self, container: Container) -> GraphContainer:
        return GraphContainer(
            id=container.id,
            name=container.name,
            status=container.status,
            network_mode=network_mode(container),
            ports=[_shown(port) for port in self._connectivity.ports(container)],
            egress=container.record.host_config.egress or "none",
        )

    async def trace(self, origin: str, target: str) -> NetworkTrace:
        """Follow a packet from a container to a container, an address or a name. Raises NotFound, InvalidArgument."""
        wish = parse_target(target)
        start = self._registry.get(origin)
        parties = {container.id: self._party(container) for container in self._registry}
        party = parties[self._owner(start).id]
        goal = await self._goal(target, wish, start, parties)
        steps, hint = await self._networks.trace(parties.values(), party, goal)
        last = steps[-1]
        return NetworkTrace(
            origin=start.name,
            target=target,
            reached=last.outcome != "stop",
            reason=last.reason,
            steps=[TraceStep(outcome=step.outcome, what=step.what, text=step.text) for step in steps],
            hint=hint,
        )

    async def _goal(self, text: str, wish: Target, start: Container, parties: dict[str, Party]) -> Goal:
        if (address := wish.address) is not None:
            return Goal(text, wish.protocol, wish.port, addresses=(address,))
        container = self._called(wish.host, start)
        if container is not None:
            return Goal(text, wish.protocol, wish.port, party=parties[self._owner(container).id])
        return Goal(text, wish.protocol, wish.port, addresses=await _looked_up(wish.host), name=wish.host)

    def _called(self, name: str, start: Container) -> Container | None:
        """A container by its name or id, or by what it is called on a network of the one that asks."""
        try:
            return self._registry.get(name)
        except NotFound:
            pass
        for endpoint in self._connectivity.endpoints(self._owner(start)):
            for other in self._networks.endpoints_on(endpoint.network):
                if name in other.aliases and other.container in self._registry:
                    return self._registry.get(other.container)
        return None

    def _owner(self, container: Container) -> Container:
        """The container whose network this one is in."""
        mode = network_mode(container)
        if not mode.startswith("container:"):
            return container
        try:
            return self._registry.get(mode.removeprefix("container:"))
        except NotFound:
            return container

    def _party(self, container: Container) -> Party:
        mode = network_mode(container)
        kinds: dict[str, Mode] = {"host": "host", "none": "none"}
        return Party(
            container.name,
            container.pid if container.running else 0,
            kinds.get(mode, "linked"),
            self._connectivity.endpoints(container),
            self._connectivity.ports(container),
            parse_policy(container.record.host_config.egress),
        )


async def _looked_up(name: str) -> tuple[IPv4Address | IPv6Address, ...]:
    """The addresses of a name, as the host finds them; none when it does not."""
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(name, None, type=socket.SOCK_STREAM), LOOKUP_SECONDS)
    except (OSError, UnicodeError, TimeoutError):
        return ()
    return tuple(dict.fromkeys(ip_address(address[0]) for *_rest, address in found))


def _shown(port: PortRecord) -> str:
    """``0.0.0.0:8080->80/tcp``."""
    address = f"[{port.address}]" if ":" in port.address else port.address
    return f"{address}:{port.port}->{port.container_port}/{port.protocol}"
