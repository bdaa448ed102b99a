"""A container's place on its networks, over its life: asked for in its record, held while it runs."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from cove.engine.containers.container import Container
from cove.errors import Internal, InvalidArgument, NotFound
from cove.network import (
    EndpointRecord,
    EndpointRequest,
    NetworkRecord,
    Networks,
    PortRecord,
    PortRequest,
    Restored,
    parse_policy,
)
from cove.network import Interface as NetworkInterface
from cove.runtime.messages import DefaultRoute, Interface
from cove.store.database import Change
from cove.wire.networks import EndpointSettings, NetworkingConfig

UNLINKED = ("host", "none")
"""Network modes in which the engine makes no links."""

UNLINKED_DRIVERS = ("host", "null")


class Connectivity:
    """Takes addresses and ports at a container's start, gives them back at its end."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    def needed(self, container: Container) -> bool:
        """The engine makes links for this container."""
        mode = network_mode(container)
        if mode == "host" or mode.startswith("container:"):
            return False
        return any(name not in UNLINKED for name in container.record.networking.endpoints_config or {})

    async def prepare(self, container: Container) -> bool:
        """Take what the container asks for; False when it needs nothing. Raises as ``Networks.allocate``."""
        container.network_shared = False
        if not self.needed(container):
            return False
        self._name_networks(container)
        requests = [endpoint_request(name, settings) for name, settings in wanted(container).items()]
        await self._networks.allocate(container.id, container.name, requests, port_requests(container))
        if container.record.host_config.egress:
            try:
                await self.police(container)
            except BaseException:
                await self._networks.release(container.id)
                raise
        return True

    async def police(self, container: Container, *, without: EndpointRecord | None = None) -> None:
        """Hold a container with addresses to its egress policy; ``without`` an endpoint that it is about to lose.

        Raises InvalidArgument, Internal.
        """
        policy = parse_policy(container.record.host_config.egress)
        try:
            await self._networks.policing.hold(container.id, policy, without=without)
        except OSError as error:
            raise Internal(f"egress policy of container {container.id}: {error}") from error

    async def connect(self, container: Container, namespace: int) -> list[Interface]:
        """Put the links into the namespace; what the shim has to set up."""
        made: list[Interface] = []
        for endpoint in self.endpoints(container):
            interface = await self._networks.attach(endpoint, namespace)
            if interface is not None:
                made.append(interface_message(interface))
        return made

    def name_known(self, networking: NetworkingConfig) -> None:
        """Keep the networks of users that are there by their names, whatever a new container's user called them by."""
        named = {}
        for reference, settings in (networking.endpoints_config or {}).items():
            try:
                network = self._networks.get(reference)
            except (NotFound, InvalidArgument):  # that is for the start to say, as with Docker
                named[reference] = settings
            else:
                named[reference if network.predefined else network.name] = settings
        networking.endpoints_config = named

    def _name_networks(self, container: Container) -> None:
        """Keep networks by their names, whatever the user called them by. Raises NotFound."""
        given = container.record.networking.endpoints_config or {}
        container.record.networking.endpoints_config = {
            self._network(name, settings).name: settings for name, settings in given.items()
        }

    def _network(self, name: str, settings: EndpointSettings | None) -> NetworkRecord:
        """What is called so now, if the container may be on it. Raises NotFound."""
        network = self._networks.get(name)
        if not may_join(network, settings):
            raise NotFound(f"network {name} not found")
        return network

    def routes(self, container: Container, without: EndpointRecord | None = None) -> list[DefaultRoute | None]:
        """The default routes that a running container is to have, of IPv4 and IPv6."""
        chosen = self._networks.gateways(container.id, without=without)
        found: list[DefaultRoute | None] = [None, None]
        if chosen.ipv4 is not None and chosen.ipv4.gateway4:
            found[0] = {"link": chosen.ipv4.endpoint.interface, "gateway": chosen.ipv4.gateway4}
        if chosen.ipv6 is not None and chosen.ipv6.gateway6:
            found[1] = {"link": chosen.ipv6.endpoint.interface, "gateway": chosen.ipv6.gateway6}
        return found

    async def apply(self, container: Container, restored: Restored) -> None:
        """Have the shim of a running container do its part of a change. Raises Conflict."""
        interfaces = [interface_message(interface) for interface in restored.interfaces]
        await container.require_shim().configure_network(interfaces, list(restored.removed), self.routes(container))

    async def republish(
        self, container: Container, gone: Sequence[PortRecord], requests: Sequence[PortRequest], also: Change
    ) -> None:
        """Change what a running container publishes. ``also``: part of the commit. Raises Conflict, InvalidArgument."""
        await self._networks.republish(container.id, container.name, gone, requests, also)

    async def release(self, container: Container) -> None:
        """Give everything back; harmless when there is nothing."""
        await self._networks.release(container.id, links=container.network_shared)

    async def forbid(self, pairs: Iterable[tuple[str, str]]) -> None:
        """What a link has let pass from one address to another passes no more. Raises Internal."""
        try:
            await self._networks.disallow(pairs)
        except OSError as error:
            raise Internal(f"what a link has let pass: {error}") from error

    def memberships(self, container: Container) -> Iterator[tuple[str, str, str]]:
        """Id, name and driver of each network that the container's run is on, ``host`` and ``none`` among them."""
        if network_mode(container).startswith("container:"):
            return
        for name, settings in wanted(container).items():
            try:
                network = self._network(name, settings)
            except NotFound:
                continue
            yield network.id, network.name, network.driver

    def missing(self, container: Container) -> list[str]:
        """The networks that it asks for and that are not there."""
        if not self.needed(container):
            return []
        found = []
        for name, settings in wanted(container).items():
            try:
                self._network(name, settings)
            except NotFound:
                found.append(name)
        return found

    def endpoints(self, container: Container) -> tuple[EndpointRecord, ...]:
        return self._networks.allocation(container.id).endpoints

    def ports(self, container: Container) -> tuple[PortRecord, ...]:
        return self._networks.allocation(container.id).ports

    def addresses(self, container: Container) -> list[str]:
        """The container's own addresses, for its /etc/hosts."""
        return [address for endpoint in self.endpoints(container) for address in endpoint.addresses]

    def host_gateways(self) -> list[str]:
        """What ``host-gateway`` stands for in --add-host: the default bridge's own addresses."""
        found = self._networks.default()
        return [pool.gateway.partition("/")[0] for pool in found.pools] if found is not None else []

    def default_network(self) -> str:
        """The id of the network ``bridge``; "" when the daemon has none (``--bridge=none``)."""
        found = self._networks.default()
        return found.id if found is not None else ""

    def settle(self, container: Container) -> None:
        """Before a start: without a default network, who is to be on it has no networking, as in Docker."""
        if network_mode(container) == "bridge" and self._networks.default() is None:
            container.record.config.network_disabled = True
            container.record.networking = NetworkingConfig(endpoints_config={})


def unlinked_endpoint(container_id: str, network_id: str) -> str:
    """The id of an endpoint on ``host`` or ``none``, of which nothing is kept."""
    return sha256(f"{container_id} {network_id}".encode()).hexdigest()


def network_mode(container: Container) -> str:
    """As ``Record.network_mode``."""
    return container.record.network_mode


def wanted(container: Container) -> dict[str, EndpointSettings]:
    """The networks that the container is to be on, the one of its mode first, with what it asks for on each."""
    if network_mode(container).startswith("container:"):
        return {}
    given = container.record.networking.endpoints_config or {}
    first = network_mode(container)
    names = sorted(given, key=lambda name: name != first)
    return {name: given[name] or EndpointSettings() for name in names}


def may_join(network: NetworkRecord, settings: EndpointSettings | None) -> bool:
    """Whether a network is what these settings were for: its name may have changed hands since."""
    needed = (settings and settings.network_labels) or {}
    return network.predefined or needed.items() <= network.labels.items()


def interface_message(interface: NetworkInterface) -> Interface:
    """An interface in the words of the runtime."""
    return {
        "name": interface.name,
        "addresses": list(interface.addresses),
        "gateway4": interface.gateway4,
        "gateway6": interface.gateway6,
        "sysctls": interface.sysctls,
        "announce": interface.announce,
        "routes": list(interface.routes),
    }


def endpoint_request(name: str, settings: EndpointSettings) -> EndpointRequest:
    """What a container asks for on a network, in the words of the network package."""
    addresses = settings.ipam_config
    return EndpointRequest(
        network=name,
        address4=addresses.ipv4_address if addresses else "",
        address6=addresses.ipv6_address if addresses else "",
        mac=settings.mac_address,
        aliases=tuple(settings.aliases or ()),
        link_local=tuple((addresses.link_local_ips if addresses else None) or ()),
        options=settings.driver_opts or {},
        priority=settings.gw_priority,
    )


def split_link(text: str) -> tuple[str, str]:
    """``container:alias`` or ``container``: the container and the alias, which is its name then."""
    target, _, alias = text.partition(":")
    target = target.removeprefix("/")
    return target, alias.rpartition("/")[2] or target


def port_requests(container: Container) -> list[PortRequest]:
    """What ``-p`` and ``-P`` ask for."""
    record = container.record
    bindings = dict(record.host_config.port_bindings or {})
    if record.host_config.publish_all_ports:
        for port in record.config.exposed_ports or {}:
            bindings.setdefault(port, None)
    requests = []
    for key, wishes in bindings.items():
        number, protocol = split_port(key)
        if not wishes:
            requests.append(PortRequest(protocol, number))
        for wish in wishes or ():
            requests.append(PortRequest(protocol, number, wish.host_ip, wish.host_port))
    return requests


def split_port(key: str) -> tuple[int, str]:
    """``80/tcp`` or ``80``. Raises InvalidArgument."""
    number, _, protocol = key.partition("/")
    if not number.isdecimal() or not 0 < int(number) < 65536:
        raise InvalidArgument(f'invalid port specification: "{number}"')
    if protocol not in ("", "tcp", "udp", "sctp"):
        raise InvalidArgument(f"invalid port specification: {key!r}: unknown protocol")
    return int(number), protocol or "tcp"
