"""Networks, and the attachment of containers to them: the package's front."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cove.network.driver import Interface
from cove.network.ports import PortRequest
from cove.network.records import EndpointRecord, NetworkRecord, Pool, PortRecord
from cove.network.settings import NetworkSettings
from cove.store import Database


@dataclass(frozen=True, kw_only=True)
class EndpointRequest:
    """A container's wish to be on a network. ``network``: its name, id or unambiguous start of an id.

    "" means: choose. ``address4``/``address6`` are refused on the default bridge, as Docker does.
    """

    network: str
    address4: str = ""
    address6: str = ""
    mac: str = ""
    interface: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Allocation:
    """What a container has while it runs: endpoints in the order asked for, and its published ports."""

    endpoints: tuple[EndpointRecord, ...]
    ports: tuple[PortRecord, ...]


class Networks:
    """All networks of one daemon. Used from one event loop; open, then reconcile, then the rest in any order."""

    def __init__(self, database: Database, settings: NetworkSettings) -> None: ...

    async def open(self) -> None:
        """Read the records, make the predefined networks, bridges and firewall, reserve published ports again.

        What the database says is in use stays in use, whether its container lives or not, until ``reconcile``.
        Raises OSError when the kernel refuses, InvalidArgument when ``bip`` cannot be used.
        """

    async def reconcile(self, running: Mapping[str, int]) -> dict[str, list[Interface]]:
        """Release what containers other than ``running`` had, and give back links that running ones have lost.

        ``running``: container id to a descriptor of its network namespace (the caller's to close). Returns the
        restored interfaces by container id, for ``ConfigureNetwork``.
        """
        raise NotImplementedError

    def list(self) -> list[NetworkRecord]:
        """All networks, in the order of their creation."""
        raise NotImplementedError

    def get(self, reference: str) -> NetworkRecord:
        """A network by id, name or unambiguous start of an id. Raises NotFound, or Conflict when ambiguous."""
        raise NotImplementedError

    async def create(
        self,
        name: str,
        *,
        driver: str = "bridge",
        pools: Sequence[Pool] = (),
        options: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        internal: bool = False,
        attachable: bool = False,
        ipv6: bool = False,
    ) -> NetworkRecord:
        """Make a network. ``pools`` with an empty gateway get their first address as gateway; none: choose a subnet."""
        raise NotImplementedError

    async def remove(self, reference: str) -> NetworkRecord:
        """Remove a network. Raises Forbidden when it is predefined or has endpoints."""
        raise NotImplementedError

    def endpoints_on(self, network_id: str) -> list[EndpointRecord]:
        """The endpoints on a network, by container id: what ``network inspect`` shows."""
        raise NotImplementedError

    def allocation(self, container_id: str) -> Allocation:
        """What a container has now; empty for a stopped or unknown one."""
        raise NotImplementedError

    async def allocate(
        self,
        container_id: str,
        name: str,
        requests: Sequence[EndpointRequest],
        ports: Iterable[PortRequest] = (),
    ) -> Allocation:
        """Take addresses and host ports for a start, in one commit; firewall included. Needs no namespace yet.

        Called again for a container that has an allocation, it releases that one first. On any error nothing is taken.
        Raises NotFound (network), InvalidArgument (address, port), Conflict with Docker's words for a taken port
        or address, Unavailable when the network has no address left.
        """
        raise NotImplementedError

    async def attach(self, endpoint: EndpointRecord, namespace: int) -> Interface | None:
        """Put the link of an endpoint into a network namespace; None for networks without links (host, none)."""
        raise NotImplementedError

    async def connect(self, container_id: str, name: str, request: EndpointRequest) -> EndpointRecord:
        """Add an endpoint to a running container; ``attach`` follows. Raises as ``allocate``, Conflict if it has one."""
        raise NotImplementedError

    async def disconnect(self, container_id: str, reference: str) -> EndpointRecord:
        """Remove one endpoint and its link from a running container. Raises NotFound when it has none there."""
        raise NotImplementedError

    async def release(self, container_id: str) -> None:
        """Give back all that a container had. Links die with the namespace. Does nothing the second time."""

    async def close(self) -> None:
        """Stop the daemon's side: sockets and threads. Bridges and firewall stay for the running containers."""
