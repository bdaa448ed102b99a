"""Links of the default bridge: what a container calls others by, in /etc/hosts and in its environment.

On user networks links are aliases that the resolver knows, and nothing here is about them.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cove.engine.containers.container import Container
from cove.engine.containers.record import Record
from cove.engine.containers.registry import Registry
from cove.engine.networking.connectivity import Connectivity, network_mode, split_link, split_port
from cove.errors import Conflict, InvalidArgument, NotFound

MODES = ("host", "none")
_UNTOLD = ("HOME", "PATH")
"""Variables of a container that those who link to it do not get."""


class Link(NamedTuple):
    """``alias``: what the container with the link calls ``target``."""

    alias: str
    target: Container


class Links:
    """Reads links from records; ``settle`` writes them there."""

    def __init__(self, registry: Registry, connectivity: Connectivity) -> None:
        self._registry = registry
        self._connectivity = connectivity

    def settle(self, record: Record) -> None:
        """Replace the names in a new container's links by ids. Raises InvalidArgument in Docker's words.

        Its absence is no 404, which clients take for a missing image. On a user network links are the endpoint's.
        """
        host = record.host_config
        given, host.links = host.links or [], None
        if not given:
            return
        if host.network_mode == "host" or host.network_mode.startswith("container:"):
            kind = "host type networking" if host.network_mode == "host" else "container type network"
            raise InvalidArgument(
                f"conflicting options: {kind} can't be used with links. This would result in undefined behavior"
            )
        if host.network_mode == "bridge":
            record.links = dict(self._settled(text) for text in given)
            return
        endpoint = (record.networking.endpoints_config or {}).get(host.network_mode)
        if endpoint is not None and not endpoint.links:
            endpoint.links = given

    def of(self, container: Container) -> list[Link]:
        """The links of a container; those whose target is gone are left out."""
        found = []
        for alias, target in container.record.links.items():
            if target in self._registry:
                found.append(Link(alias, self._registry.get(target)))
        return found

    def running(self, container: Container) -> list[Link]:
        """As ``of``, for a start. Raises Conflict, in Docker's words, when a target does not run."""
        links = self.of(container)
        for link in links:
            if not link.target.running:
                raise Conflict(
                    f"Cannot link to a non running container: /{link.target.name} AS /{container.name}/{link.alias}"
                )
        return links

    def shown(self, container: Container) -> list[str] | None:
        """As ``HostConfig.Links`` of an inspection."""
        return [f"/{link.target.name}:/{container.name}/{link.alias}" for link in self.of(container)] or None

    def names_of(self, target: Container) -> list[str]:
        """What others call a container: ``/other/alias``."""
        links = ((other, link) for other in self.users(target) for link in self.of(other))
        return [f"/{other.name}/{link.alias}" for other, link in links if link.target is target]

    def users(self, target: Container) -> Iterator[Container]:
        """The containers that link to one."""
        for identity in self._registry.linked_to(target.id):
            yield self._registry.get(identity)

    async def remove(self, text: str) -> None:
        """Remove the link ``container/alias``. Raises NotFound, and Conflict for a container's own name."""
        parent, _, alias = text.strip("/").partition("/")
        container = self._registry.get(parent)
        if not alias:
            raise Conflict("Conflict, cannot remove the default link name of the container")
        async with self._registry.locked(container):
            if alias not in container.record.links:
                raise NotFound(f"No such container: {text}")
            target = container.record.links.pop(alias)
            self._registry.unlink(container, target)
            await self._registry.save(container)
            if target in self._registry and target not in container.record.links.values():
                ends = self.addresses(container), self.addresses(self._registry.get(target))
                await self._connectivity.forbid(zip(*ends, strict=True))

    def environment(self, container: Container) -> list[str]:
        """The variables about every target that runs."""
        found: list[str] = []
        for link in self.of(container):
            if address := self.addresses(link.target)[0]:
                found += variables(container.name, link, address)
        return found

    def hosts(self, container: Container) -> list[tuple[str, str]]:
        """The lines of /etc/hosts about every target that runs."""
        found = []
        for link in self.of(container):
            ends = zip(self.addresses(container), self.addresses(link.target), strict=True)
            found += [(target, host_names(link)) for own, target in ends if own and target]
        return found

    def addresses(self, container: Container) -> tuple[str, str]:
        """Its addresses of IPv4 and IPv6 on the default bridge; "" for what it has not."""
        network = self._connectivity.default_network()
        for endpoint in self._connectivity.endpoints(container):
            if endpoint.network == network:
                return endpoint.address4, endpoint.address6
        return "", ""

    def _settled(self, text: str) -> tuple[str, str]:
        name, alias = split_link(text)
        if not name:
            raise InvalidArgument('could not get container for : invalid name or ID supplied: ""')
        try:
            target = self._registry.get(name)
        except NotFound as error:
            raise InvalidArgument(f"could not get container for {name}: {error.message}") from error
        if network_mode(target) in MODES:
            raise InvalidArgument(
                "conflicting options: host type networking can't be used with links. "
                "This would result in undefined behavior"
            )
        return alias, target.id


def host_names(link: Link) -> str:
    """The names of a line in /etc/hosts: alias, host name, and name unless that is the alias."""
    names = [link.alias, link.target.record.config.hostname]
    return " ".join([*names, *([link.target.name] if link.target.name != link.alias else [])])


def variables(parent: str, link: Link, address: str) -> list[str]:
    """``DB_PORT_80_TCP_ADDR`` and the like: one set for each port, one for each range, then the environment."""
    config = link.target.record.config
    prefix = link.alias.upper().replace("-", "_")
    ports = sorted(split_port(key) for key in config.exposed_ports or {})
    found = [f"{prefix}_NAME=/{parent}/{link.alias}"]
    if ports:
        number, protocol = next((port for port in ports if port[1] == "tcp"), ports[0])
        found.append(f"{prefix}_PORT={protocol}://{address}:{number}")
    for first, last, protocol in ranges(ports):
        found += _of_range(prefix, address, first, last, protocol)
    for number, protocol in ports:
        at = f"{prefix}_PORT_{number}_{protocol.upper()}"
        found += [
            f"{at}={protocol}://{address}:{number}",
            f"{at}_ADDR={address}",
            f"{at}_PORT={number}",
            f"{at}_PROTO={protocol}",
        ]
    told = (entry for entry in config.env or [] if entry.partition("=")[0] not in _UNTOLD)
    return found + [f"{prefix}_ENV_{entry}" for entry in told]


def ranges(ports: Iterable[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """Runs of adjacent ports of one protocol, longer than one port."""
    found: list[tuple[int, int, str]] = []
    for number, protocol in sorted(ports, key=lambda port: (port[1], port[0])):
        if found and found[-1][1:] == (number - 1, protocol):
            found[-1] = (found[-1][0], number, protocol)
        else:
            found.append((number, number, protocol))
    return [run for run in found if run[0] < run[1]]


def _of_range(prefix: str, address: str, first: int, last: int, protocol: str) -> list[str]:
    at = f"{prefix}_PORT_{first}_{protocol.upper()}"
    return [
        f"{at}_START={protocol}://{address}:{first}",
        f"{at}_END={protocol}://{address}:{last}",
        f"{at}_PORT_START={first}",
        f"{at}_PORT_END={last}",
    ]
