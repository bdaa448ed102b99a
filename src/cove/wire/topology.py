"""Networks as a picture, and the way of a packet: extensions of ours."""

from typing import ClassVar

from cove.wire.base import Wire


class GraphMember(Wire):
    """A container's place on a network. ``addresses``: without prefix lengths; none while it does not run."""

    container: str
    name: str
    interface: str
    addresses: list[str]
    aliases: list[str]


class GraphNetwork(Wire):
    """``link``: the bridge or the parent on the host, "" where there is none. ``icc``: its containers may talk."""

    id: str
    name: str
    driver: str
    link: str
    subnets: list[str]
    internal: bool
    icc: bool
    members: list[GraphMember]


class GraphContainer(Wire):
    """``network_mode``: as asked for. ``ports``: as ``docker port`` shows them. ``egress``: the policy, or ``none``."""

    id: str
    name: str
    status: str
    network_mode: str
    ports: list[str]
    egress: str


class NetworkGraph(Wire):
    networks: list[GraphNetwork]
    containers: list[GraphContainer]


class TraceStep(Wire):
    """``outcome``: pass, stop, or unsure. ``what``: network, route, link, rule, program … ``text``: for people."""

    outcome: str
    what: str
    text: str


class NetworkTrace(Wire):
    """``reason``: one word for the stop, "" where there is none. ``hint``: what could be done about it."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"hint"})

    origin: str
    target: str
    reached: bool
    reason: str
    steps: list[TraceStep]
    hint: str = ""
