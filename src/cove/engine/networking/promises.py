"""Addresses that containers have asked for: theirs again at their next start, so nobody else's meanwhile."""

from collections import Counter
from collections.abc import Collection, Iterator
from ipaddress import ip_address

from cove.engine.containers.container import Container
from cove.network import NetworkRecord

Promise = tuple[str, int]
"""A network, by the name or id that the record has it under, and an address on it."""


class Promises:
    """What records ask for, as they were noted last; a start looks at no container."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Promise, ...]] = {}
        self._on: dict[str, Counter[int]] = {}

    def note(self, container: Container) -> None:
        """Remember what a container asks for now, in place of what it asked for before."""
        asked = tuple(_asked(container))
        if asked != self._of.get(container.id, ()):
            self.forget(container.id)
            self._of[container.id] = asked
            for network, address in asked:
                self._on.setdefault(network, Counter())[address] += 1

    def forget(self, container_id: str) -> None:
        for network, address in self._of.pop(container_id, ()):
            on = self._on[network]
            on[address] -= 1
            if not on[address]:
                del on[address]
            if not on:
                del self._on[network]

    def on(self, network: NetworkRecord) -> Collection[int]:
        """The addresses on a network, as numbers: of containers that do not run, and of those that have them."""
        by_name, by_id = self._on.get(network.name, Counter()), self._on.get(network.id, Counter())
        return by_name.keys() | by_id.keys() if by_id else by_name.keys()


def _asked(container: Container) -> Iterator[Promise]:
    """What is no address is refused when the container starts."""
    for network, settings in (container.record.networking.endpoints_config or {}).items():
        if settings is None or (asked := settings.ipam_config) is None:
            continue
        for text in filter(None, (asked.ipv4_address, asked.ipv6_address)):
            try:
                yield network, int(ip_address(text))
            except ValueError:
                continue
