"""The networks without links: ``host`` (the host's own namespace) and ``none`` (a namespace with nothing in it)."""

from collections.abc import Sequence

from cove.network.driver import Interface
from cove.network.records import EndpointRecord, NetworkRecord


class NullDriver:
    """Keeps a record of who is on the network, and makes nothing."""

    addressed = False
    user_networks = False

    async def start_network(self, network: NetworkRecord) -> None:
        return

    async def stop_network(self, network: NetworkRecord) -> None:
        return

    def host_link(self) -> str:
        return ""

    async def attach(self, network: NetworkRecord, endpoint: EndpointRecord, namespace: int) -> Interface | None:
        return None

    async def detach(self, network: NetworkRecord, endpoint: EndpointRecord) -> None:
        return

    async def reconcile(self, network: NetworkRecord, endpoints: Sequence[EndpointRecord]) -> list[EndpointRecord]:
        return []
