"""Networks: drivers, address pools, firewall and published ports, for the host's side of a container's network.

May import ``errors``, ``kernel`` and ``store``. Start reading at ``networks``, the front that the engine uses;
``driver`` is the seam to ``bridge`` and ``sublinks``, which make links; ``firewall`` owns one nftables table,
``addresses`` and ``ports`` hand out what must be unique, ``allocations`` knows who has it.
"""

from cove.network.catalogue import check_default_network
from cove.network.driver import Driver, Interface
from cove.network.egress_policy import EgressPolicy, parse_policy
from cove.network.endpoints import Allocation, EndpointRequest
from cove.network.firewall import LinkedFlow
from cove.network.gateways import Gateways
from cove.network.networks import Networks, Restored
from cove.network.ports import PortRequest, check_request
from cove.network.reached import Destination, Reached, allowing, destinations
from cove.network.records import DEFAULT_MTU, PUBLISH_MODES, EndpointRecord, NetworkRecord, Pool, PortRecord
from cove.network.settings import DOCKER_POOLS, NetworkSettings
from cove.network.trace_target import Target, parse_target
from cove.network.trace_world import Goal, Mode, Party

__all__ = [
    "DEFAULT_MTU",
    "DOCKER_POOLS",
    "PUBLISH_MODES",
    "Allocation",
    "Destination",
    "Driver",
    "EgressPolicy",
    "EndpointRecord",
    "EndpointRequest",
    "Gateways",
    "Goal",
    "Interface",
    "LinkedFlow",
    "Mode",
    "NetworkRecord",
    "NetworkSettings",
    "Networks",
    "Party",
    "Pool",
    "PortRecord",
    "PortRequest",
    "Reached",
    "Restored",
    "Target",
    "allowing",
    "check_default_network",
    "check_request",
    "destinations",
    "parse_policy",
    "parse_target",
]
