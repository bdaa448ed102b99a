"""Containers of different networks, internal ones and the host's loopback: what reaches what, in both families."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.neighbour import HOST4, HOST6, neighbour

pytestmark = pytest.mark.needs("cove")

SERVE = ("busybox", "sh", "-c", "mkdir /www; echo $HOSTNAME >/www/index.html; exec httpd -f -p 80 -h /www")

ASK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1) as connection:
        connection.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print(b"".join(iter(lambda: connection.recv(4096), b"")).decode().split("\\n")[-2])
except (OSError, IndexError):  # closed with a reset, or without a line
    print("none")
"""
LOOPBACK = """
import socket, sys
servers = [socket.create_server((host, 7000), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
           for host in ("127.0.0.1", "::1")]
print("ready", flush=True)
sys.stdin.read()
"""
RECEIVE = """
import socket
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("", 80))
print("ready", flush=True)
print(receiver.recv(100).decode())
"""


def serve(engine: Engine, name: str, network: str, *flags: str) -> None:
    engine.docker("run", "-d", "--name", name, "--hostname", name, "--network", network, *flags, *SERVE)


def addresses(engine: Engine, name: str) -> tuple[str, str]:
    (endpoint,) = json.loads(engine.docker("inspect", name).out)[0]["NetworkSettings"]["Networks"].values()
    return endpoint["IPAddress"], endpoint["GlobalIPv6Address"]


def inside(engine: Engine, name: str, program: str, *arguments: str) -> list[str]:
    """The command of a Python program in a container's network namespace."""
    pid = engine.docker("inspect", "-f", "{{.State.Pid}}", name).out.strip()
    return ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-I", "-c", program, *arguments]


def asked(engine: Engine, name: str, host: str, port: int = 80) -> str:
    """What a container gets from there: the last line of a page, or ``none``."""
    command = inside(engine, name, ASK, host, str(port))
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


@pytest.fixture
def networks(daemon: Daemon) -> Iterator[Daemon]:
    """``red`` and ``blue`` of both families, and ``closed``, which is internal; each has a server of its name."""
    for number, (name, flags) in enumerate({"red": (), "blue": (), "closed": ("--internal",)}.items(), 70):
        subnets = ("--ipv6", "--subnet", f"10.{number}.0.0/24", "--subnet", f"fd00:{number}::/64")
        daemon.docker("network", "create", *subnets, *flags, name)
    serve(daemon, "red", "red", "-p", "8070:80")
    serve(daemon, "blue", "blue")
    serve(daemon, "closed", "closed", "-p", "8072:80")
    daemon.fetch("http://127.0.0.1:8070/")
    for name in ("red", "blue", "closed"):
        for host in addresses(daemon, name):
            daemon.fetch(f"http://[{host}]/" if ":" in host else f"http://{host}/")
    yield daemon


def test_networks_are_apart(networks: Daemon) -> None:
    networks.docker("run", "-d", "--name", "friend", "--network", "red", "busybox", "sleep", "600")
    for host in addresses(networks, "red"):
        assert asked(networks, "friend", host) == "red"
        assert asked(networks, "blue", host) == asked(networks, "closed", host) == "none"
    for host in addresses(networks, "closed"):
        assert asked(networks, "red", host) == "none"
    with neighbour(networks) as other:
        serving = other.command(
            [sys.executable, "-I", "-m", "http.server", "80", "--bind", "::", "-d", "/proc/self/net"]
        )
        with subprocess.Popen(serving, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            deadline = time.monotonic() + 10
            while asked(networks, "blue", "192.0.2.2") == "none" and time.monotonic() < deadline:
                pass
            for host in ("192.0.2.2", "2001:db8:5::2"):
                assert asked(networks, "blue", host) != "none"
                assert asked(networks, "closed", host) == "none"
            server.kill()


def test_published_ports_by_the_hosts_addresses(networks: Daemon) -> None:
    with neighbour(networks):
        for asker in ("blue", "red"):  # from another network, and from itself
            for host in (HOST4, HOST6, "10.70.0.1", "fd00:70::1"):
                assert asked(networks, asker, host, 8070) == "red", (asker, host)
        for host in (HOST4, HOST6):
            assert asked(networks, "closed", host, 8070) == asked(networks, "blue", host, 8072) == "none"


def test_nothing_is_carried_for_internal_networks(networks: Daemon) -> None:
    """Of what the daemon itself carries: IPv6 to a container that has IPv4 only."""
    networks.docker("network", "create", "--subnet", "10.73.0.0/24", "four")
    serve(networks, "four", "four", "-p", "8073:80", "-p", "8074:80/udp")
    assert asked(networks, "blue", "fd00:71::1", 8073) == "four"
    assert asked(networks, "closed", "fd00:72::1", 8073) == "none"
    for network, answer in (("blue", "four"), ("closed", "none")):  # from one link-local address to another
        name = f"{network}-local"
        flags = ("--network", network, "--link-local-ip", "fe80::77")
        networks.docker("run", "-d", "--name", name, *flags, "busybox", "sleep", "600")
        bridge = "br-" + json.loads(networks.docker("network", "inspect", network).out)[0]["Id"][:12]
        (shown,) = json.loads(networks.netns.run(["ip", "-j", "-6", "addr", "show", "dev", bridge]).stdout)
        own = [each["local"] for each in shown["addr_info"] if each["scope"] == "link"]
        assert "fe80::1" in own and len(own) == 2
        for local in own:
            assert asked(networks, name, f"{local}%eth0", 8073) == answer
    with subprocess.Popen(inside(networks, "four", RECEIVE), stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None and receiver.stdout.readline() == "ready\n"
        for name, number in (("closed", 72), ("blue", 71)):
            send = f"import socket; socket.socket(10, 2).sendto(b'{name}', ('fd00:{number}::1', 8074))"
            subprocess.run(inside(networks, name, send), check=True)
        assert receiver.stdout.readline() == "blue\n"


def test_the_hosts_loopback_is_its_own(networks: Daemon) -> None:
    command = networks.netns.command([sys.executable, "-I", "-c", LOOPBACK])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        pid = networks.docker("inspect", "-f", "{{.State.Pid}}", "red").out.strip()
        inside = ["nsenter", f"--net=/proc/{pid}/ns/net"]
        for words in (
            "sysctl -qw net.ipv4.conf.all.route_localnet=1",
            "ip rule add to 127.0.0.2 lookup 77 priority 0",
            "ip route add 127.0.0.2 via 10.70.0.1 dev eth0 table 77",
        ):
            subprocess.run([*inside, *words.split()], check=True)
        for host in ("10.70.0.1", "fd00:70::1", "127.0.0.2"):
            assert asked(networks, "red", host, 7000) == "none"
        server.kill()


def test_containers_that_may_not_talk_still_reach_what_is_published(daemon: Daemon) -> None:
    option = ("-o", "com.docker.network.bridge.enable_icc=false")
    daemon.docker(
        "network", "create", "--ipv6", "--subnet", "10.75.0.0/24", "--subnet", "fd00:75::/64", *option, "mute"
    )
    serve(daemon, "web", "mute", "-p", "8070:80")
    daemon.fetch("http://127.0.0.1:8070/")
    daemon.docker("run", "-d", "--name", "box", "--network", "mute", "busybox", "sleep", "600")
    for host in addresses(daemon, "web"):
        assert asked(daemon, "box", host) == "none"
    for host in ("10.75.0.1", "fd00:75::1"):
        assert asked(daemon, "box", host, 8070) == "web"


def test_a_thousand_ports_cost_each_what_one_costs(daemon: Daemon) -> None:
    """Less than 1.5 ms for each, and nothing for others; the best of rounds whose parts follow each other at once."""

    def taken(name: str, *flags: str) -> float:
        begun = time.monotonic()
        daemon.docker("run", "-d", "--name", name, *flags, "busybox", "sleep", "600")
        return time.monotonic() - begun

    rounds = []
    for _ in range(4):
        alone = taken("alone", "-p", "9998:80")
        many = taken("many", "-p", "10000-10999:10000-10999")
        beside = taken("beside", "-p", "9999:80")
        rounds.append((alone, many, beside))
        daemon.docker("rm", "-f", "alone", "many", "beside")
    assert min((many - alone) / 1000 for alone, many, _ in rounds) < 0.0015, rounds
    assert min(beside / alone for alone, _, beside in rounds) < 1.5, rounds
