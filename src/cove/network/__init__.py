"""Networks: drivers, address pools, firewall and published ports, for the host's side of a container's network.

May import ``errors``, ``kernel`` and ``store``. Start reading at ``networks``, the front that the engine uses;
``bridge`` makes links, ``firewall`` owns one nftables table, ``addresses`` and ``ports`` hand out what must be unique.
"""

from cove.network.driver import Driver, Interface
from cove.network.endpoints import Allocation, EndpointRequest
from cove.network.networks import Networks
from cove.network.ports import PortRequest, check_request
from cove.network.records import EndpointRecord, NetworkRecord, Pool, PortRecord
from cove.network.settings import NetworkSettings

__all__ = [
    "Allocation",
    "Driver",
    "EndpointRecord",
    "EndpointRequest",
    "Interface",
    "NetworkRecord",
    "NetworkSettings",
    "Networks",
    "Pool",
    "PortRecord",
    "PortRequest",
    "check_request",
]
