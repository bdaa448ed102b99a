"""Who is called what on which network: the names of all running containers on user networks."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from cove.resolver.messages import Endpoint

Address = IPv4Address | IPv6Address


class Network:
    """The names on one network, and the addresses that they stand for, by container."""

    def __init__(self, name: str, subnets: list[str]) -> None:
        self.name = name.lower()
        self.subnets: list[IPv4Network | IPv6Network] = [ip_network(subnet, strict=False) for subnet in subnets]
        self.hosts: dict[str, list[Address]] = {}
        self.called: dict[str, dict[str, list[Address]]] = {}
        self.owners: dict[Address, str] = {}

    def add(self, container: str, names: list[str], addresses: list[Address]) -> None:
        self.hosts[container] = addresses
        for name in names:
            self.called.setdefault(name.lower(), {})[container] = addresses
        for address in addresses:
            self.owners[address] = names[0] if names else container[:12]

    def remove(self, container: str, names: list[str]) -> None:
        for address in self.hosts.pop(container, ()):
            self.owners.pop(address, None)
        for name in names:
            holders = self.called.get(name.lower(), {})
            holders.pop(container, None)
            if not holders:
                self.called.pop(name.lower(), None)

    def holds(self, address: Address) -> bool:
        return any(address in subnet for subnet in self.subnets)


class Names:
    """Networks by id. ``generation`` changes with every change, so that what was concluded earlier can be dropped."""

    def __init__(self) -> None:
        self.generation = 0
        self._networks: dict[str, Network] = {}
        self._placed: dict[str, list[Endpoint]] = {}

    def place(self, container: str, endpoints: list[Endpoint]) -> None:
        """Say where a container is, in place of what was said before. Raises ValueError (address), changing nothing."""
        parsed = [[ip_address(text) for text in endpoint["addresses"]] for endpoint in endpoints]
        networks = [Network(endpoint["network_name"], endpoint["subnets"]) for endpoint in endpoints]
        self.remove(container)
        for endpoint, fresh, addresses in zip(endpoints, networks, parsed, strict=True):
            network = self._networks.setdefault(endpoint["network"], fresh)
            network.name, network.subnets = fresh.name, fresh.subnets
            network.add(container, endpoint["names"], addresses)
        self._placed[container] = endpoints

    def remove(self, container: str) -> None:
        """Forget a container; networks that nobody is on are forgotten too."""
        self.generation += 1
        for endpoint in self._placed.pop(container, ()):
            network = self._networks[endpoint["network"]]
            network.remove(container, endpoint["names"])
            if not network.hosts:
                del self._networks[endpoint["network"]]

    def addresses(self, endpoints: list[Endpoint], name: str) -> list[Address] | None:
        """What ``name`` (lower case) stands for, to a container on ``endpoints``; None when it is none of ours.

        The whole name is tried on each network, then ``name.network`` for every place where it can be cut.
        """
        found = self._on(endpoints, name, None)
        dot = name.rfind(".")
        while found is None and dot > 0:
            found = self._on(endpoints, name[:dot], name[dot + 1 :])
            dot = name.rfind(".", 0, dot)
        return found

    def owner(self, endpoints: list[Endpoint], address: Address) -> str | None:
        """The name of an address on one of these networks; "" when it is of these networks and nobody's, else None."""
        for endpoint in endpoints:
            network = self._networks[endpoint["network"]]
            if (name := network.owners.get(address)) is not None:
                return f"{name}.{network.name}"
        ours = any(self._networks[endpoint["network"]].holds(address) for endpoint in endpoints)
        return "" if ours else None

    def _on(self, endpoints: list[Endpoint], name: str, network_name: str | None) -> list[Address] | None:
        for endpoint in endpoints:
            network = self._networks[endpoint["network"]]
            if network_name is not None and network.name != network_name:
                continue
            if (linked := _aliased(endpoint, name)) is not None and linked in network.hosts:
                return network.hosts[linked]
            if (holders := network.called.get(name)) is not None:
                return [address for addresses in holders.values() for address in addresses]
        return None


def _aliased(endpoint: Endpoint, name: str) -> str | None:
    aliases = endpoint["aliases"]
    return aliases.get(name) if aliases else None


def reversed_address(name: str) -> Address | None:
    """The address that a name below in-addr.arpa or ip6.arpa asks for; None when it is no whole one."""
    labels = name.split(".")
    try:
        if name.endswith(".in-addr.arpa") and len(labels) == 6:
            return IPv4Address(".".join(labels[3::-1]))
        if name.endswith(".ip6.arpa") and len(labels) == 34 and all(len(label) == 1 for label in labels[:32]):
            digits = "".join(labels[31::-1])
            return IPv6Address(":".join(digits[at : at + 4] for at in range(0, 32, 4)))
    except ValueError:
        return None
    return None
