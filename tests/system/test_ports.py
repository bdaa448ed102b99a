"""Published ports and the default network, as seen from the machine, from other containers and by ``docker port``."""

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.engine import FETCH, Engine
from harness.netns import NetworkNamespace
from harness.waiting import eventually

SERVE = ("busybox", "sh", "-c", "mkdir /www; echo $HOSTNAME >/www/index.html; exec httpd -f -p 80 -h /www")

ANSWER_ONE_DATAGRAM = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 9000))
data, sender = server.recvfrom(100)
server.sendto(b"heard " + data, sender)
"""
SEND_UNTIL_ANSWERED = """
import socket, sys
for _ in range(100):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(0.1)
    try:
        client.sendto(b"ping", (sys.argv[1], 9000))
        sys.exit(print(client.recv(100).decode()))
    except OSError:
        pass
sys.exit("no answer")
"""


def serve(engine: Engine, name: str, *flags: str) -> str:
    """A small web server whose page is its host name; its address."""
    engine.docker("run", "-d", "--name", name, "--hostname", name, *flags, *SERVE)
    return address(engine, name)


def address(engine: Engine, name: str) -> str:
    template = "{{.NetworkSettings.Networks.bridge.IPAddress}}"
    return engine.docker("inspect", "-f", template, name).out.strip()


def page_from(engine: Engine, container: str, host: str, port: int) -> str:
    """The page as a container sees it (busybox's static wget does not live long)."""
    script = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {host} {port}"
    return engine.docker("exec", container, "sh", "-c", script).out.split("\n\n")[-1].split("\r\n\r\n")[-1]


def gateway(engine: Engine, name: str) -> str:
    return engine.docker("inspect", "-f", "{{.NetworkSettings.Gateway}}", name).out.strip()


def test_by_every_address_of_the_machine(daemon: Engine) -> None:
    serve(daemon, "web", "-p", "8080:80")
    assert daemon.fetch("http://127.0.0.1:8080/") == "web\n"
    assert daemon.fetch(f"http://{gateway(daemon, 'web')}:8080/") == "web\n"


def test_by_its_own_address(daemon: Engine) -> None:
    assert daemon.fetch(f"http://{serve(daemon, 'web')}/") == "web\n"


def test_on_one_address_only(daemon: Engine) -> None:
    serve(daemon, "web", "-p", "127.0.0.1:8080:80")
    assert daemon.fetch("http://127.0.0.1:8080/") == "web\n"
    with pytest.raises(AssertionError, match="refused"):
        daemon.fetch(f"http://{gateway(daemon, 'web')}:8080/", seconds=0)


def test_from_another_container(daemon: Engine) -> None:
    target = serve(daemon, "web", "-p", "8080:80")
    daemon.fetch("http://127.0.0.1:8080/")
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    assert page_from(daemon, "box", target, 80) == "web\n"
    assert page_from(daemon, "box", gateway(daemon, "web"), 8080) == "web\n"


def test_from_itself_by_the_published_port(daemon: Engine) -> None:
    serve(daemon, "web", "-p", "8080:80")
    daemon.fetch("http://127.0.0.1:8080/")
    assert page_from(daemon, "web", gateway(daemon, "web"), 8080) == "web\n"


def test_random_port(daemon: Engine) -> None:
    serve(daemon, "web", "-p", "80")
    port = re.search(r"0\.0\.0\.0:(\d+)", daemon.docker("port", "web", "80").out)
    assert port is not None
    assert 1024 < int(port[1]) < 65536
    assert daemon.fetch(f"http://127.0.0.1:{port[1]}/") == "web\n"


def test_all_exposed_ports(daemon: Engine) -> None:
    serve(daemon, "web", "-P", "--expose", "80", "--expose", "81/udp")
    lines = daemon.docker("port", "web").out.splitlines()
    assert {line.split(" -> ")[0] for line in lines} == {"80/tcp", "81/udp"}


def test_range(daemon: Engine) -> None:
    serve(daemon, "web", "-p", "8100-8102:80-82")
    pairs = [line for line in daemon.docker("port", "web").out.splitlines() if "0.0.0.0" in line]
    assert sorted(pairs) == [f"{80 + n}/tcp -> 0.0.0.0:{8100 + n}" for n in range(3)]


def test_one_of_a_range(daemon: Engine) -> None:
    for number in range(2):
        serve(daemon, f"web{number}", "-p", "8200-8201:80")
    assert {daemon.fetch(f"http://127.0.0.1:{port}/") for port in (8200, 8201)} == {"web0\n", "web1\n"}


def test_port_that_is_taken(daemon: Engine) -> None:
    serve(daemon, "web", "-p", "8080:80")
    done = daemon.docker("run", "--name", "late", "-p", "8080:80", "busybox", "true", check=False)
    assert done.code == 125
    assert "port is already allocated" in done.err
    daemon.docker("rm", "-f", "web")
    assert daemon.docker("start", "-a", "late").code == 0


def test_port_is_free_after_the_container(daemon: Engine) -> None:
    for _ in range(2):
        serve(daemon, "web", "-p", "8080:80")
        assert daemon.fetch("http://127.0.0.1:8080/") == "web\n"
        daemon.docker("rm", "-f", "web")
    with pytest.raises(AssertionError, match="refused"):
        daemon.fetch("http://127.0.0.1:8080/", seconds=0)


def test_stopped_and_started_again(daemon: Engine) -> None:
    serve(daemon, "web", "-p", "8080:80")
    daemon.docker("restart", "-t", "0", "web")
    assert daemon.fetch("http://127.0.0.1:8080/") == "web\n"


@pytest.mark.parametrize("by", ["loopback", "gateway"])
def test_datagrams(daemon: Engine, by: str) -> None:
    daemon.docker("run", "-d", "--name", "udp", "-p", "9000:9000/udp", "busybox", "sleep", "600")
    pid = daemon.docker("inspect", "-f", "{{.State.Pid}}", "udp").out.strip()
    server = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-I", "-c", ANSWER_ONE_DATAGRAM]
    target = "127.0.0.1" if by == "loopback" else gateway(daemon, "udp")
    with subprocess.Popen(server) as process:
        sent = daemon.netns.run([sys.executable, "-I", "-c", SEND_UNTIL_ANSWERED, target], check=False)
        process.kill()
    assert sent.stdout == "heard ping\n", sent.stderr


@pytest.fixture
def elsewhere(daemon: Engine) -> Iterator[NetworkNamespace]:
    """Another machine, 192.0.2.2: a namespace that a veth joins to the engine's, which is 192.0.2.1."""
    namespace = NetworkNamespace(f"{daemon.name}-x")
    try:
        daemon.netns.run(f"ip link add outside type veth peer name eth0 netns {namespace.name}".split())
        daemon.netns.run("ip addr add 192.0.2.1/24 dev outside".split())
        daemon.netns.run("ip link set outside up".split())
        namespace.run("ip addr add 192.0.2.2/24 dev eth0".split())
        namespace.run("ip link set eth0 up".split())
        yield namespace
    finally:
        namespace.delete()


def test_from_another_machine(daemon: Engine, elsewhere: NetworkNamespace) -> None:
    serve(daemon, "web", "-p", "8080:80")
    daemon.fetch("http://127.0.0.1:8080/")
    fetch = [sys.executable, "-I", "-c", FETCH, "http://192.0.2.1:8080/"]
    assert elsewhere.run(fetch).stdout == "web\n"


def test_another_machine_sees_the_engines_address(daemon: Engine, elsewhere: NetworkNamespace) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    listen = ["busybox", "nc", "-ll", "-p", "7000", "-e", "busybox", "netstat", "-tn"]
    with subprocess.Popen(elsewhere.command(listen)) as server:
        call = ("exec", "box", "nc", "-w", "3", "192.0.2.2", "7000")
        seen = eventually(lambda: daemon.docker(*call, check=False).out, seconds=15)
        server.kill()
    assert re.search(r"192\.0\.2\.2:7000\s+(::ffff:)?192\.0\.2\.1:", seen)
    assert address(daemon, "box") not in seen


def test_a_hundred_random_ports_at_once(daemon: Engine) -> None:
    """Each is its container's alone, from the range that the kernel gives ports of its own from."""
    image = {"Image": "busybox", "Cmd": ["sleep", "600"], "HostConfig": {"PublishAllPorts": True}}
    exposed = {"ExposedPorts": {f"{port}/tcp": {} for port in range(1, 11)}}
    names = [f"box{number}" for number in range(10)]
    for name in names:
        assert daemon.http("POST", f"/containers/create?name={name}", {**image, **exposed}).status == 201
    with ThreadPoolExecutor(10) as pool:
        started = pool.map(lambda name: daemon.http("POST", f"/containers/{name}/start").status, names)
        assert set(started) == {204}
    given = [
        int(binding["HostPort"])
        for name in names
        for bindings in daemon.http("GET", f"/containers/{name}/json").json()["NetworkSettings"]["Ports"].values()
        for binding in bindings
        if binding["HostIp"] == "0.0.0.0"
    ]
    low, high = map(int, daemon.netns.run(["sysctl", "-n", "net.ipv4.ip_local_port_range"]).stdout.split())
    assert len(set(given)) == len(given) == 100 and all(low <= port <= high for port in given)


def test_ports_that_the_image_exposes(daemon: Engine) -> None:
    daemon.docker("create", "--name", "base", "busybox", "sleep", "600")
    daemon.docker("commit", "--change", "EXPOSE 80 81/udp", "base", "exposing")
    daemon.docker("run", "-d", "--name", "web", "-P", "exposing")
    lines = daemon.docker("port", "web").out.splitlines()
    assert {line.split(" -> ")[0] for line in lines} == {"80/tcp", "81/udp"}
    daemon.docker("rm", "-f", "web")
    daemon.docker("rmi", "exposing")
