"""``cove update --publish-add``, ``--publish-rm``: what a running container publishes is changed under its traffic."""

import json
import subprocess
import sys
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.neighbour import HOST4, HOST6, neighbour

pytestmark = pytest.mark.needs("cove")

SERVE = ("busybox", "sh", "-c", "mkdir /www; echo $HOSTNAME >/www/index.html; exec httpd -f -p 80 -h /www")


def serve(engine: Engine, *flags: str, name: str = "web") -> None:
    engine.docker("run", "-d", "--name", name, "--hostname", name, *flags, *SERVE)


def refused(engine: Engine, port: int) -> None:
    with pytest.raises(AssertionError, match="refused"):
        engine.fetch(f"http://127.0.0.1:{port}/", seconds=0)


def bindings(engine: Engine) -> Any:
    return json.loads(engine.docker("inspect", "-f", "{{json .HostConfig.PortBindings}}", "web").out)


def test_a_running_container(daemon: Daemon) -> None:
    serve(daemon, "-p", "9090:80")
    assert daemon.fetch("http://127.0.0.1:9090/") == "web\n"
    assert daemon.cove("update", "--publish-add", "8080:80", "--publish-rm", "9090", "web").out == "web\n"
    with neighbour(daemon) as other:
        for url in (f"http://{HOST4}:8080/", f"http://[{HOST6}]:8080/"):
            assert other.page(url) == "web\n"
        assert other.page(f"http://{HOST4}:9090/") == ""
    refused(daemon, 9090)
    assert daemon.docker("port", "web").out == "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n"
    assert bindings(daemon) == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}
    daemon.docker("restart", "-t", "0", "web")
    assert daemon.fetch("http://127.0.0.1:8080/") == "web\n"
    serve(daemon, "-p", "9090:80", name="other")  # the port is free for others
    assert daemon.fetch("http://127.0.0.1:9090/") == "other\n"


ECHO = """
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.bind(("::", 9000))
print("ready", flush=True)
while True:
    data, sender = server.recvfrom(100)
    server.sendto(b"heard " + data, sender)
"""
SAY = """
import socket, sys
client = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(float(sys.argv[3]))
client.connect((sys.argv[1], int(sys.argv[2])))
try:
    client.send(b"it")
    print(client.recv(100).decode())
except OSError:
    print("nothing")
"""


@pytest.mark.parametrize("family", [(), ("--ipv6", "--subnet", "fd00:78::/64")])
def test_datagrams_in_both_families(daemon: Daemon, family: tuple[str, ...]) -> None:
    """To a container with and without IPv6, which decides whether the kernel or the relay carries it."""
    daemon.docker("network", "create", "--subnet", "10.78.0.0/24", *family, "net")
    daemon.docker("run", "-d", "--name", "web", "--network", "net", "busybox", "sleep", "600")
    pid = daemon.docker("inspect", "-f", "{{.State.Pid}}", "web").out.strip()
    inside = ["nsenter", f"--net=/proc/{pid}/ns/net", sys.executable, "-I", "-c", ECHO]
    with neighbour(daemon) as other, subprocess.Popen(inside, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"

        def heard(host: str, seconds: str) -> str:
            return other.run([sys.executable, "-I", "-c", SAY, host, "9001", seconds]).stdout.strip()

        daemon.cove("update", "--publish-add", "9001:9000/udp", "web")
        assert [heard(host, "10") for host in (HOST4, HOST6)] == ["heard it", "heard it"]
        daemon.cove("update", "--publish-rm", "9001/udp", "web")
        assert [heard(host, "0.5") for host in (HOST4, HOST6)] == ["nothing", "nothing"]
        server.kill()


def test_by_a_path_of_our_own(daemon: Daemon) -> None:
    serve(daemon, "-p", "9090:80")
    edit = {"Add": {"80/tcp": [{"HostPort": "8080"}]}, "Remove": ["9090"]}
    assert daemon.http("POST", "/cove/containers/web/ports", edit).status == 200
    assert daemon.fetch("http://127.0.0.1:8080/") == "web\n"
    refused(daemon, 9090)
    for wrong, words in (({}, "Add or Remove"), ({"Remove": ["9090"]}, "9090"), ({"Add": {"x/tcp": None}}, '"x"')):
        answer = daemon.http("POST", "/cove/containers/web/ports", wrong)
        assert answer.status == 400 and words in answer.json()["message"]
    assert bindings(daemon) == {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}


def test_the_next_daemon_has_the_same(fresh_daemon: Daemon) -> None:
    serve(fresh_daemon, "-p", "9090:80")
    fresh_daemon.cove("update", "--publish-add", "127.0.0.1:8080:80", "--publish-rm", "9090", "web")
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert fresh_daemon.fetch("http://127.0.0.1:8080/") == "web\n"
    refused(fresh_daemon, 9090)


def test_what_is_taken_changes_nothing(daemon: Daemon) -> None:
    serve(daemon, "-p", "9090:80", "-m", "64m", "--memory-swap", "64m")
    serve(daemon, "-p", "8080:80", name="other")
    assert daemon.fetch("http://127.0.0.1:9090/") == "web\n"
    before = daemon.docker("inspect", "-f", "{{json .HostConfig}} {{json .NetworkSettings}}", "web").out
    words = (
        "update",
        "--publish-rm",
        "9090",
        "--publish-add",
        "8081:80",
        "--publish-add",
        "8080:80",
        "-m",
        "32m",
        "web",
    )
    done = daemon.cove(*words, check=False)
    assert done.code == 1 and "Bind for 0.0.0.0:8080 failed: port is already allocated" in done.err
    assert daemon.docker("inspect", "-f", "{{json .HostConfig}} {{json .NetworkSettings}}", "web").out == before
    assert daemon.fetch("http://127.0.0.1:9090/") == "web\n"
    refused(daemon, 8081)
    done = daemon.cove("update", "--publish-rm", "7777", "web", check=False)
    assert done.code == 1 and "does not publish port 7777" in done.err


def test_a_port_moves_to_another_of_the_container(daemon: Daemon) -> None:
    serve(daemon, "-p", "8080:81", "-p", "80")
    assert daemon.cove("update", "--publish-rm", "8080", "--publish-add", "8080:80", "web").code == 0
    assert daemon.fetch("http://127.0.0.1:8080/") == "web\n"
    ports = {line.rpartition(":")[2] for line in daemon.docker("port", "web", "80").out.splitlines()}
    (random,) = ports - {"8080"}
    daemon.cove("update", "--publish-rm", "8080", "web")
    assert daemon.fetch(f"http://127.0.0.1:{random}/") == "web\n"
    daemon.cove("update", "--publish-rm", random, "web")
    assert daemon.docker("port", "web").out == "" and not bindings(daemon)


def test_stopped_and_without_ports_of_its_own(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "web", "--hostname", "web", *SERVE)
    daemon.cove("update", "--publish-add", "8080:80", "web")
    before = bindings(daemon)
    for twice in ("8080:80", "8080:81", "0.0.0.0:8080:82"):
        done = daemon.cove("update", "--publish-add", "8082:80", "--publish-add", twice, "web", check=False)
        assert done.code == 1 and "Bind for 0.0.0.0:8080 failed: port is already allocated" in done.err
    assert bindings(daemon) == before
    daemon.docker("start", "web")
    assert daemon.fetch("http://127.0.0.1:8080/") == "web\n"
    daemon.docker("run", "-d", "--name", "bare", "--network", "none", "busybox", "sleep", "600")
    done = daemon.cove("update", "--publish-add", "8081:80", "bare", check=False)
    assert done.code == 1 and "conflicting options: port publishing and the network mode none" in done.err


HOLD = """
import socket, sys, time
for _ in range(100):
    try:
        held = socket.create_connection(("127.0.0.1", 9090), 5)
        held.send(b"a")
        if held.recv(1):
            break
    except OSError:
        time.sleep(0.05)
print("held", flush=True)
sys.stdin.readline()
held.send(b"b")
print(held.recv(1).decode())
"""


def test_a_connection_lives_on_when_other_ports_change(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "web", "-p", "9090:80", "busybox", "nc", "-ll", "-p", "80", "-e", "cat")
    command = daemon.netns.command([sys.executable, "-I", "-c", HOLD])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None and client.stdout.readline() == "held\n"
        daemon.cove("update", "--publish-add", "8080:80", "web")
        assert client.communicate("\n", timeout=10)[0] == "b\n"


def test_many_at_once(daemon: Daemon) -> None:
    serve(daemon)
    clients = [daemon.spawned("cove", "update", "--publish-add", f"{8100 + n}:80", "web") for n in range(8)]
    for client in clients:
        with client as process:
            assert process.wait(30) == 0
    assert len(daemon.docker("port", "web").out.splitlines()) == 16
    assert daemon.fetch("http://127.0.0.1:8107/") == "web\n"
