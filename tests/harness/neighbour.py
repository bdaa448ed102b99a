"""Another machine beside the engine's: a namespace that a veth pair joins to the daemon's."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from harness.engine import FETCH, Engine
from harness.netns import NetworkNamespace

HOST4, HOST6 = "192.0.2.1", "2001:db8:5::1"
"""The engine's addresses on the link between the two."""


class Neighbour(NetworkNamespace):
    """192.0.2.2 and 2001:db8:5::2."""

    def page(self, url: str, seconds: int = 10) -> str:
        """What it gets from a URL; "" when there is no answer."""
        fetch = ["timeout", str(seconds), sys.executable, "-I", "-c", FETCH, url]
        return self.run(fetch, check=False).stdout

    def route(self, destination: str) -> None:
        """Send a range of addresses to the engine's machine."""
        by = HOST6 if ":" in destination else HOST4
        self.run(["ip", "route", "replace", destination, "via", by])


@contextmanager
def neighbour(engine: Engine) -> Iterator[Neighbour]:
    """The other machine, while the context lasts."""
    namespace = Neighbour(f"{engine.name}-n")
    try:
        engine.netns.run(f"ip link add beside type veth peer name eth0 netns {namespace.name}".split())
        for side, link, last in ((engine.netns, "beside", 1), (namespace, "eth0", 2)):
            side.run(f"ip addr add 192.0.2.{last}/24 dev {link}".split())
            side.run(f"ip addr add 2001:db8:5::{last}/64 dev {link} nodad".split())
            side.run(f"ip link set {link} up".split())
        yield namespace
    finally:
        namespace.delete()
