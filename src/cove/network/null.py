"""The networks without links: ``host`` (the host's own namespace) and ``none`` (a namespace with nothing in it)."""

from collections.abc import Sequence

from cove.network.driver import Interface
from cove.network.records import EndpointRecord, NetworkRecord


class NullDriver:
    """Keeps a record of who is on the network, and makes nothing."""

    addressed = False
    user_networks = False
    routed_by_host = False
    own_mac = False

    async def settle(self, network: NetworkRecord, others: Sequence[NetworkRecord]) -> NetworkRecord:
        return network

    async def start_network(self, network: NetworkRecord) -> None:
        return

    async def stop_network(self, network: NetworkRecord) -> None:
        return

    def host_link(self) -> str:
        return ""

    def host_links(self, network: NetworkRecord) -> tuple[str, ...]:
        return ()

    def gateways(self, network: NetworkRecord, endpoint: EndpointRecord) -> tuple[str | None, str | None]:
        return None, None

    async def attach(self, network: NetworkRecord, endpoint: EndpointRecord, namespace: int) -> Interface | None:
        return None

    async def detach(self, network: NetworkRecord, endpoint: EndpointRecord) -> None:
        return

    async def reconcile(self, network: NetworkRecord, endpoints: Sequence[EndpointRecord]) -> list[EndpointRecord]:
        return []
