"""Options of networks by the stock command line: who gets in and out under which address, in both families."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.neighbour import HOST4, HOST6, Neighbour, neighbour

pytestmark = pytest.mark.needs("cove")

SUBNETS = ("--ipv6", "--subnet", "10.76.0.0/24", "--subnet", "fd00:76::/64")
WEB4, WEB6 = "10.76.0.2", "fd00:76::2"
BESIDE4, BESIDE6 = "192.0.2.2", "2001:db8:5::2"
SERVE = ("busybox", "sh", "-c", "mkdir /www; echo $HOSTNAME >/www/index.html; exec httpd -f -p 80 -h /www")
PREFIX = "com.docker.network.bridge."

SENDER = """
import socket, sys
for family in (socket.AF_INET, socket.AF_INET6):
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.settimeout(10)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind(("", 9000))
    print("ready", flush=True)
    print(server.recvfrom(10)[1][0], flush=True)
    server.close()
"""


@pytest.fixture
def beside(daemon: Daemon) -> Iterator[Neighbour]:
    """Another machine, which has routes to the containers by the host."""
    with neighbour(daemon) as other:
        for destination in ("10.76.0.0/24", "fd00:76::/64"):
            other.route(destination)
        yield other


def both_modes(mode: str) -> tuple[str, ...]:
    return tuple(word for family in "46" for word in ("-o", f"{PREFIX}gateway_mode_ipv{family}={mode}"))


def web(engine: Engine, *options: str) -> None:
    engine.docker("network", "create", *SUBNETS, *options, "net")
    engine.docker("run", "-d", "--name", "web", "--hostname", "web", "--network", "net", "-p", "8076:80", *SERVE)
    for host in (WEB4, f"[{WEB6}]"):
        if "isolated" not in str(options):
            engine.fetch(f"http://{host}/")


def pages(machine: Neighbour, port: int, *hosts: str) -> list[str]:
    return [machine.page(f"http://{host}:{port}/", 1).strip() for host in hosts]


def senders(engine: Engine, beside: Neighbour) -> list[str]:
    """The addresses under which the other machine hears the container, in both families."""
    pid = engine.docker("inspect", "-f", "{{.State.Pid}}", "web").out.strip()
    heard = []
    hearing = beside.command([sys.executable, "-I", "-c", SENDER])
    with subprocess.Popen(hearing, stdout=subprocess.PIPE, text=True) as told:
        assert told.stdout is not None
        for family, host in ((2, BESIDE4), (10, BESIDE6)):
            assert told.stdout.readline() == "ready\n"
            send = f"import socket; socket.socket({family}, 2).sendto(b'x', ('{host}', 9000))"
            subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-I", "-c", send], check=True)
            heard.append(told.stdout.readline().strip())
    return heard


def test_translated(daemon: Daemon, beside: Neighbour) -> None:
    web(daemon)
    assert pages(beside, 8076, HOST4, f"[{HOST6}]") == ["web", "web"]
    assert pages(beside, 80, WEB4, f"[{WEB6}]") == ["", ""]
    assert senders(daemon, beside) == [HOST4, HOST6]


def test_translated_and_unprotected(daemon: Daemon, beside: Neighbour) -> None:
    web(daemon, *both_modes("nat-unprotected"))
    assert pages(beside, 8076, HOST4, f"[{HOST6}]") == ["web", "web"]
    assert pages(beside, 80, WEB4, f"[{WEB6}]") == ["web", "web"]
    assert senders(daemon, beside) == [HOST4, HOST6]


def test_routed(daemon: Daemon, beside: Neighbour) -> None:
    web(daemon, *both_modes("routed"))
    assert pages(beside, 80, WEB4, f"[{WEB6}]") == ["web", "web"]
    assert pages(beside, 8076, HOST4, f"[{HOST6}]") == ["", ""]
    assert senders(daemon, beside) == [WEB4, WEB6]
    daemon.docker("run", "-d", "--name", "hidden", "--network", "net", *SERVE)
    assert pages(beside, 80, "10.76.0.3", "[fd00:76::3]") == ["", ""], "it publishes nothing"


def test_isolated(daemon: Daemon, beside: Neighbour) -> None:
    refused = daemon.docker("network", "create", *both_modes("isolated"), "x", check=False)
    assert refused.code == 1 and "isolated" in refused.err
    web(daemon, "--internal", *both_modes("isolated"))
    bridge = "br-" + json.loads(daemon.docker("network", "inspect", "net").out)[0]["Id"][:12]
    assert "scope global" not in daemon.netns.run(["ip", "addr", "show", "dev", bridge]).stdout
    daemon.docker("run", "--rm", "--network", "net", "busybox", "ping", "-c", "1", "-W", "5", "web")
    assert pages(beside, 80, WEB4, f"[{WEB6}]") == ["", ""]


def test_trusted_links_of_the_host(daemon: Daemon, beside: Neighbour) -> None:
    web(daemon, "-o", f"{PREFIX}trusted_host_interfaces=nolink:beside")
    assert pages(beside, 80, WEB4, f"[{WEB6}]") == ["web", "web"]


def test_another_gateway_than_the_bridge(daemon: Daemon) -> None:
    daemon.docker("network", "create", *SUBNETS, "-o", f"{PREFIX}inhibit_ipv4=true", "net")
    bridge = "br-" + json.loads(daemon.docker("network", "inspect", "net").out)[0]["Id"][:12]
    shown = daemon.netns.run(["ip", "addr", "show", "dev", bridge]).stdout
    assert "10.76.0.1" not in shown and "fd00:76::1/64" in shown


def test_a_bridge_that_is_there_is_used_and_stays(daemon: Daemon) -> None:
    daemon.netns.run("ip link add theirs type bridge".split())
    daemon.netns.run("ip addr add 192.0.2.9/24 dev theirs".split())
    try:
        web(daemon, "-o", f"{PREFIX}name=theirs")
        assert "master theirs" in daemon.netns.run(["ip", "link"]).stdout
        daemon.docker("rm", "-f", "web")
        daemon.docker("network", "rm", "net")
        left = daemon.netns.run("ip addr show dev theirs".split()).stdout
        assert "192.0.2.9/24" in left and "10.76.0.1" not in left
    finally:
        daemon.netns.run("ip link del theirs".split())


@pytest.mark.parametrize("mode", ["bridge", "private", "vepa", "passthru"])
def test_macvlan(daemon: Daemon, beside: Neighbour, mode: str) -> None:
    """Neighbours of the host's neighbours; who may reach whom is the mode's to say."""
    lan = (
        "--subnet",
        "192.0.2.0/24",
        "--ip-range",
        "192.0.2.128/25",
        "-o",
        "parent=beside",
        "-o",
        f"macvlan_mode={mode}",
    )
    daemon.docker("network", "create", "-d", "macvlan", *lan, "lan")
    daemon.docker("run", "-d", "--name", "one", "--network", "lan", "busybox", "sleep", "600")

    def reaches(address: str) -> bool:
        return daemon.docker("exec", "one", "ping", "-c", "1", "-W", "2", address, check=False).code == 0

    assert reaches(BESIDE4)
    if mode != "passthru":  # which has room for one
        daemon.docker("run", "-d", "--name", "two", "--network", "lan", "busybox", "sleep", "600")
        (shown,) = json.loads(daemon.docker("inspect", "two").out)[0]["NetworkSettings"]["Networks"].values()
        assert reaches(shown["IPAddress"]) == (mode == "bridge")
    daemon.docker("rm", "-f", "one", "two", check=False)
    daemon.docker("network", "rm", "lan")
