"""Beside the firewalls that hosts have: ufw and firewalld, real ones, with what docs/networks.md says of them."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from harness import host_firewalls
from harness.daemon import Daemon
from harness.host_firewalls import HostFirewall
from harness.neighbour import HOST4, HOST6, Neighbour, neighbour
from harness.netns import NetworkNamespace
from harness.waiting import eventually
from system.test_isolation import asked, serve

pytestmark = pytest.mark.needs("cove", "iptables")

Kind = Callable[[NetworkNamespace, Path], AbstractContextManager[HostFirewall]]
KINDS = [
    pytest.param(host_firewalls.ufw, marks=pytest.mark.needs("ufw"), id="ufw"),
    pytest.param(host_firewalls.firewalld, marks=pytest.mark.needs("firewalld"), id="firewalld"),
]
OPEN = {f"http://{HOST4}:8080/": "web\n", f"http://[{HOST6}]:8080/": "web\n", f"http://{HOST4}:8081/": "old\n"}
HELD = [f"http://{host}:8082/" for host in (HOST4, f"[{HOST6}]")]


@pytest.fixture
def beside(fresh_daemon: Daemon) -> Iterator[Neighbour]:
    """The other machine, which is the way out too, and serves at its port 80."""
    with neighbour(fresh_daemon) as other:
        fresh_daemon.netns.run("ip route add default via 192.0.2.2".split())
        serving = [sys.executable, "-I", "-m", "http.server", "80", "--bind", "::", "-d", "/proc/self/net"]
        with subprocess.Popen(other.command(serving), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            eventually(lambda: other.page("http://127.0.0.1/") != "")
            try:
                yield other
            finally:
                server.kill()


def dropped(daemon: Daemon) -> str:
    findings = json.loads(daemon.cove("doctor", "--format", "json").out)["Findings"]
    return " ".join(each["Evidence"] for each in findings if each["Id"] == "forward-dropped")


def gets_out(daemon: Daemon, name: str, *hosts: str) -> bool:
    return all(asked(daemon, name, host) != "none" for host in hosts)


def all_works(daemon: Daemon, beside: Neighbour) -> None:
    assert {url: beside.page(url) for url in OPEN} == OPEN
    assert gets_out(daemon, "web", "192.0.2.2", "2001:db8:5::2") and gets_out(daemon, "old", "192.0.2.2")
    assert daemon.docker("exec", "web", "wget", "-qO-", "http://mate/").out == "mate\n", "which the resolver knows"
    assert asked(daemon, "old", HOST4, 8080) == "web", "from another network, at the host's address"
    assert daemon.fetch("http://127.0.0.1:8080/") == daemon.fetch("http://[::1]:8080/") == "web\n"


@pytest.mark.parametrize("kind", KINDS)
def test_ports_and_ways_out(fresh_daemon: Daemon, beside: Neighbour, tmp_path: Path, kind: Kind) -> None:
    daemon = fresh_daemon
    daemon.docker("network", "create", "--ipv6", "--subnet", "10.77.0.0/24", "--subnet", "fd00:77::/64", "net")
    serve(daemon, "web", "net", "-p", "8080:80")
    serve(daemon, "mate", "net")
    serve(daemon, "old", "bridge", "-p", "8081:80")
    all_works(daemon, beside)
    assert dropped(daemon) == ""
    own = daemon.netns.run(["nft", "list", "table", "inet", "cove"]).stdout
    with kind(daemon.netns, tmp_path) as firewall:
        assert not gets_out(daemon, "web", "192.0.2.2"), "which makes this a test"
        assert f"{firewall.table} " in dropped(daemon)
        firewall.open_bridges()
        all_works(daemon, beside)
        assert dropped(daemon) == ""
        firewall.reload()
        all_works(daemon, beside)
        daemon.kill9()
        daemon.start()
        all_works(daemon, beside)
        assert daemon.netns.run(["nft", "list", "table", "inet", "cove"]).stdout == own
    all_works(daemon, beside)


@pytest.mark.parametrize("kind", KINDS)
def test_ports_that_its_rules_for_input_judge(
    fresh_daemon: Daemon, beside: Neighbour, tmp_path: Path, kind: Kind
) -> None:
    fresh_daemon.docker("network", "create", "--ipv6", "-o", "cove.publish=respect-ufw", "held")
    serve(fresh_daemon, "held", "held", "-p", "8082:80")
    assert [beside.page(url) for url in HELD] == ["held\n", "held\n"]
    with kind(fresh_daemon.netns, tmp_path) as firewall:
        firewall.open_bridges()
        for _ in range(2):
            assert [beside.page(url, 1) for url in HELD] == ["", ""]
            assert fresh_daemon.fetch("http://127.0.0.1:8082/") == "held\n"
            firewall.allow(8082)
            assert [beside.page(url) for url in HELD] == ["held\n", "held\n"]
            firewall.forbid(8082)
            firewall.reload()
