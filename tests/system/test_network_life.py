"""A random life of networks and containers, with kills of the daemon in it, after which everything agrees.

What inspections say is compared with the links, addresses and routes in the containers and on the host, with the
firewall's elements and with the database's rows. ``COVE_TEST_SEEDS=1,2,3`` chooses the lives, ``COVE_TEST_STEPS=1000``
their length.
"""

import contextlib
import json
import os
import random
import sqlite3
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.waiting import eventually

pytestmark = [pytest.mark.needs("cove"), pytest.mark.timeout(900)]

SEEDS = [int(seed) for seed in os.environ.get("COVE_TEST_SEEDS", "1").split(",")]
STEPS = int(os.environ.get("COVE_TEST_STEPS", "250"))
BETWEEN_CHECKS = 50
NETWORKS = 5
CONTAINERS = 6


class Life:
    """What may happen. A request may be refused; it may not fail."""

    def __init__(self, daemon: Daemon, seed: int) -> None:
        self.daemon = daemon
        self.chance = random.Random(seed)
        self.done: dict[str, int] = {}
        self._steps: list[tuple[int, Callable[[], int]]] = [
            (3, self._create_network),
            (2, self._remove_network),
            (5, self._create_container),
            (8, self._connect),
            (6, self._disconnect),
            (5, lambda: self._ask("POST", f"/containers/{self._container()}/start")),
            (3, lambda: self._ask("POST", f"/containers/{self._container()}/restart?t=0")),
            (2, lambda: self._ask("POST", f"/containers/{self._container()}/kill")),
            (2, lambda: self._ask("POST", f"/containers/{self._container()}/pause")),
            (2, lambda: self._ask("POST", f"/containers/{self._container()}/unpause")),
            (2, lambda: self._ask("DELETE", f"/containers/{self._container()}?force=1")),
            (1, self._kill_daemon),
        ]

    def step(self) -> None:
        weights = [weight for weight, _step in self._steps]
        ((_weight, step),) = self.chance.choices(self._steps, weights)
        status = step()
        assert status < 500, f"{step}: {status}"
        name = getattr(step, "__name__", "request")
        self.done[name] = self.done.get(name, 0) + (status < 300)

    def _network(self) -> str:
        return f"n{self.chance.randrange(NETWORKS)}"

    def _container(self) -> str:
        return f"c{self.chance.randrange(CONTAINERS)}"

    def _ask(self, method: str, target: str, body: Any = None) -> int:
        answer = self.daemon.http(method, target, body)
        assert answer.status < 500, f"{method} {target} {body}: {answer.status} {answer.body!r}"
        return answer.status

    def _create_network(self) -> int:
        body = {
            "Name": self._network(),
            "Driver": self.chance.choice(["bridge", "bridge", "bridge", "macvlan"]),
            "EnableIPv6": self.chance.random() < 0.4,
            "Internal": self.chance.random() < 0.2,
        }
        return self._ask("POST", "/networks/create", body)

    def _remove_network(self) -> int:
        return self._ask("DELETE", f"/networks/{self._network()}")

    def _create_container(self) -> int:
        name = self._container()
        number = 18000 + int(name[1:])
        networks = [self._network() for _ in range(self.chance.randrange(1, 3))]
        body = {
            "Image": "busybox",
            "Cmd": ["sleep", "600"],
            "HostConfig": {
                "NetworkMode": networks[0] if self.chance.random() < 0.8 else "bridge",
                "PortBindings": {"80/tcp": [{"HostPort": str(number)}], "81/udp": [{"HostPort": str(number)}]},
            },
        }
        if body["HostConfig"]["NetworkMode"] != "bridge":
            body["NetworkingConfig"] = {"EndpointsConfig": {network: {} for network in networks}}
        status = self._ask("POST", f"/containers/create?name={name}", body)
        return self._ask("POST", f"/containers/{name}/start") if status == 201 else status

    def _connect(self) -> int:
        body = {"Container": self._container(), "EndpointConfig": {"GwPriority": self.chance.randrange(-1, 2)}}
        return self._ask("POST", f"/networks/{self._network()}/connect", body)

    def _disconnect(self) -> int:
        body = {"Container": self._container(), "Force": self.chance.random() < 0.3}
        return self._ask("POST", f"/networks/{self._network()}/disconnect", body)

    def _kill_daemon(self) -> int:
        """In the middle of something, half of the time."""
        if self.chance.random() < 0.5:
            self.daemon.kill9()
            self.daemon.start()
            return 200
        command = self.chance.choice(["connect", "disconnect"])
        target = ["docker", "network", command, self._network(), self._container()]
        with self.daemon.spawned(*target) as client:
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(self.chance.uniform(0.015, 0.06))  # the moment is the test's input
            self.daemon.kill9()
            self.daemon.start()
        return 200


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_random_life_everything_agrees(fresh_daemon: Daemon, seed: int) -> None:
    life = Life(fresh_daemon, seed)
    for number in range(1, STEPS + 1):
        life.step()
        if number % BETWEEN_CHECKS == 0 or number == STEPS:
            eventually(lambda: disagreements(fresh_daemon), lambda found: not found, seconds=15)
    assert sum(life.done.values()) > STEPS / 4, life.done  # it was a life


def disagreements(daemon: Daemon) -> list[str]:
    """Every place where what is there is not what inspections say; none is well."""
    containers = [
        daemon.http("GET", f"/containers/{each['Id']}/json").json()
        for each in daemon.http("GET", "/containers/json").json()
    ]
    networks = {
        each["Id"]: daemon.http("GET", f"/networks/{each['Id']}").json()
        for each in daemon.http("GET", "/networks").json()
    }
    return [
        *(complaint for container in containers for complaint in _inside(container, networks)),
        *_members(containers, networks),
        *_host_links(daemon, networks),
        *_firewall(daemon, containers, networks),
        *_rows(daemon, containers, networks),
    ]


def _inside(container: dict[str, Any], networks: dict[str, Any]) -> list[str]:
    """The container's own view: addresses and default routes."""
    within = ["nsenter", f"--net=/proc/{container['State']['Pid']}/ns/net", "ip", "-j"]
    links = json.loads(subprocess.run([*within, "addr"], capture_output=True, check=True).stdout)
    there = {
        f"{each['local']}/{each['prefixlen']}"
        for link in links
        if link["ifname"] != "lo"
        for each in link["addr_info"]
        if each["scope"] == "global"
    }
    told = container["NetworkSettings"]["Networks"].values()
    said = {f"{each['IPAddress']}/{each['IPPrefixLen']}" for each in told if each["IPAddress"]}
    said |= {f"{each['GlobalIPv6Address']}/{each['GlobalIPv6PrefixLen']}" for each in told if each["GlobalIPv6Address"]}
    found = [] if there == said else [f"{container['Name']} has {there}, inspect says {said}"]
    if any(link["operstate"] == "DOWN" for link in links if link["ifname"] != "lo"):
        found.append(f"{container['Name']} has a link that is down")
    for family, key in (("-4", "Gateway"), ("-6", "IPv6Gateway")):
        routes = json.loads(subprocess.run([*within, family, "route"], capture_output=True, check=True).stdout or "[]")
        gateways = {route.get("gateway") for route in routes if route["dst"] == "default"}
        possible = {each[key] for each in told if each[key] and not networks[each["NetworkID"]]["Internal"]}
        if len(gateways) != bool(possible) or not gateways <= possible:
            found.append(f"{container['Name']} has routes by {gateways}, of {possible}")
    return found


def _members(containers: list[dict[str, Any]], networks: dict[str, Any]) -> list[str]:
    said = {
        (endpoint["NetworkID"], container["Id"], endpoint["EndpointID"])
        for container in containers
        for endpoint in container["NetworkSettings"]["Networks"].values()
    }
    shown = {
        (network["Id"], container, member["EndpointID"])
        for network in networks.values()
        for container, member in network["Containers"].items()
    }
    return [] if said == shown else [f"networks show {shown}, containers {said}"]


def _host_links(daemon: Daemon, networks: dict[str, Any]) -> list[str]:
    links = {link["ifname"]: link for link in json.loads(daemon.netns.run(["ip", "-j", "-d", "link"]).stdout)}
    found = []
    bridges = {network["Options"]["com.docker.network.bridge.name"]: network for network in _bridges(networks)}
    there = {name for name, link in links.items() if link.get("linkinfo", {}).get("info_kind") == "bridge"}
    if there != set(bridges):
        found.append(f"bridges {there}, networks have {set(bridges)}")
    for name, network in bridges.items():
        ports = [link for link in links.values() if link.get("master") == name]
        if len(ports) != len(network["Containers"]):
            found.append(f"{name} has {len(ports)} ports, its network {len(network['Containers'])} containers")
    stray = [link for name, link in links.items() if name.startswith("veth") and "master" not in link]
    parents = {f"dm-{network['Id'][:12]}" for network in networks.values() if network["Driver"] == "macvlan"}
    made = {name for name in links if name.startswith("dm-")}
    return [*found, *(f"{link['ifname']} is on no bridge" for link in stray), *map(str, parents ^ made)]


def _bridges(networks: dict[str, Any]) -> list[dict[str, Any]]:
    return [network for network in networks.values() if network["Driver"] == "bridge"]


def _firewall(daemon: Daemon, containers: list[dict[str, Any]], networks: dict[str, Any]) -> list[str]:
    listed = json.loads(daemon.netns.run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]
    sets = {
        item[kind]["name"]: item[kind].get("elem", []) for item in listed for kind in ("set", "map") if kind in item
    }
    found = []
    bridges = {network["Options"]["com.docker.network.bridge.name"] for network in _bridges(networks)}
    if set(sets["bridges"]) != bridges:
        found.append(f"the firewall knows bridges {sets['bridges']}, networks have {bridges}")
    internal = {
        network["Options"]["com.docker.network.bridge.name"] for network in _bridges(networks) if network["Internal"]
    }
    if set(sets["internal"]) != internal:
        found.append(f"the firewall knows internal ones {sets['internal']}, not {internal}")
    for version in (4, 6):
        subnets = {
            pool["Subnet"]
            for network in _bridges(networks)
            for pool in network["IPAM"]["Config"]
            if (":" in pool["Subnet"]) == (version == 6)
        }
        known = {f"{each['prefix']['addr']}/{each['prefix']['len']}" for each in sets[f"subnets{version}"]}
        if known != subnets:
            found.append(f"the firewall knows subnets {known}, networks have {subnets}")
    return found + _published(containers, sets, 4) + _published(containers, sets, 6)


def _published(containers: list[dict[str, Any]], sets: dict[str, list[Any]], version: int) -> list[str]:
    """A port leads to one of its container's addresses, unless it has none of the family; then the relay carries it."""
    wildcard, key = ("0.0.0.0", "IPAddress") if version == 4 else ("::", "GlobalIPv6Address")
    leads = {
        ({6: "tcp", 17: "udp"}.get(target[0], target[0]), target[1]): value["concat"][0]
        for target, value in ((element[0]["concat"], element[1]) for element in sets[f"published{version}_any"])
    }
    must, may = {}, {}
    for container in containers:
        addresses = [each[key] for each in container["NetworkSettings"]["Networks"].values()]
        for port, bindings in container["NetworkSettings"]["Ports"].items():
            for binding in (binding for binding in bindings or () if binding["HostIp"] == wildcard):
                place = port.partition("/")[2], int(binding["HostPort"])
                may[place] = set(addresses) - {""}
                if all(addresses):
                    must[place] = may[place]
    wrong = [place for place, target in leads.items() if target not in may.get(place, ())]
    missing = set(must) - set(leads)
    return [f"published: the firewall has {leads}, containers {may}"] if wrong or missing else []


def _rows(daemon: Daemon, containers: list[dict[str, Any]], networks: dict[str, Any]) -> list[str]:
    with sqlite3.connect(f"file:{daemon.data_root / 'cove.db'}?mode=ro", uri=True) as connection:
        kept = {identity for (identity,) in connection.execute("SELECT id FROM networks")}
        endpoints = set(connection.execute("SELECT network, container FROM endpoints"))
        pending = connection.execute(
            "SELECT count(*) FROM endpoints WHERE json_extract(record, '$.pending')"
        ).fetchone()
        ports = set(connection.execute("SELECT protocol, port, container FROM ports"))
    connection.close()
    said = {
        (endpoint["NetworkID"], container["Id"])
        for container in containers
        for endpoint in container["NetworkSettings"]["Networks"].values()
    }
    told = {
        (key.partition("/")[2], int(binding["HostPort"]), container["Id"])
        for container in containers
        for key, bindings in container["NetworkSettings"]["Ports"].items()
        for binding in bindings or ()
    }
    found = [] if kept == set(networks) else [f"rows of networks {kept}"]
    found += [] if endpoints == said else [f"rows of endpoints {endpoints}, containers say {said}"]
    found += [f"{pending[0]} endpoints are pending"] if pending[0] else []
    return found + ([] if ports == told else [f"rows of ports {ports}, containers say {told}"])
