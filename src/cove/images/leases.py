"""What the garbage collector must leave alone although no image stands on it yet, or any more.

A lease is short: as long as a pull, a build or a load runs. A keeper is for as long as the daemon runs: whoever stands
on blobs or layers by records of its own, such as a build cache.
"""

from collections import Counter
from collections.abc import Callable, Iterable

Keeper = Callable[[], Iterable[str]]
"""Digests of blobs and chain ids of layers that somebody has a use for."""


class Lease:
    """What one piece of work needs to stay: digests of blobs and chain ids of layers, be they here yet or not."""

    def __init__(self, pins: Counter[str]) -> None:
        self._pins = pins
        self.kept: set[str] = set()

    def keep(self, *names: str) -> None:
        """Keep these until the lease ends. In the same turn of the event loop as a look whether they are here."""
        new = [name for name in dict.fromkeys(names) if name not in self.kept]
        self.kept.update(new)
        self._pins.update(new)

    def end(self) -> None:
        """Keep nothing any more."""
        self._pins.subtract(self.kept)
        for name in self.kept:
            if not self._pins[name]:
                del self._pins[name]
        self.kept = set()


class Leases:
    """All that is leased, and all keepers."""

    def __init__(self) -> None:
        self._pins: Counter[str] = Counter()
        self._keepers: list[Keeper] = []

    def begin(self) -> Lease:
        """A new lease that keeps nothing yet."""
        return Lease(self._pins)

    def ask(self, keeper: Keeper) -> None:
        """From now on, leave alone what ``keeper`` names whenever it is asked."""
        self._keepers.append(keeper)

    def kept(self) -> set[str]:
        """Everything that has to stay."""
        found = set(self._pins)
        for keeper in self._keepers:
            found.update(keeper())
        return found
