"""Follows a packet that is never sent, from a container to where it is to go, and says what stands in between.

The way is that of the kernel: the container's routes, its link and the bridge, then what the host does: translation,
routes, rules; at last whether somebody listens. Our records say who is meant; the kernel says the rest, so that what
somebody else has changed is found as well. Blocks, and is for a thread.
"""

import contextlib
from dataclasses import replace
from ipaddress import ip_address
from typing import NoReturn

from cove.kernel import proc_net
from cove.network.host_view import HostView, filters_bridged, forwards
from cove.network.kernel_ruleset import Rule, fits
from cove.network.packet import PROTOCOLS, Address, Packet
from cove.network.records import EndpointRecord, NetworkRecord, PortRecord
from cove.network.ruleset import USER_CHAIN
from cove.network.trace_world import Goal, Outcome, Party, Step, World
from cove.network.verdict import Walk

HOST = "self"
"""In place of a process id: the namespace of the daemon, which is the host's."""

_ANYWHERE = ("192.0.2.1", "2001:db8::1")


class Stopped(Exception):
    """The packet goes no further; the last step says why."""


def trace(world: World, host: HostView, origin: Party, goal: Goal) -> list[Step]:
    """The steps of the way, the last of which is a stop when there is one. Raises OSError."""
    tracer = _Tracer(world, host, origin, goal)
    with contextlib.suppress(Stopped):
        tracer.run()
    return tracer.steps


class _Tracer:
    def __init__(self, world: World, host: HostView, origin: Party, goal: Goal) -> None:
        self.steps: list[Step] = []
        self._world = world
        self._host = host
        self._origin = origin
        self._goal = goal

    def run(self) -> None:
        self._require_running(self._origin)
        if self._goal.party is not None:
            self._require_running(self._goal.party)
        self._ask_for_name()
        destination = self._destination()
        if destination.is_loopback or self._is_own(destination):
            self._pass("route", f"{destination} is {self._origin.name}'s own address")
            self._listening(self._origin, destination, self._goal.port)
            return
        if self._origin.mode == "host":
            self._from_host(destination)
            return
        self._leave(destination)

    # In the container

    def _require_running(self, party: Party) -> None:
        if not party.pid:
            self._stop("container", f"{party.name} is not running", "not-running")

    def _ask_for_name(self) -> None:
        policy, name = self._origin.policy, self._goal.name
        if name and policy is not None and not policy.learns and policy.ports_of(name) is None:
            self._stop("name", f"the egress policy of {self._origin.name} does not allow {name}", "egress")
        if name and not self._goal.addresses:
            self._stop("name", f"{name} is no container, and no server knows an address of it", "unknown-name")
        if name:
            self._pass("name", f"{name} is {', '.join(map(str, self._goal.addresses))}")

    def _destination(self) -> Address:
        """The address to go to: on a network that both are on, if there is one."""
        if self._goal.party is None:
            return self._goal.addresses[0]
        if self._goal.party is self._origin or (self._goal.party.mode == self._origin.mode == "host"):
            return ip_address("127.0.0.1")
        if self._goal.party.mode == "host":
            return self._gateway()
        return self._address_of(self._goal.party)

    def _address_of(self, party: Party) -> Address:
        if party.mode == "none" or not party.endpoints:
            self._stop("container", f"{party.name} is on no network", "no-network")
        shared = [endpoint for endpoint in party.endpoints if self._origin.on(endpoint.network)]
        if shared:
            self._pass("network", f"both are on {self._world.network(shared[0]).name}")
        elif self._origin.mode == "linked":
            networks = ", ".join(self._world.network(endpoint).name for endpoint in party.endpoints)
            self._unsure("network", f"no network in common: {party.name} is on {networks}")
        return ip_address((shared or list(party.endpoints))[0].addresses[0])

    def _gateway(self) -> Address:
        """Where the container reaches the host."""
        found = (proc_net.route_to(self._origin.pid, ip_address(anywhere)) for anywhere in _ANYWHERE)
        gateways = [route.gateway for route in found if route is not None and route.gateway is not None]
        if not gateways:
            self._stop("route", f"{self._origin.name} has no route to the host", "no-route")
        return gateways[0]

    def _is_own(self, address: Address) -> bool:
        return any(str(address) in endpoint.addresses for endpoint in self._origin.endpoints)

    def _leave(self, destination: Address) -> None:
        """From the container to the host, or to its neighbour."""
        route = proc_net.route_to(self._origin.pid, destination)
        endpoint = next((held for held in self._origin.endpoints if route and held.interface == route.link), None)
        if route is None or endpoint is None:
            self._no_route(destination)
        network = self._world.network(endpoint)
        by = f" by way of {route.gateway}" if route.gateway else ""
        self._pass("route", f"{self._origin.name} sends it out of {route.link}, on the network {network.name}{by}")
        if network.driver != "bridge":
            self._beside(network, endpoint, destination)
            return
        self._plugged(self._origin, endpoint)
        packet = self._packet(endpoint.address6 if destination.version == 6 else endpoint.address4, destination)
        entered = self._host.walk_bridge("prerouting", replace(packet, incoming=endpoint.host_link))
        self._judge(entered)
        mate = self._world.owner(network.id, destination)
        if mate is not None and (route.gateway is None or not network.icc):
            self._across(network, endpoint, *mate, packet)
            return
        self._to_gateway(network, route, replace(packet, incoming=network.link))

    def _no_route(self, destination: Address) -> NoReturn:
        networks = [self._world.network(endpoint) for endpoint in self._origin.endpoints]
        if not networks:
            self._stop("container", f"{self._origin.name} is on no network", "no-network")
        names = ", ".join(network.name for network in networks)
        if all(network.internal for network in networks):
            self._stop("route", f"{names} is internal, so that nothing leads to {destination}", "internal")
        self._stop("route", f"{self._origin.name} (on {names}) has no route to {destination}", "no-route")

    def _packet(self, source: str, destination: Address) -> Packet:
        number = PROTOCOLS[self._goal.protocol]
        if self._goal.protocol == "icmp" and destination.version == 6:
            number = PROTOCOLS["ipv6-icmp"]
        if not source:
            self._stop("route", f"{self._origin.name} has no IPv{destination.version} address there", "no-route")
        return Packet(ip_address(source), destination, number, self._goal.port)

    def _plugged(self, party: Party, endpoint: EndpointRecord) -> None:
        """The link of an endpoint on the host is there, up, and on its bridge."""
        network = self._world.network(endpoint)
        bridge, link = self._host.links.get(network.link), self._host.links.get(endpoint.host_link)
        if bridge is None or not bridge.up:
            words = "is not there" if bridge is None else "is down"
            self._stop("link", f"the bridge {network.link} of {network.name} {words}", "link")
        if link is None or not link.up or link.master != bridge.index:
            words = "is not there" if link is None else "is down" if not link.up else f"is not on {network.link}"
            self._stop("link", f"the link {endpoint.host_link} of {party.name} {words}", "link")

    def _beside(self, network: NetworkRecord, endpoint: EndpointRecord, destination: Address) -> None:
        """On a network of the host's own neighbours the host has no part."""
        mode = network.options.get(f"{network.driver}_mode", "")
        owner = self._world.owner(network.id, destination)
        if owner is None:
            if (found := self._host.route(destination)) is not None and found[1]:
                self._stop("network", f"{network.name} ({network.driver}) does not lead to its own host", "driver")
            self._beyond(f"it leaves by {network.parent}")
            return
        if mode == "private":
            self._stop("network", f"{network.name} is in the mode private: its containers do not talk", "icc")
        self._pass("network", f"{network.name} ({network.driver}) leads there")
        self._listening(owner[0], destination, self._goal.port)

    # On a bridge

    def _across(
        self, network: NetworkRecord, ours: EndpointRecord, party: Party, theirs: EndpointRecord, packet: Packet
    ) -> None:
        """From one port of a bridge to another."""
        if not network.icc:
            if self._linked(packet):
                self._pass("link", f"a link of {self._origin.name} leads to {party.name}, by the host")
                self._arrive(replace(packet, incoming=network.link))
                return
            self._stop("network", f"containers of {network.name} may not talk to each other (enable_icc)", "icc")
        self._plugged(party, theirs)
        self._judge(
            self._host.walk_bridge("forward", replace(packet, incoming=ours.host_link, outgoing=theirs.host_link))
        )
        if filters_bridged(packet.source.version):
            for hook in ("prerouting", "forward"):
                inside = replace(packet, incoming=network.link, outgoing=network.link if hook == "forward" else "")
                self._judge(self._host.walk(hook, inside))
        self._pass("bridge", f"{network.link} takes it to {party.name} at {packet.destination}")
        self._listening(party, packet.destination, packet.port)

    def _linked(self, packet: Packet) -> bool:
        """``--link`` lets it pass between containers that may not talk."""
        flow = (packet.source, packet.destination, packet.protocol, packet.port)
        elements = self._host.ruleset.sets.get(("inet", self._world.tables[0], f"linked{packet.source.version}"), [])
        return any(fits(element, flow) for element in elements)

    def _to_gateway(self, network: NetworkRecord, route: proc_net.Route, packet: Packet) -> None:
        step = route.gateway or packet.destination
        led = self._host.route(step)
        if led is None or not led[1]:
            if route.gateway is None:
                self._stop("network", f"nobody on {network.name} has {packet.destination}", "nobody-there")
            self._beyond(f"the gateway {step} of {network.name} is another machine")
            return
        self._arrive(packet)

    # On the host

    def _from_host(self, destination: Address) -> None:
        route = self._host.route(destination)
        if route is None:
            self._stop("route", f"the host has no route to {destination}", "no-route")
        packet = replace(self._packet(str(destination), destination), outgoing=route[0], local=route[1])
        sent = self._host.walk("output", packet)
        self._judge(sent)
        self._onwards(replace(sent.packet, incoming=""))

    def _arrive(self, packet: Packet) -> None:
        """At the host, from one of its bridges."""
        route = self._host.route(packet.destination)
        entered = self._host.walk("prerouting", replace(packet, local=route is not None and route[1]))
        self._judge(entered)
        self._onwards(entered.packet)

    def _onwards(self, packet: Packet) -> None:
        if packet.translated:
            self._pass("translation", f"the published port leads to {_place(packet.destination, packet.port)}")
        route = self._host.route(packet.destination)
        if route is None:
            self._stop("route", f"the host has no route to {packet.destination}", "no-route")
        link, local = route
        if local:
            self._into_host(replace(packet, local=True))
            return
        if packet.incoming:
            packet = self._forwarded(replace(packet, outgoing=link))
        self._out(packet, link)

    def _forwarded(self, packet: Packet) -> Packet:
        version = packet.source.version
        if not forwards(version):
            self._stop("host", f"the host does not forward IPv{version} between its links", "forwarding")
        host = self._host
        if self._goal.name and self._allowed_by_name():
            host = host.with_opened(self._world.tables[1], packet.source, packet.destination)
        self._judge(host.walk("forward", packet))
        return packet

    def _allowed_by_name(self) -> bool:
        """The address will be open once the container asks for the name."""
        policy = self._origin.policy
        ports = policy.ports_of(self._goal.name) if policy is not None else None
        return ports is not None and (not ports or self._goal.service in ports)

    def _out(self, packet: Packet, link: str) -> None:
        """From the host to one of its bridges, or away."""
        if (network := self._world.bridges.get(link)) is not None:
            owner = self._world.owner(network.id, packet.destination)
            if owner is None:
                self._stop("network", f"nobody on {network.name} has {packet.destination}", "nobody-there")
            self._plugged(*owner)
            self._pass("bridge", f"{link} takes it to {owner[0].name} at {packet.destination}")
            self._listening(owner[0], packet.destination, packet.port)
            return
        left = self._host.walk("postrouting", replace(packet, outgoing=link))
        self._judge(left)
        under = "under the host's address" if left.masqueraded else f"under its own address {packet.source}"
        self._beyond(f"it leaves the host by {link}, {under}" if packet.incoming else f"it leaves by {link}")

    def _into_host(self, packet: Packet) -> None:
        """To a program of the host, which may be the daemon's relay of a published port."""
        self._judge(self._host.walk("input", packet))
        port = self._world.published(self._goal.protocol, packet.destination, packet.port)
        if port is None:
            self._listening(None, packet.destination, packet.port)
            return
        party = self._world.party_at(port)
        if party is None or not (port.relayed or self._muted(packet)):
            self._stop("translation", f"no rule leads the published port {packet.port} to its container", "rule")
        self._pass("relay", f"the daemon carries it to {party.name}, port {port.container_port}")
        self._listening(party, ip_address(port.target), port.container_port)

    def _muted(self, packet: Packet) -> bool:
        network = self._world.bridges.get(packet.incoming)
        return network is not None and not network.icc

    # At the end

    def _listening(self, party: Party | None, address: Address, port: int) -> None:
        """Whether a program waits there; ``party``: None for the host."""
        name = party.name if party else "the host"
        if not port:
            self._pass("program", f"{name} answers")
            return
        if self._goal.protocol == "sctp":
            self._unsure("program", f"whether {name} listens on {port}/sctp cannot be seen")
            return
        found = proc_net.listeners(party.pid if party else HOST, self._goal.protocol)
        if any(each.port == port and _takes(each.address, address) for each in found):
            self._pass("program", f"a program of {name} listens on {port}/{self._goal.protocol}")
            return
        elsewhere = sorted({str(each.address) for each in found if each.port == port})
        if elsewhere:
            where = ", ".join(elsewhere)
            self._stop("program", f"{name} listens on port {port} at {where} only, not at {address}", "wrong-address")
        others = sorted({each.port for each in found if not each.address.is_loopback})
        instead = f"; it does on {', '.join(map(str, others[:8]))}" if others and party is not None else ""
        self._stop("program", f"nothing in {name} listens on {port}/{self._goal.protocol}{instead}", "not-listening")

    def _beyond(self, text: str) -> None:
        self._pass("link", text)
        self._unsure("outside", "what other machines do with it cannot be seen from here")

    def _judge(self, done: Walk) -> None:
        """Stops at the rule that has dropped the packet."""
        for rule in done.unsure:
            self._unsure("rule", f"whether {self._quoted(rule)} concerns it cannot be told")
        if done.dropped is not None:
            reason, words = self._meaning(done.dropped, done.packet)
            self._stop("rule", f"{words}: {self._quoted(done.dropped)}", reason)

    def _quoted(self, rule: Rule) -> str:
        text = self._host.text(rule)
        return f"{rule.where} {text}" if text else rule.where

    def _meaning(self, rule: Rule, packet: Packet) -> tuple[str, str]:
        """What a rule that drops stands for: a word for programs, and one for people."""
        own, egress = self._world.tables
        if rule.table == egress:
            return "egress", f"the egress policy of {self._origin.name} does not allow it"
        if rule.table != own:
            return "rule", "a rule that is not ours drops it"
        if rule.chain == USER_CHAIN:
            return "rule", "a rule of the administrator's drops it"
        if rule.chain == "raw":
            return "loopback", "what is on the host's loopback is not reached from elsewhere"
        if "@internal" in str(rule.expressions):
            link = packet.incoming if "iifname" in str(rule.expressions) else packet.outgoing
            return "internal", f"{self._called(link)} is internal"
        apart = f"{self._called(packet.incoming)} and {self._called(packet.outgoing)} are kept apart"
        return "apart", apart if packet.incoming in self._world.bridges else "the port is not published"

    def _called(self, link: str) -> str:
        network = self._world.bridges.get(link)
        return network.name if network else link

    def _pass(self, what: str, text: str) -> None:
        self._add("pass", what, text)

    def _unsure(self, what: str, text: str) -> None:
        self._add("unsure", what, text)

    def _stop(self, what: str, text: str, reason: str) -> NoReturn:
        self._add("stop", what, text, reason)
        raise Stopped

    def _add(self, outcome: Outcome, what: str, text: str, reason: str = "") -> None:
        self.steps.append(Step(outcome, what, text, reason))


def _takes(bound: Address, address: Address) -> bool:
    """Whether a socket that is bound to one address is reached at another; ``::`` takes IPv4 as well."""
    return bound == address or (bound.is_unspecified and bound.version >= address.version)


def _place(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def hint(world: World, origin: Party, goal: Goal, reason: str) -> str:
    """What could be done about a stop, "" where there is nothing to say."""
    party = goal.party
    if party is None or reason not in ("apart", "internal", "no-route", "icc"):
        return ""
    port = next((port for port in party.ports if port.container_port == goal.port and not port.routed), None)
    return _published(port) if port is not None else _connecting(world, origin, party, reason)


def _published(port: PortRecord) -> str:
    return f"port {port.container_port} is published: use an address of the host and port {port.port}"


def _connecting(world: World, origin: Party, party: Party, reason: str) -> str:
    named = [world.network(endpoint) for endpoint in party.endpoints]
    user = next((network.name for network in named if not network.predefined), "")
    if reason == "icc" or not user or party.mode != "linked" or origin.mode != "linked":
        return ""
    return f"cove network connect {user} {origin.name}"
