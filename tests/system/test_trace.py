"""``cove network trace`` and ``graph``: each verdict is held against what a packet that is really sent comes to."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

import pytest

from harness.daemon import Daemon
from harness.neighbour import neighbour
from harness.waiting import eventually
from system.test_isolation import addresses, asked, serve

pytestmark = pytest.mark.needs("cove")

DATAGRAMS = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 95))
print("ready", flush=True)
sys.stdin.read()
"""
ICC_OFF = ("-o", "com.docker.network.bridge.enable_icc=false")


def traced(daemon: Daemon, origin: str, target: str) -> dict[str, object]:
    shown = daemon.cove("network", "trace", "--format", "json", origin, target, check=False)
    assert shown.out, shown.err
    found: dict[str, object] = json.loads(shown.out)
    assert shown.code == (0 if found["Reached"] else 1)
    return found


def reason(daemon: Daemon, origin: str, target: str) -> str:
    found = traced(daemon, origin, target)
    assert bool(found["Reason"]) != found["Reached"]
    return str(found["Reason"])


def agrees(daemon: Daemon, origin: str, host: str, port: int = 80) -> str:
    """The reason that a trace gives, which is held against a real connection."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    found = traced(daemon, origin, target)
    really = asked(daemon, origin, host, port) != "none"
    assert found["Reached"] == really, found
    return str(found["Reason"])


@pytest.fixture
def world(daemon: Daemon) -> Iterator[Daemon]:
    """Servers ``red``, ``blue``, ``closed`` (internal) and ``mute`` (ICC off), each on its network of both families."""
    kinds = {"red": (), "blue": (), "closed": ("--internal",), "mute": ICC_OFF}
    for number, (name, flags) in enumerate(kinds.items(), 80):
        subnets = ("--ipv6", "--subnet", f"10.{number}.0.0/24", "--subnet", f"fd00:{number}::/64")
        daemon.docker("network", "create", *subnets, *flags, name)
        published = ("-p", f"80{number}:80") if name in ("red", "mute") else ()
        serve(daemon, name, name, *published)
    for name in kinds:
        daemon.fetch(f"http://{addresses(daemon, name)[0]}/")
    yield daemon


def box(daemon: Daemon, name: str, network: str, *flags: str) -> None:
    daemon.cove("run", "-d", "--name", name, "--network", network, *flags, "busybox", "sleep", "600")


def test_between_containers(world: Daemon) -> None:
    box(world, "friend", "red")
    box(world, "mate", "mute")
    box(world, "prisoner", "closed")
    for family in (0, 1):
        where = {name: addresses(world, name)[family] for name in ("red", "blue", "closed", "mute")}
        assert agrees(world, "friend", where["red"]) == ""
        assert agrees(world, "friend", where["red"], 81) == "not-listening"
        assert agrees(world, "red", where["red"]) == ""
        assert agrees(world, "friend", where["blue"]) == "apart"
        assert agrees(world, "friend", where["closed"]) == "internal"
        assert agrees(world, "prisoner", where["red"]) == "internal"
        assert agrees(world, "prisoner", where["closed"]) == ""
        assert agrees(world, "mate", where["mute"]) == "icc"
    nobody = addresses(world, "red")[0].rsplit(".", 1)[0] + ".200"
    assert agrees(world, "friend", nobody) == "nobody-there"


def test_by_name(world: Daemon) -> None:
    box(world, "friend", "red", "--network-alias", "chum")
    assert reason(world, "friend", "red:80") == reason(world, "red", "chum") == ""
    assert reason(world, "blue", "red:80") == "apart"
    assert "8080" in str(traced(world, "blue", "red:80")["Hint"])
    assert traced(world, "red", "blue:80")["Hint"] == "cove network connect blue red"
    world.docker("network", "connect", "blue", "red")
    assert reason(world, "red", "blue:80") == ""
    world.docker("stop", "-t", "0", "blue")
    assert reason(world, "red", "blue:80") == reason(world, "blue", "red") == "not-running"
    world.docker("run", "-d", "--name", "alone", "--network", "none", "busybox", "sleep", "600")
    assert reason(world, "alone", "red") == reason(world, "red", "alone") == "no-network"
    world.docker("run", "-d", "--name", "beside", "--network", "container:red", "busybox", "sleep", "600")
    assert reason(world, "beside", "red:80") == reason(world, "beside", "friend") == ""
    assert reason(world, "red", "name.invalid:80") == "unknown-name"
    for bad in ("", ":80", "red:", "red:0", "red:80/icmp", "red:x", "[::1", "[::1]80", "[::1]:", "x" * 999):
        assert world.http("GET", f"/cove/network/trace?from=red&to={bad}").status == 400, bad
    assert world.http("GET", "/cove/network/trace?from=nobody&to=red").status == 404


def test_published_ports(world: Daemon) -> None:
    box(world, "mate", "mute")
    for gateway in ("10.81.0.1", "fd00:81::1"):
        assert agrees(world, "blue", gateway, 8080) == ""
        assert agrees(world, "blue", gateway, 8083) == ""
        assert agrees(world, "blue", gateway, 8099) == "not-listening"
    for gateway in ("10.83.0.1", "fd00:83::1"):
        assert agrees(world, "mate", gateway, 8083) == "", "which the relay carries"


def test_programs_that_listen_elsewhere(world: Daemon) -> None:
    world.docker("exec", "-d", "blue", "httpd", "-p", "127.0.0.1:90", "-h", "/www")
    box(world, "friend", "blue")
    eventually(lambda: ":005A " in world.docker("exec", "blue", "cat", "/proc/net/tcp").out)
    assert agrees(world, "friend", addresses(world, "blue")[0], 90) == "wrong-address"
    assert agrees(world, "blue", "127.0.0.1", 90) == ""
    pid = world.docker("inspect", "-f", "{{.State.Pid}}", "blue").out.strip()
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-I", "-c", DATAGRAMS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        assert reason(world, "friend", "blue:95/udp") == ""
        assert reason(world, "friend", "blue:96/udp") == "not-listening"
        server.kill()


def test_outside_and_what_others_have_changed(world: Daemon) -> None:
    box(world, "friend", "red")
    with neighbour(world) as other:
        listen = other.command(["python3", "-m", "http.server", "80", "--bind", "::", "-d", "/proc/self/net"])
        with subprocess.Popen(listen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            eventually(lambda: asked(world, "red", "192.0.2.2") != "none")
            assert agrees(world, "red", "192.0.2.2") == agrees(world, "red", "2001:db8:5::2") == ""
            assert agrees(world, "closed", "192.0.2.2") == "internal"
            assert agrees(world, "red", "198.51.100.7") == "no-route"
            world.netns.run("nft add rule inet cove user ip daddr 192.0.2.2 tcp dport 80 drop".split())
            assert agrees(world, "red", "192.0.2.2") == "rule"
            world.netns.run("nft flush chain inet cove user".split())
            world.netns.run("nft add table ip strict".split())
            chain = "{ type filter hook forward priority 7; policy drop; }"
            world.netns.run(["nft", "add", "chain", "ip", "strict", "fw", chain])
            assert agrees(world, "red", "192.0.2.2") == "rule"
            world.netns.run("nft delete table ip strict".split())
            world.netns.run("sysctl -qw net.ipv4.ip_forward=0".split())
            assert agrees(world, "red", "192.0.2.2") == "forwarding"
            world.netns.run("sysctl -qw net.ipv4.ip_forward=1".split())
            assert agrees(world, "red", "192.0.2.2") == ""
            server.kill()
    link = json.loads(world.http("GET", "/cove/network/graph").body)["Networks"]
    bridge = next(network["Link"] for network in link if network["Name"] == "red")
    world.netns.run(["ip", "link", "set", bridge, "down"])
    assert agrees(world, "friend", addresses(world, "red")[0]) in ("link", "no-route")
    world.netns.run(["ip", "link", "set", bridge, "up"])


def test_egress_policies(world: Daemon) -> None:
    box(world, "watched", "red", "--egress", "allow=192.0.2.2/32:80,known.test:80")
    box(world, "shut", "red", "--egress", "deny")
    with neighbour(world) as other:
        listen = other.command(["python3", "-m", "http.server", "80", "--bind", "::", "-d", "/proc/self/net"])
        with subprocess.Popen(listen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            eventually(lambda: asked(world, "red", "192.0.2.2") != "none")
            assert agrees(world, "watched", "192.0.2.2") == ""
            assert agrees(world, "watched", "192.0.2.2", 81) == "egress"
            assert agrees(world, "watched", "2001:db8:5::2") == agrees(world, "shut", "192.0.2.2") == "egress"
            server.kill()
    assert reason(world, "watched", "other.test:80") == "egress"
    assert agrees(world, "shut", addresses(world, "red")[0]) == "", "neighbours are no egress"


def test_the_text_says_what_stands_in_between(world: Daemon) -> None:
    box(world, "mate", "mute")
    shown = world.cove("network", "trace", "mate", "mute:80", check=False)
    assert shown.code == 1 and shown.out.splitlines()[-1].startswith(("mute:80 is not reached from mate", "Try:"))
    assert "STOP  network      containers of mute may not talk to each other (enable_icc)" in shown.out
    shown = world.cove("network", "trace", "blue", "closed:80", check=False)
    assert "inet cove contained" in shown.out and "oifname @internal drop" in shown.out


def test_graph(world: Daemon) -> None:
    box(world, "watched", "red", "--egress", "deny")
    world.docker("network", "connect", "blue", "watched")
    world.docker("stop", "-t", "0", "closed")
    text = world.cove("network", "graph").out
    assert "mute  (bridge, 10.83.0.0/24, fd00:83::/64, containers do not talk, br-" in text
    assert "red  10.80.0.2  fd00:80::2  0.0.0.0:8080->80/tcp  [::]:8080->80/tcp" in text
    assert text.count("watched  10.8") == 2 and "egress deny" in text and "closed  10." not in text
    assert "closed  (exited)" in world.cove("network", "graph", "-a").out
    root = ElementTree.fromstring(world.cove("network", "graph", "--svg").out)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"red", "blue", "watched", "egress deny"} <= set(words)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 5
