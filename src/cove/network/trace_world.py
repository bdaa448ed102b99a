"""What a trace starts from: who is where by our own records, who wants to reach whom, and the steps that are found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from cove.network.egress_policy import EgressPolicy
from cove.network.packet import Address
from cove.network.records import EndpointRecord, NetworkRecord, PortRecord

Outcome = Literal["pass", "stop", "unsure"]
Mode = Literal["linked", "host", "none"]


@dataclass(frozen=True)
class Step:
    """``what``: the kind of thing that was looked at. ``reason``: of a stop, one word for programs."""

    outcome: Outcome
    what: str
    text: str
    reason: str = ""


@dataclass(frozen=True)
class Party:
    """A container. ``pid``: of a process in its network namespace, 0 while it does not run."""

    name: str
    pid: int = 0
    mode: Mode = "linked"
    endpoints: tuple[EndpointRecord, ...] = ()
    ports: tuple[PortRecord, ...] = ()
    policy: EgressPolicy | None = None

    def on(self, network_id: str) -> EndpointRecord | None:
        return next((endpoint for endpoint in self.endpoints if endpoint.network == network_id), None)


@dataclass(frozen=True)
class Goal:
    """Where a packet is to go. ``text``: as the user said it. ``party``: a container, ``addresses``: of what is none.

    ``protocol``: tcp, udp, sctp, or icmp without a port. ``name``: a domain name that stands for the addresses.
    """

    text: str
    protocol: str
    port: int = 0
    party: Party | None = None
    addresses: Sequence[Address] = ()
    name: str = ""

    @property
    def service(self) -> str:
        """``80/tcp``."""
        return f"{self.port}/{self.protocol}" if self.port else self.protocol


@dataclass(frozen=True)
class World:
    """``tables``: our own in nftables, that of networks and that of egress policies."""

    networks: Mapping[str, NetworkRecord]
    parties: Sequence[Party]
    tables: tuple[str, str]
    bridges: Mapping[str, NetworkRecord] = field(default_factory=dict)

    def owner(self, network_id: str, address: Address) -> tuple[Party, EndpointRecord] | None:
        """Who has an address on a network."""
        for party in self.parties:
            for endpoint in party.endpoints:
                if endpoint.network == network_id and str(address) in endpoint.addresses:
                    return party, endpoint
        return None

    def somewhere(self, address: Address) -> tuple[Party, EndpointRecord] | None:
        """Who has an address on any network."""
        found = (self.owner(network_id, address) for network_id in self.networks)
        return next(filter(None, found), None)

    def published(self, protocol: str, address: Address, port: int) -> PortRecord | None:
        """The published port that an address of the host and a port belong to."""
        family = "::" if address.version == 6 else "0.0.0.0"
        fitting = (
            record
            for party in self.parties
            for record in party.ports
            if (record.protocol, record.port) == (protocol, port) and not record.routed
        )
        return next((record for record in fitting if record.address in (str(address), family)), None)

    def party_at(self, port: PortRecord) -> Party | None:
        found = self.somewhere(ip_address(port.target))
        return found[0] if found else None

    def network(self, endpoint: EndpointRecord) -> NetworkRecord:
        return self.networks[endpoint.network]
