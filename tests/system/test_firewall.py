"""The firewall table beside others', its repair, and what gets in from another machine."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from harness import leaks
from harness.daemon import Daemon
from harness.engine import Engine
from harness.neighbour import HOST4, HOST6, Neighbour, neighbour
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")

SERVE = ("busybox", "sh", "-c", "mkdir /www; echo $HOSTNAME >/www/index.html; exec httpd -f -p 80 -h /www")

DUAL = ("network", "create", "--ipv6", "--subnet", "10.77.0.0/24", "--subnet", "fd00:77::/64", "dual")

ECHO = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 9000))
while True:
    data, sender = server.recvfrom(100)
    server.sendto(b"heard " + data, sender)
"""
ASK = """
import socket, sys
address, source = sys.argv[1], int(sys.argv[2])
client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
client.bind(("", source))
client.connect((address, 9000))
client.settimeout(0.2)
for number in range(50):
    try:
        client.send(b"%d" % number)
        sys.exit(print(client.recv(100).decode().split()[0]))
    except OSError:
        pass
sys.exit("no answer")
"""
ADVERTISE = """
import socket, struct
link = socket.if_nametoindex("eth0")
router = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, link)
router.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0, 0, link))
"""


def serve(engine: Engine, name: str, *flags: str) -> str:
    engine.docker("run", "-d", "--name", name, "--hostname", name, *flags, *SERVE)
    return address(engine, name)


def address(engine: Engine, name: str, version: int = 4) -> str:
    key = "IPAddress" if version == 4 else "GlobalIPv6Address"
    template = f"{{{{range .NetworkSettings.Networks}}}}{{{{.{key}}}}}{{{{end}}}}"
    return engine.docker("inspect", "-f", template, name).out.strip()


def nft(engine: Engine, *words: str) -> str:
    return engine.netns.run(["nft", *words]).stdout


def table(engine: Engine) -> str:
    return eventually(lambda: re.findall(r"table inet (cove\w*)\n", nft(engine, "list", "tables") + "\n"), seconds=3)[0]


@pytest.fixture
def beside(daemon: Daemon) -> Iterator[Neighbour]:
    with neighbour(daemon) as other:
        yield other


@pytest.fixture
def beside_fresh(fresh_daemon: Daemon) -> Iterator[Neighbour]:
    with neighbour(fresh_daemon) as other:
        yield other


@pytest.fixture
def told(fresh_daemon: Daemon) -> Iterator[Callable[..., None]]:
    """Starts the daemon with more flags, and at the end as it was, so that what it leaves can be compared."""
    flags = fresh_daemon.flags
    yield fresh_daemon.restart_with
    leaks.remove_everything(fresh_daemon, keep_images=True)
    fresh_daemon.stop()
    fresh_daemon.flags = (*flags, "--bip=172.17.0.1/16")
    fresh_daemon.start()


def test_a_flushed_ruleset_is_back_at_once(daemon: Daemon, beside: Neighbour) -> None:
    serve(daemon, "web", "-p", "8080:80")
    assert daemon.fetch("http://127.0.0.1:8080/") == "web\n"
    before = nft(daemon, "list", "table", "inet", "cove")
    for damage in (("flush", "ruleset"), ("flush", "table", "inet", "cove"), ("delete", "table", "inet", "cove")):
        nft(daemon, *damage)
        eventually(
            lambda: daemon.netns.run("nft list table inet cove".split(), check=False).stdout == before, seconds=3
        )
        assert beside.page(f"http://{HOST4}:8080/") == "web\n"
    nft(daemon, "flush", "map", "inet", "cove", "published4_any")
    eventually(lambda: nft(daemon, "list", "table", "inet", "cove") == before, seconds=3)


def test_the_administrators_rules_come_first_and_stay(fresh_daemon: Daemon, beside_fresh: Neighbour) -> None:
    daemon, url = fresh_daemon, f"http://{HOST4}:8080/"
    serve(daemon, "web", "-p", "8080:80")
    daemon.fetch("http://127.0.0.1:8080/")
    assert beside_fresh.page(url) == "web\n"
    nft(daemon, "add", "rule", "inet", "cove", "user", "iifname", "beside", "drop")
    assert beside_fresh.page(url, 1) == ""
    nft(daemon, "flush", "chain", "inet", "cove", "contained")  # the repair leaves the rule alone
    eventually(lambda: "masquerade" in nft(daemon, "list", "table", "inet", "cove"), seconds=3)
    daemon.stop()
    daemon.start()
    assert "drop" in nft(daemon, "list", "chain", "inet", "cove", "user")
    assert beside_fresh.page(url, 1) == ""
    nft(daemon, "flush", "chain", "inet", "cove", "user")
    assert beside_fresh.page(url) == "web\n"


def test_other_tables_are_left_alone(fresh_daemon: Daemon, beside_fresh: Neighbour) -> None:
    others = """
        table inet firewalld {
            chain forward { type filter hook forward priority filter + 10; policy accept; }
        }
        table ip filter {
            chain ufw-user-input {
                tcp dport 22 accept
            }
            chain INPUT {
                type filter hook input priority filter; policy accept;
                jump ufw-user-input
            }
        }
    """
    fresh_daemon.netns.run(["nft", "-f", "-"], input=others)
    listed = [nft(fresh_daemon, "list", "table", *name) for name in (("inet", "firewalld"), ("ip", "filter"))]
    serve(fresh_daemon, "web", "-p", "8080:80")
    fresh_daemon.fetch("http://127.0.0.1:8080/")
    assert beside_fresh.page(f"http://{HOST4}:8080/") == "web\n"
    nft(fresh_daemon, "delete", "table", "inet", "cove")
    fresh_daemon.stop()
    fresh_daemon.start()
    assert listed == [nft(fresh_daemon, "list", "table", *name) for name in (("inet", "firewalld"), ("ip", "filter"))]
    nft(fresh_daemon, "delete table inet firewalld; delete table ip filter")


def test_both_families_from_another_machine(daemon: Daemon, beside: Neighbour) -> None:
    daemon.docker(*DUAL)
    serve(daemon, "web", "--network", "dual", "-p", "8080:80")
    daemon.fetch("http://127.0.0.1:8080/")
    for url in (f"http://{HOST4}:8080/", f"http://[{HOST6}]:8080/"):
        assert beside.page(url) == "web\n"
    assert daemon.fetch("http://[::1]:8080/") == "web\n"


def test_nobody_routes_to_a_container_or_to_what_is_published_on_loopback(daemon: Daemon, beside: Neighbour) -> None:
    daemon.docker(*DUAL)
    inner = serve(daemon, "web", "--network", "dual", "-p", "127.0.0.1:8080:80", "-p", "[::1]:8080:80")
    inner6 = address(daemon, "web", 6)
    assert daemon.fetch("http://127.0.0.1:8080/") == daemon.fetch("http://[::1]:8080/") == "web\n"
    for setting in ("net.ipv4.conf.beside.route_localnet=1", "net.ipv4.conf.all.rp_filter=0"):
        daemon.netns.run(["sysctl", "-qw", setting])
    beside.run(["sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1"])
    beside.run("ip route flush table local 127.0.0.0/8".split(), check=False)
    beside.run("ip rule add to 127.0.0.1 lookup 77 priority 0".split())
    beside.run(["ip", "route", "add", "127.0.0.1", "via", HOST4, "dev", "eth0", "table", "77"])
    for destination in ("10.77.0.0/24", "fd00:77::/64"):
        beside.route(destination)
    for host in (f"{HOST4}:8080", f"[{HOST6}]:8080", "127.0.0.1:8080", f"{inner}:80", f"[{inner6}]:80"):
        assert beside.page(f"http://{host}/", 1) == "", host


def test_direct_routing_where_the_daemon_is_told_to_allow_it(
    fresh_daemon: Daemon, beside_fresh: Neighbour, told: Callable[..., None]
) -> None:
    told("--allow-direct-routing")
    fresh_daemon.docker(*DUAL)
    serve(fresh_daemon, "web", "--network", "dual", "-p", "8080:80", "-p", "8081:80")
    serve(fresh_daemon, "hidden", "--network", "dual")
    for destination in ("10.77.0.0/24", "fd00:77::/64"):
        beside_fresh.route(destination)
    web, web6 = address(fresh_daemon, "web"), address(fresh_daemon, "web", 6)
    assert beside_fresh.page(f"http://{web}/") == beside_fresh.page(f"http://[{web6}]/") == "web\n"
    assert beside_fresh.page(f"http://{address(fresh_daemon, 'hidden')}/", 1) == ""


@pytest.mark.parametrize("way", ["respect-input", "respect-ufw"])
def test_ports_that_respect_the_hosts_rules_for_input(daemon: Daemon, beside: Neighbour, way: str) -> None:
    daemon.docker("network", "create", "-o", f"cove.publish={way}", "held")
    serve(daemon, "web", "--network", "held", "-p", "8080:80")
    serve(daemon, "open", "-p", "8081:80")
    urls = [f"http://{host}:{port}/" for port in (8080, 8081) for host in (HOST4, f"[{HOST6}]")]
    assert daemon.fetch("http://127.0.0.1:8080/") == "web\n" and daemon.fetch("http://127.0.0.1:8081/") == "open\n"
    assert [beside.page(url) for url in urls] == ["web\n", "web\n", "open\n", "open\n"]
    ufw = """
        table inet ufw {
            chain input {
                type filter hook input priority filter;
                iifname beside tcp dport 8080 drop
            }
        }
    """
    daemon.netns.run(["nft", "-f", "-"], input=ufw)
    try:
        assert [beside.page(url, 1) for url in urls[:2]] == ["", ""]
        assert beside.page(urls[2]) == "open\n"
    finally:
        nft(daemon, "delete", "table", "inet", "ufw")
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 " + HOST4 + " 8080"
    assert "web" in daemon.docker("exec", "box", "sh", "-c", ask).out


@pytest.mark.needs("iptables")
def test_beside_a_firewall_that_forwards_nothing(daemon: Daemon, beside: Neighbour) -> None:
    """As ufw's and firewalld's defaults are: doctor names the rule, and what the documentation says helps."""
    daemon.netns.run("ip route add default via 192.0.2.2".split())
    daemon.docker("network", "create", "-o", "com.docker.network.bridge.name=brx", "net")
    serve(daemon, "web", "--network", "net", "-p", "8080:80")

    def dropped() -> list[str]:
        findings = json.loads(daemon.cove("doctor", "--format", "json").out)["Findings"]
        return [each["Evidence"] for each in findings if each["Id"] == "forward-dropped"]

    def sent() -> bool:
        return daemon.docker("exec", "web", "ping", "-c", "1", "-W", "1", "192.0.2.2", check=False).code == 0

    assert dropped() == [] and sent() and beside.page(f"http://{HOST4}:8080/") == "web\n"
    daemon.netns.run("iptables -P FORWARD DROP".split())
    try:
        assert not sent() and beside.page(f"http://{HOST4}:8080/", 1) == ""
        (evidence,) = dropped()
        assert "ip filter FORWARD (its policy) drops what brx (net) sends out by beside" in evidence
        for side in ("-i", "-o"):
            daemon.netns.run(["iptables", "-I", "FORWARD", side, "br+", "-j", "ACCEPT"])
        assert sent() and beside.page(f"http://{HOST4}:8080/") == "web\n"
        assert "net" not in str(dropped())
    finally:
        daemon.netns.run("iptables -P FORWARD ACCEPT".split())
        nft(daemon, "delete", "table", "ip", "filter")
        daemon.netns.run("ip route del default".split())


def test_a_host_that_forwards_goes_on_to_hear_its_router(fresh_daemon: Daemon, beside_fresh: Neighbour) -> None:
    """Turning forwarding on is all that makes it a router to the kernel, which would hear none any more."""
    own = fresh_daemon.netns
    own.run("sysctl -qw net.ipv6.conf.beside.accept_ra=1".split())
    assert own.run("sysctl -n net.ipv6.conf.all.forwarding".split()).stdout == "0\n"

    def routes() -> str:
        beside_fresh.run([sys.executable, "-I", "-c", ADVERTISE])
        return own.run("ip -6 route show default proto ra".split()).stdout

    eventually(routes)
    fresh_daemon.docker(*DUAL)
    assert "dev beside" in own.run("ip -6 route show default proto ra".split()).stdout
    own.run("ip -6 route flush default".split(), check=False)
    eventually(routes)
    backend = fresh_daemon.http("GET", "/info").json()["FirewallBackend"]
    told = dict(backend["Info"])["Kernel settings"].split()
    link = "net.ipv4.conf.br-" + json.loads(fresh_daemon.docker("network", "inspect", "dual").out)[0]["Id"][:12]
    wanted = ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.beside.accept_ra=2")
    assert {*wanted, f"{link}.route_localnet=1"} <= set(told)
    assert f" Firewall Backend: nftables\n  Kernel settings: {' '.join(told)}\n" in fresh_daemon.cove("info").out
    for setting in told:
        name, _, value = setting.partition("=")
        assert own.run(["sysctl", "-n", name]).stdout.strip() == value
    fresh_daemon.docker("network", "rm", "dual")
    assert link not in str(fresh_daemon.http("GET", "/info").json()["FirewallBackend"])


def test_flows_to_the_same_port_of_other_machines_stay(daemon: Daemon, beside: Neighbour) -> None:
    """A connection tracker's entry has no name; that of a flow that is forgotten begins with no packet heard."""
    with subprocess.Popen(beside.command([sys.executable, "-I", "-c", ECHO]), stdout=subprocess.PIPE) as server:
        eventually(lambda: ":2328" in beside.run(["cat", "/proc/net/udp"]).stdout)
        daemon.docker("run", "-d", "--name", "asks", "busybox", "sleep", "600")
        pid = daemon.docker("inspect", "-f", "{{.State.Pid}}", "asks").out.strip()
        asking = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-I", "-c", ASK, "192.0.2.2", "9002"]
        assert subprocess.run(asking, capture_output=True, text=True, check=True).stdout == "heard\n"
        daemon.docker("run", "-d", "--name", "udp", "-p", "9000:9000/udp", "busybox", "sleep", "600")
        flows = daemon.netns.run(["cat", "/proc/net/nf_conntrack"]).stdout.splitlines()
        assert [line for line in flows if "udp" in line and "sport=9002 dport=9000" in line]
        server.kill()


@pytest.mark.parametrize("way", ["forward", "respect-input"])
@pytest.mark.parametrize("host", [HOST4, HOST6, "127.0.0.1", "::1"])
def test_datagrams_of_one_flow_survive_a_restart(daemon: Daemon, beside: Neighbour, host: str, way: str) -> None:
    """IPv6 to a container without it is carried; the same flow goes on to the container's next run."""
    daemon.docker("network", "create", "-o", f"cove.publish={way}", "net")
    daemon.docker("run", "-d", "--name", "udp", "--network", "net", "-p", "9000:9000/udp", "busybox", "sleep", "600")
    asker = beside if host in (HOST4, HOST6) else daemon.netns
    for _ in range(2):
        pid = daemon.docker("inspect", "-f", "{{.State.Pid}}", "udp").out.strip()
        with subprocess.Popen(["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-I", "-c", ECHO]) as server:
            try:
                sent = asker.run([sys.executable, "-I", "-c", ASK, host, "9001"], check=False)
                assert sent.stdout == "heard\n", sent.stderr
            finally:
                server.kill()
        daemon.docker("restart", "-t", "0", "udp")


def test_without_rules_of_ours_a_relay_does_what_it_can(
    fresh_daemon: Daemon, beside_fresh: Neighbour, told: Callable[..., None]
) -> None:
    told("--iptables=false", "--ip6tables=false")
    assert "cove" not in nft(fresh_daemon, "list", "tables")
    serve(fresh_daemon, "web", "-p", "8080:80")
    assert fresh_daemon.fetch("http://127.0.0.1:8080/") == "web\n"
    for host in (HOST4, f"[{HOST6}]"):
        assert beside_fresh.page(f"http://{host}:8080/") == "web\n"
    bridge = json.loads(fresh_daemon.docker("network", "inspect", "bridge").out)[0]["Options"][
        "com.docker.network.bridge.name"
    ]
    setting = fresh_daemon.netns.run(["sysctl", "-n", f"net.ipv4.conf.{bridge}.route_localnet"]).stdout
    assert setting.strip() == "0"


def test_no_rules_of_one_family(fresh_daemon: Daemon, beside_fresh: Neighbour, told: Callable[..., None]) -> None:
    told("--ip6tables=false")
    fresh_daemon.docker(*DUAL)
    serve(fresh_daemon, "web", "--network", "dual", "-p", "8080:80")
    fresh_daemon.fetch("http://127.0.0.1:8080/")
    assert beside_fresh.page(f"http://{HOST4}:8080/") == beside_fresh.page(f"http://[{HOST6}]:8080/") == "web\n"
    assert "fd00:77" not in nft(fresh_daemon, "list", "table", "inet", "cove")


def test_the_default_network_as_the_daemon_is_told(fresh_daemon: Daemon, told: Callable[..., None]) -> None:
    told(
        "--bip=10.78.0.1/24",
        "--fixed-cidr=10.78.0.128/25",
        "--default-gateway=10.78.0.9",
        "--ipv6",
        "--bip6=fd00:78::1/64",
        "--fixed-cidr-v6=fd00:78::8000/113",
        "--default-gateway-v6=fd00:78::9",
        "--mtu=1400",
        "--icc=false",
        "--ip-masq=false",
        "--ip=127.0.0.1",
        "--default-network-opt=bridge=com.docker.network.driver.mtu=1300",
    )
    network = json.loads(fresh_daemon.docker("network", "inspect", "bridge").out)[0]
    assert network["EnableIPv6"] is True and len(network["IPAM"]["Config"]) == 2
    options = network["Options"]
    assert options["com.docker.network.bridge.enable_icc"] == "false"
    assert options["com.docker.network.bridge.enable_ip_masquerade"] == "false"
    assert options["com.docker.network.bridge.host_binding_ipv4"] == "127.0.0.1"
    seen = fresh_daemon.docker("run", "--rm", "busybox", "sh", "-c", "ip addr show eth0; ip route; ip -6 route").out
    assert "10.78.0.128/24" in seen and "mtu 1400" in seen
    assert "fd00:78::8000/128" in seen and re.search(r"fd00:78::/64 via fd00:78::\S+ dev eth0", seen), (
        "by the host alone"
    )
    assert "default via 10.78.0.9" in seen and "default via fd00:78::9" in seen
    serve(fresh_daemon, "web", "-p", "8080:80")
    assert fresh_daemon.docker("port", "web").out == "80/tcp -> 127.0.0.1:8080\n"
    fresh_daemon.docker("network", "create", "net")
    assert "mtu 1300" in fresh_daemon.docker("run", "--rm", "--network", "net", "busybox", "ip", "addr").out
    assert "10.78.0" not in "".join(re.findall(r"set masqueraded4 {.*?}", nft(fresh_daemon, "list", "ruleset"), re.S))


def test_marked_packets_reach_every_container(
    fresh_daemon: Daemon, beside_fresh: Neighbour, told: Callable[..., None]
) -> None:
    told("--bridge-accept-fwmark=0x10/0xf0")
    fresh_daemon.docker(*DUAL)
    fresh_daemon.docker("network", "create", "--internal", "--subnet", "10.79.0.0/24", "closed")
    serve(fresh_daemon, "web", "--network", "dual")
    serve(fresh_daemon, "inner", "--network", "closed")
    for destination in ("10.77.0.0/24", "fd00:77::/64", "10.79.0.0/24"):
        beside_fresh.route(destination)
    web, web6 = address(fresh_daemon, "web"), address(fresh_daemon, "web", 6)
    assert beside_fresh.page(f"http://{web}/", 1) == beside_fresh.page(f"http://[{web6}]/", 1) == ""
    nft(fresh_daemon, "add", "table", "inet", "marks")
    nft(fresh_daemon, "add", "chain", "inet", "marks", "c", "{ type filter hook prerouting priority -200; }")
    nft(fresh_daemon, "add", "rule", "inet", "marks", "c", "iifname", "beside", "meta", "mark", "set", "0x15")
    try:
        assert beside_fresh.page(f"http://{web}/") == beside_fresh.page(f"http://[{web6}]/") == "web\n"
        assert beside_fresh.page(f"http://{address(fresh_daemon, 'inner')}/", 1) == "", "internal stays internal"
    finally:
        nft(fresh_daemon, "delete", "table", "inet", "marks")


def test_without_forwarding_the_host_is_left_as_it_is(
    fresh_daemon: Daemon, beside_fresh: Neighbour, told: Callable[..., None]
) -> None:
    fresh_daemon.stop()
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        fresh_daemon.netns.run(["sysctl", "-qw", f"{name}=0"])
    fresh_daemon.start()
    told("--ip-forward=false")
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        fresh_daemon.netns.run(["sysctl", "-qw", f"{name}=0"])
    fresh_daemon.docker(*DUAL)
    serve(fresh_daemon, "web", "--network", "dual", "-p", "8080:80")
    shown = fresh_daemon.netns.run(["sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"]).stdout
    assert shown.split() == ["0", "0"]
    assert fresh_daemon.fetch("http://127.0.0.1:8080/") == "web\n", "from the host nothing is forwarded"
    assert beside_fresh.page(f"http://{HOST4}:8080/", 1) == ""
    trace = fresh_daemon.cove("network", "trace", "web", "192.0.2.2", check=False)
    assert trace.code == 1 and "does not forward IPv4" in trace.out
    for name in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        fresh_daemon.netns.run(["sysctl", "-qw", f"{name}=1"])
    assert beside_fresh.page(f"http://{HOST4}:8080/") == "web\n"


def test_sctp_is_translated_like_the_others(daemon: Daemon) -> None:
    """The rules, for which the kernel needs no such sockets."""
    daemon.docker(*DUAL)
    daemon.docker("run", "-d", "--name", "web", "--network", "dual", "-p", "5000:6000/sctp", "busybox", "sleep", "600")
    assert daemon.docker("port", "web").out == "6000/sctp -> 0.0.0.0:5000\n6000/sctp -> [::]:5000\n"
    web, web6 = address(daemon, "web"), address(daemon, "web", 6)
    for name, target in (("published4_any", web), ("published6_any", web6)):
        assert re.search(rf"sctp . 5000 : {target} . 6000", nft(daemon, "list", "map", "inet", "cove", name))
    taken = daemon.docker("run", "--rm", "-p", "5000:1/sctp", "busybox", "true", check=False)
    assert taken.code == 125 and "port is already allocated" in taken.err
    daemon.docker("run", "--rm", "-p", "5000:1/tcp", "busybox", "true")
    daemon.docker("rm", "-f", "web")
    assert "5000" not in nft(daemon, "list", "table", "inet", "cove")
