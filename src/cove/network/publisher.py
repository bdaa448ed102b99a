"""Published ports as a whole: claims and sockets, firewall elements, the relay, and flows that must not stay."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from cove.kernel import conntrack
from cove.kernel.rtnetlink import RouteSocket
from cove.network.firewall import Firewall
from cove.network.ports import WILDCARDS, HostPorts
from cove.network.records import PortRecord
from cove.network.relay import Relay

log = logging.getLogger(__name__)


class Publisher:
    """Makes claimed ports reachable, and unreachable again. ``ports``: who holds what.

    ``turned_away``: senders that the relay carries nothing for, by their addresses and links.
    """

    def __init__(self, firewall: Firewall, ports: HostPorts, *, turned_away: Callable[[str, str], bool]) -> None:
        self.ports = ports
        self._firewall = firewall
        self._relay = Relay(turned_away)

    async def publish(self, ports: Iterable[PortRecord]) -> None:
        """Lead claimed ports to their containers. Raises OSError when the kernel refuses."""
        ports = tuple(ports)
        await self._firewall.publish(ports)
        self._listen(ports)
        await _forget_flows(ports)

    async def withdraw(self, ports: Iterable[PortRecord]) -> None:
        """Undo ``publish``; the ports stay claimed until ``ports.release``."""
        ports = tuple(ports)
        for port in ports:
            if (listener := self.ports.listener(port)) is not None:
                self._relay.stop(listener)
        try:
            await self._firewall.withdraw(ports)
        except OSError as error:  # what must go is noted: the next transaction replaces the table
            log.error("firewall: cannot withdraw ports: %s", error)
        await _forget_flows(ports)

    def restore(self, ports: Iterable[PortRecord]) -> None:
        """Hold and relay ports that the database has and the firewall leads already."""
        ports = tuple(ports)
        self.ports.restore(ports)
        self._listen(ports)

    async def close(self) -> None:
        await self._relay.close()
        self.ports.close()

    def _listen(self, ports: Iterable[PortRecord]) -> None:
        for port in ports:
            if (listener := self.ports.listener(port)) is not None:
                self._relay.start(listener, port)


async def _forget_flows(ports: Iterable[PortRecord]) -> None:
    """A UDP flow has no end: one that began before a change would go on to where it went before."""
    published = [port for port in ports if port.protocol == "udp"]
    if not published:
        return
    try:
        await asyncio.to_thread(_forget_flows_to, published)
    except OSError as error:
        log.warning("connection tracker: %s", error)


def _forget_flows_to(published: Sequence[PortRecord]) -> None:
    """Those to the host's addresses: what goes to the same port of another machine stays."""
    with RouteSocket() as route:

        def of_host(address: conntrack.Address) -> bool:
            try:
                return route.route_to(address)[1]
            except OSError:
                return False

        def concerned(address: conntrack.Address, number: int) -> bool:
            at = [port.address for port in published if port.port == number]
            return str(address) in at or (WILDCARDS[address.version == 6] in at and of_host(address))

        conntrack.forget_udp(concerned)
