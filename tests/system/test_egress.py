"""Egress policies, with real packets: what is allowed passes, by name or by network, and nothing else does."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from harness.daemon import Daemon
from harness.dns_server import host_address, host_server, running
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")

SLEEP = ("sleep", "600")
GOOD, BAD, NAMED = "198.51.100.1", "198.51.100.2", "198.51.100.3"
NAMED6, BAD6 = "2001:db8:5::3", "2001:db8:5::2"
SERVER = """
import socket, sys, threading
def serve(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, int(sys.argv[1])), family=family)
    while True:
        connection, _ = listener.accept()
        connection.sendall(b"here\\n"); connection.close()
for address in sys.argv[2:]:
    threading.Thread(target=serve, args=(address,)).start()
print("ready", flush=True)
"""


@contextlib.contextmanager
def outside(daemon: Engine) -> Iterator[list[str]]:
    """Machines outside (on the host's loopback), and the DNS server that knows them."""
    addresses = (GOOD, BAD, NAMED, NAMED6, BAD6)
    with contextlib.ExitStack() as stack:
        for address in (*addresses, host_server()):
            stack.enter_context(host_address(daemon.netns, address))
        for port in ("80", "81"):
            argv = daemon.netns.command([sys.executable, "-c", SERVER, port, *addresses])
            process = stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
        names = (
            f"named.test={NAMED}/1",
            f"named.test={NAMED6}",
            f"sub.wild.test={NAMED}",
            f"other.test={BAD}",
            f"long.test={GOOD}/600",
        )
        yield stack.enter_context(running(daemon.netns.command([]), host_server(), *names))


@pytest.fixture
def world(daemon: Engine) -> Iterator[list[str]]:
    with outside(daemon) as questions:
        yield questions


def reaches(engine: Engine, name: str, target: str, port: int = 80) -> bool:
    """A connection that is answered within a second."""
    done = engine.docker("exec", name, "nc", "-w", "1", target, str(port), check=False)
    return "here" in done.out


def started(engine: Engine, policy: str, *flags: str, name: str = "box") -> None:
    engine.cove("run", "-d", "--name", name, "--egress", policy, *flags, "busybox", *SLEEP)


@pytest.mark.parametrize("network", ["bridge", "net"])
def test_only_what_is_allowed_passes(daemon: Engine, world: list[str], network: str) -> None:
    if network == "net":
        daemon.docker("network", "create", "--ipv6", "--subnet", "fd00:77::/64", "net")
    started(daemon, f"allow={GOOD}/32:80,named.test,*.wild.test:81", "--network", network)
    assert reaches(daemon, "box", GOOD) and not reaches(daemon, "box", GOOD, 81)
    assert not reaches(daemon, "box", BAD)
    assert not reaches(daemon, "box", NAMED), "nobody has asked for its name yet"
    assert reaches(daemon, "box", "named.test")
    assert not reaches(daemon, "box", "other.test") and not [each for each in world if each.startswith("other")]
    if network == "net":
        assert reaches(daemon, "box", NAMED6) and not reaches(daemon, "box", BAD6)


def test_a_name_with_a_port_opens_that_port(daemon: Engine, world: list[str]) -> None:
    started(daemon, "allow=*.wild.test:81")
    assert reaches(daemon, "box", "sub.wild.test", 81) and not reaches(daemon, "box", "sub.wild.test", 80)
    assert not reaches(daemon, "box", "wild.test", 81)


def test_no_other_resolver_and_no_other_sender(daemon: Engine, world: list[str]) -> None:
    started(daemon, "allow=named.test", "--privileged")
    asked = daemon.docker("exec", "box", "nslookup", "-type=a", "named.test", host_server(), check=False)
    assert NAMED not in asked.out and world == []
    shown = json.loads(daemon.docker("inspect", "box").out)[0]["NetworkSettings"]["Networks"]["bridge"]
    other = shown["IPAddress"].rsplit(".", 1)[0] + ".77"
    daemon.docker("exec", "box", "ip", "address", "del", f"{shown['IPAddress']}/16", "dev", "eth0")
    daemon.docker("exec", "box", "ip", "address", "add", f"{other}/16", "dev", "eth0")
    daemon.docker("exec", "box", "ip", "route", "add", "default", "via", shown["Gateway"])
    assert not reaches(daemon, "box", GOOD)
    daemon.cove("update", "--egress", "none", "box")
    assert reaches(daemon, "box", GOOD), "without a policy that would work"


def test_neighbours_stay_and_the_host_does_not(daemon: Engine, world: list[str]) -> None:
    daemon.docker("network", "create", "net")
    listen = "while :; do echo here | nc -l -p 80; done"
    daemon.docker("run", "-d", "--name", "web", "--network", "net", "busybox", "sh", "-c", listen)
    started(daemon, "deny", "--network", "net")
    assert reaches(daemon, "box", "web")
    gateway = json.loads(daemon.docker("network", "inspect", "net").out)[0]["IPAM"]["Config"][0]["Gateway"]
    assert daemon.docker("exec", "box", "ping", "-c", "1", "-W", "1", gateway, check=False).code != 0


def test_a_policy_changes_live_and_says_what_it_denies(daemon: Engine, world: list[str]) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", *SLEEP)
    assert reaches(daemon, "box", GOOD) and reaches(daemon, "box", BAD)
    daemon.cove("update", "--egress", "allow=named.test", "box")
    assert not reaches(daemon, "box", GOOD) and reaches(daemon, "box", "named.test") and reaches(daemon, "box", NAMED)
    daemon.cove("update", "--egress", "deny", "box")
    assert not reaches(daemon, "box", NAMED) and not reaches(daemon, "box", "named.test")
    until = f"{time.time():.3f}"  # in whole seconds it would be before what has just happened
    told = daemon.docker("events", "--since", "1m", "--until", until, "--filter", "event=egress_denied").out
    assert "destination=named.test" in told
    daemon.cove("update", "--egress", "none", "box")
    assert reaches(daemon, "box", BAD)


def test_an_address_is_open_as_long_as_its_name_says(daemon: Engine, world: list[str]) -> None:
    """By the TTL of the answer, and a minute at least, as clients keep addresses longer than they should."""
    started(daemon, "allow=named.test,long.test")
    for name in ("named.test", "long.test"):
        daemon.docker("exec", "box", "nslookup", "-type=a", name)
    listed = json.loads(daemon.netns.run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]
    (opened,) = [item["set"]["elem"] for item in listed if item.get("set", {}).get("name") == "names4"]
    timeouts = {each["elem"]["val"]["concat"][1]: each["elem"]["timeout"] for each in opened}
    assert timeouts == {NAMED: 60, GOOD: 600}


def test_an_address_is_nobody_s_after_its_container(daemon: Engine, world: list[str]) -> None:
    started(daemon, "allow=named.test")
    assert reaches(daemon, "box", "named.test")
    daemon.docker("rm", "-f", "box")
    started(daemon, "deny")
    assert not reaches(daemon, "box", NAMED)


def test_an_address_that_was_left_is_under_no_policy(daemon: Engine, world: list[str]) -> None:
    for name, subnet in (("one", "10.81.0.0/24"), ("two", "10.82.0.0/24")):
        daemon.docker("network", "create", "--subnet", subnet, name)
    started(daemon, f"allow={GOOD}", "--network", "one", "--ip", "10.81.0.9")
    daemon.docker("network", "connect", "two", "box")
    daemon.docker("network", "disconnect", "one", "box")
    assert reaches(daemon, "box", GOOD) and not reaches(daemon, "box", BAD)
    daemon.docker("run", "-d", "--name", "next", "--network", "one", "--ip", "10.81.0.9", "busybox", *SLEEP)
    assert reaches(daemon, "next", BAD)


def test_tables_go_with_the_last_policy(daemon: Daemon, world: list[str]) -> None:
    daemon.docker("network", "create", "net")
    started(daemon, "deny", "--network", "net")
    assert "_egress" in daemon.netns.run(["nft", "list", "tables"]).stdout
    daemon.docker("network", "disconnect", "net", "box")
    daemon.docker("rm", "-f", "box")
    assert "_egress" not in daemon.netns.run(["nft", "list", "tables"]).stdout


def test_a_policy_outlives_the_daemon(fresh_daemon: Daemon) -> None:
    daemon = fresh_daemon
    with outside(daemon):
        started(daemon, "allow=named.test")
        pid = str(json.loads(daemon.docker("inspect", "box").out)[0]["State"]["Pid"])
        assert reaches(daemon, "box", "named.test")
        daemon.kill9()
        program = f"import socket; socket.create_connection(('{BAD}', 80), timeout=1)"
        blocked = subprocess.run(["nsenter", "-t", pid, "-n", sys.executable, "-c", program], capture_output=True)
        assert blocked.returncode != 0
        daemon.start()
        assert (
            not reaches(daemon, "box", BAD) and reaches(daemon, "box", NAMED) and reaches(daemon, "box", "named.test")
        )


def learned(engine: Engine, name: str = "box") -> str:
    return engine.cove("network", "egress", "-q", name).out.strip()


def test_what_was_learned_is_a_policy(daemon: Engine, world: list[str]) -> None:
    daemon.docker("network", "create", "--ipv6", "--subnet", "fd00:77::/64", "net")
    started(daemon, "learn", "--network", "net")
    assert learned(daemon) == "deny"
    assert reaches(daemon, "box", "named.test") and reaches(daemon, "box", GOOD) and reaches(daemon, "box", BAD6, 81)
    lookup = ("exec", "box", "nslookup", "-type=a", "other.test")
    assert BAD in daemon.docker(*lookup).out, "asked for, but not connected to"
    policy = learned(daemon)
    assert policy == f"allow=named.test:80,{GOOD}:80,[{BAD6}]:81"
    shown = daemon.cove("network", "egress", "box").out
    assert (
        "Policy: learn" in shown
        and ["named.test", "80/tcp", NAMED] in [line.split() for line in shown.splitlines()]
        and f"--egress {policy}" in shown
    )
    daemon.cove("update", "--egress", policy, "box")
    assert reaches(daemon, "box", "named.test") and reaches(daemon, "box", GOOD) and not reaches(daemon, "box", BAD)
    assert learned(daemon) == policy, "it is kept"
    daemon.cove("update", "--egress", "learn", "box")
    assert learned(daemon) == "deny", "and begun anew"
    daemon.docker("exec", "box", "ping", "-c", "1", GOOD)
    assert learned(daemon) == f"allow={GOOD}"


def test_learning_adds_up_over_runs_and_ends_with_the_container(daemon: Engine, world: list[str]) -> None:
    started(daemon, "learn")
    assert reaches(daemon, "box", "named.test")
    daemon.docker("restart", "-t", "0", "box")
    assert reaches(daemon, "box", GOOD, 81)
    daemon.docker("kill", "box")
    assert learned(daemon) == f"allow=named.test:80,{GOOD}:81"
    daemon.docker("rm", "box")
    started(daemon, "learn")
    assert learned(daemon) == "deny"


def test_what_was_learned_comes_back_with_the_container(daemon: Engine, world: list[str]) -> None:
    started(daemon, "learn")
    assert reaches(daemon, "box", "named.test") and reaches(daemon, "box", GOOD, 81)
    before = learned(daemon)
    daemon.docker("rm", "-f", "box")
    daemon.cove("undo")
    assert learned(daemon) == before == f"allow=named.test:80,{GOOD}:81"
    daemon.docker("start", "box")
    assert reaches(daemon, "box", BAD) and learned(daemon) == f"{before},{BAD}:80"


@pytest.mark.parametrize("damage", ["flush ruleset", "delete table inet", "flush table inet", "delete table bridge"])
def test_a_policy_that_somebody_removes_is_back_at_once(daemon: Engine, world: list[str], damage: str) -> None:
    started(daemon, f"allow={GOOD}/32,named.test")
    started(daemon, "learn", name="pupil")
    assert reaches(daemon, "box", "named.test") and reaches(daemon, "box", GOOD) and not reaches(daemon, "box", BAD)
    tables = daemon.netns.run(["nft", "list", "tables"]).stdout
    own = next(line.split()[2] for line in tables.splitlines() if line.endswith("_egress"))
    daemon.netns.run(["nft", *damage.split(), *([own] if "table" in damage else [])])
    eventually(lambda: not reaches(daemon, "box", BAD))
    eventually(lambda: set(daemon.netns.run(["nft", "list", "tables"]).stdout.splitlines()) == set(tables.splitlines()))
    assert reaches(daemon, "box", GOOD) and reaches(daemon, "box", "named.test") and reaches(daemon, "pupil", GOOD)
    eventually(lambda: learned(daemon, "pupil") == f"allow={GOOD}:80")


def test_learning_goes_on_without_the_daemon(fresh_daemon: Daemon) -> None:
    daemon = fresh_daemon
    with outside(daemon):
        for name in ("box", "ends"):
            started(daemon, "learn", name=name)
            pid = json.loads(daemon.docker("inspect", name).out)[0]["State"]["Pid"]
            if name == "box":
                daemon.docker(
                    "exec", "-d", "box", "sh", "-c", "while [ ! -e /go ]; do sleep 0.1; done; nc named.test 80 >/done"
                )
                inside = ["nsenter", "-t", str(pid), "-a"]
        daemon.kill9()
        subprocess.run([*inside, "touch", "/go"], check=True)
        waiting = "until [ -s /done ]; do sleep 0.1; done"
        subprocess.run([*inside, "sh", "-c", waiting], check=True, timeout=20)
        program = f"import socket; socket.create_connection(('{GOOD}', 81), timeout=5)"
        subprocess.run(["nsenter", "-t", str(pid), "-n", sys.executable, "-c", program], check=True)
        os.kill(pid, signal.SIGKILL)
        daemon.start()
        assert learned(daemon) == "allow=named.test:80"
        assert learned(daemon, "ends") == f"allow={GOOD}:81"


def test_dropped_packets_are_told_of_once(daemon: Engine, world: list[str]) -> None:
    started(daemon, "deny")
    for _ in range(2):
        assert not reaches(daemon, "box", BAD, 81)
    daemon.docker("exec", "box", "ping", "-c", "2", "-i", "0.1", "-W", "1", GOOD, check=False)
    told = denials(daemon)
    assert [each for each in told if each.get("port")] == [{"destination": BAD, "protocol": "tcp", "port": "81"}]
    assert [each for each in told if not each.get("port")] == [{"destination": GOOD, "protocol": "icmp"}]


def test_a_scan_of_ports_is_a_few_events(daemon: Engine, world: list[str]) -> None:
    started(daemon, "deny")
    daemon.docker("run", "-d", "--name", "other", "busybox", *SLEEP)
    pid = json.loads(daemon.docker("inspect", "box").out)[0]["State"]["Pid"]
    scan = f"""
import socket
made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(1, 3000):
    try:
        made.sendto(b"x", ("{GOOD}", port))
    except PermissionError:
        pass
"""
    subprocess.run(["nsenter", "-t", str(pid), "-n", sys.executable, "-c", scan], check=True)
    assert 1 <= len(denials(daemon)) <= 64


def denials(engine: Engine) -> list[dict[str, str]]:
    """What the events say that the container may not reach, by now."""
    identity = engine.docker("ps", "-q", "--no-trunc", "--filter", "name=box").out.strip()
    flags = (
        "--since",
        "1m",
        "--until",
        f"{time.time():.3f}",
        "--filter",
        "event=egress_denied",
        "--filter",
        f"container={identity}",
    )
    lines = engine.docker("events", *flags, "--format", "{{json .Actor.Attributes}}").out.splitlines()
    wanted = ("destination", "protocol", "port")
    return [{key: value for key, value in json.loads(line).items() if key in wanted} for line in lines]


@pytest.mark.parametrize(
    "policy", ["x", "allow", "allow=", "deny=x", "allow=a b", "allow=x:0", "allow=x:80/icmp", "allow=-", "learn=x"]
)
def test_what_is_no_policy(daemon: Engine, policy: str) -> None:
    refused = daemon.cove("create", "--egress", policy, "busybox", check=False)
    assert "invalid egress policy" in refused.err and refused.code == 1


def test_where_a_policy_cannot_hold(daemon: Engine) -> None:
    daemon.docker("network", "create", "-d", "macvlan", "apart")

    def refused(*words: str) -> str:
        done = daemon.cove(*words, check=False)
        assert done.code == 1
        return done.err

    mode, driver = "conflicting options: egress policy and the network mode", "an egress policy needs bridge networks"
    for network, words in (
        ("host", f"{mode} host"),
        ("none", f"{mode} none"),
        ("apart", f"{driver}: apart is macvlan"),
    ):
        assert words in refused("create", "--egress", "deny", "--network", network, "busybox")
        daemon.docker("run", "-d", "--name", "box", "--network", network, "busybox", *SLEEP)
        assert words in refused("update", "--egress", "deny", "--pids-limit", "77", "box")
        found = json.loads(daemon.docker("inspect", "box").out)[0]["HostConfig"]
        assert found["PidsLimit"] is None and not found.get("Egress")
        daemon.docker("rm", "-f", "box")
    started(daemon, "deny")
    for _state in ("running", "stopped"):
        assert f"{driver}: apart is macvlan" in refused("network", "connect", "apart", "box")
        daemon.docker("kill", "box", check=False)
    daemon.docker("start", "box")
