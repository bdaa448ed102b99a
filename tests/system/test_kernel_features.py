"""Kernel features that many machines are built without: VLANs, ipvlan, SCTP. Packets flow, or are proved not to.

The virtual machine has them all (``scripts/test-cgroup2 tests/system/test_kernel_features.py``). By default SCTP alone
is tried there from the outside: the drivers' own tests, which are quicker, send packets over VLANs and ipvlan.
"""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from harness.engine import Engine
from harness.neighbour import HOST4, HOST6, Neighbour, neighbour

pytestmark = pytest.mark.needs("cove")

LAN = ("--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.128/25", "--gateway", "192.0.2.2")
LAN6 = ("--ipv6", "--subnet", "2001:db8:5::/64", "--ip-range", "2001:db8:5::8000/113", "--gateway", "2001:db8:5::2")
TAGGED = ("--subnet", "198.51.100.0/24", "--gateway", "198.51.100.2")

ECHO = """
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
server.bind(("::", 6000))
server.listen()
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    connection.sendall(b"heard " + connection.recv(100))
    connection.close()
"""
ASK = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
client.settimeout(60)
client.connect((sys.argv[1], int(sys.argv[2])))
client.sendall(b"it")
print(client.recv(100).decode())
"""


@pytest.fixture
def beside(daemon: Engine) -> Iterator[Neighbour]:
    with neighbour(daemon) as other:
        yield other


def run(engine: Engine, name: str, *flags: str) -> None:
    engine.docker("run", "-d", "--name", name, *flags, "busybox", "sleep", "600")


def answers(engine: Engine, name: str, address: str) -> bool:
    return engine.docker("exec", name, "ping", "-c1", "-W5", address, check=False).code == 0


def links(engine: Engine) -> str:
    return engine.netns.run(["ip", "-o", "link"]).stdout


@pytest.mark.needs("vlan-links")
def test_a_vlan_of_the_parent(daemon: Engine, beside: Neighbour) -> None:
    for command in ("link add link eth0 name eth0.10 type vlan id 10", "link set eth0.10 up"):
        beside.run(["ip", *command.split()])
    beside.run("ip addr add 198.51.100.2/24 dev eth0.10".split())
    daemon.docker("network", "create", "-d", "macvlan", *TAGGED, "-o", "parent=beside.10", "tagged")
    assert "beside.10@beside" in links(daemon)
    run(daemon, "one", "--network", "tagged")
    assert answers(daemon, "one", "198.51.100.2")
    beside.run("ip link set eth0.10 down".split())
    beside.run("ip addr add 198.51.100.2/24 dev eth0".split())
    assert not answers(daemon, "one", "198.51.100.2"), "the tag is what leads there"
    daemon.docker("rm", "-f", "one")
    daemon.docker("network", "rm", "tagged")
    assert "beside.10" not in links(daemon)


@pytest.mark.needs("ipvlan-links")
@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_ipvlan(daemon: Engine, beside: Neighbour, mode: str) -> None:
    """In l2 containers are on the parent's link; in l3 and l3s the neighbour needs a route to them."""
    subnets = (*LAN, *LAN6) if mode == "l2" else ("--subnet", "198.51.100.0/24")
    daemon.docker(
        "network", "create", "-d", "ipvlan", *subnets, "-o", "parent=beside", "-o", f"ipvlan_mode={mode}", "lan"
    )
    for name in ("one", "two"):
        run(daemon, name, "--network", "lan")
    address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    two = daemon.docker("inspect", "-f", address, "two").out.strip()
    assert answers(daemon, "one", two)
    if mode == "l2":
        assert answers(daemon, "one", "192.0.2.2") and answers(daemon, "one", "2001:db8:5::2")
    else:
        beside.run(f"ip route add 198.51.100.0/24 via {HOST4}".split())
        assert answers(daemon, "one", "192.0.2.2")
    shown = [daemon.docker("exec", name, "ip", "link", "show", "eth0").out for name in ("one", "two")]
    mac = daemon.netns.run("ip -br link show beside".split()).stdout.split()[2]
    assert all(mac in text for text in shown), "all have the parent's address"


@pytest.mark.vm
@pytest.mark.needs("sctp")
def test_sctp_reaches_a_published_port(daemon: Engine, beside: Neighbour) -> None:
    daemon.docker("network", "create", "--ipv6", "--subnet", "10.77.0.0/24", "--subnet", "fd00:77::/64", "dual")
    run(daemon, "web", "--network", "dual", "-p", "5000:6000/sctp")
    pid = daemon.docker("inspect", "-f", "{{.State.Pid}}", "web").out.strip()
    argv = ["nsenter", "-t", pid, "-n", sys.executable, "-I", "-c"]
    with subprocess.Popen([*argv, ECHO], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None and server.stdout.readline() == "ready\n"
            for host in (HOST4, HOST6):
                asked = beside.run([sys.executable, "-I", "-c", ASK, host, "5000"], timeout=120)
                assert asked.stdout == "heard it\n", (host, asked)
            inside = daemon.netns.run([sys.executable, "-I", "-c", ASK, HOST4, "5000"], timeout=120)
            assert inside.stdout == "heard it\n", "from the host itself"
        finally:
            server.kill()
    daemon.docker("rm", "-f", "web")
    refused = beside.run([sys.executable, "-I", "-c", ASK, HOST4, "5000"], check=False)
    assert refused.returncode != 0 and "refused" in refused.stderr
