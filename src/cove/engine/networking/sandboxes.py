"""What the resolver is told of a container: its names on its networks, and whom to ask what is not ours."""

from collections.abc import Sequence

from cove.engine.containers.container import Container
from cove.engine.containers.registry import Registry
from cove.engine.networking.connectivity import Connectivity, network_mode, split_link, wanted
from cove.errors import NotFound
from cove.network import EndpointRecord, NetworkRecord, Networks, parse_policy
from cove.resolver.messages import Egress, Endpoint, Sandbox

DEFAULT_NETWORKS = ("bridge", "host", "none")
"""Networks on which containers have no names, as with Docker."""


class Sandboxes:
    """Describes containers. ``servers``, ``options``: the daemon's settings for containers that have none."""

    def __init__(
        self,
        registry: Registry,
        networks: Networks,
        connectivity: Connectivity,
        *,
        servers: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self._registry = registry
        self._networks = networks
        self._connectivity = connectivity
        self._servers = servers
        self._options = options

    def describe(self, container: Container) -> Sandbox | None:
        """None when it has no use for the resolver: it is on no user network and has no policy."""
        if not self._connectivity.needed(container):
            return None
        held = [
            (endpoint, self._networks.get(endpoint.network)) for endpoint in self._connectivity.endpoints(container)
        ]
        named = [(endpoint, network) for endpoint, network in held if network.name not in DEFAULT_NETWORKS]
        host = container.record.host_config
        policy = parse_policy(host.egress)
        if not named and policy is None:
            return None
        made = Sandbox(
            container=container.id,
            endpoints=[self._endpoint(container, endpoint, network) for endpoint, network in named],
            serve=True,
            servers=list(host.dns or self._servers),
            external=any(not network.internal for _endpoint, network in held),
            ndots=any(_sets_ndots(option) for option in host.dns_options or self._options),
        )
        if policy is not None:
            sources = [address for each, _network in held for address in (each.address4, each.address6) if address]
            made["egress"] = Egress(
                names=policy.names, table=self._networks.egress.table, sources=sources, learns=policy.learns
            )
        return made

    def _endpoint(self, container: Container, endpoint: EndpointRecord, network: NetworkRecord) -> Endpoint:
        return Endpoint(
            network=network.id,
            network_name=network.name,
            subnets=[pool.subnet for pool in network.pools],
            names=dns_names(container, endpoint.aliases),
            addresses=[address for address in (endpoint.address4, endpoint.address6) if address],
            aliases=self._aliases(container, network),
        )

    def _aliases(self, container: Container, network: NetworkRecord) -> dict[str, str]:
        """What ``--link`` calls others on a user network: alias and id. Those that are gone are left out."""
        asked = wanted(container)
        settings = asked.get(network.name) or asked.get(network.id)
        found: dict[str, str] = {}
        for link in (settings.links if settings else None) or ():
            target, alias = split_link(link)
            try:
                found[alias.lower()] = self._registry.get(target).id
            except NotFound:
                continue
        return found


def dns_names(container: Container, aliases: Sequence[str]) -> list[str]:
    """What a container is called on a user network, in Docker's order."""
    names = [container.name, *aliases, container.id[:12], container.record.config.hostname]
    return [name for name in dict.fromkeys(names) if name]


def uses_resolver(container: Container) -> bool:
    """It asks for a network on which containers have names, or has an egress policy."""
    mode = network_mode(container)
    if mode in ("host", "none") or mode.startswith("container:"):
        return False
    policed = bool(container.record.host_config.egress)
    return policed or any(name not in DEFAULT_NETWORKS for name in wanted(container))


def _sets_ndots(option: str) -> bool:
    name, _, number = option.partition(":")
    return name == "ndots" and number.isdecimal() and int(number) > 0
