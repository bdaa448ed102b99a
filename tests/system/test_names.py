"""Names in the containers of user networks: what the resolver at 127.0.0.11 says, with real packets."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.leaks import in_namespace

SLEEP = ("sleep", "600")


def resolver_pid(daemon: Daemon) -> int | None:
    """The resolver of a daemon, if there is one."""
    for pid in in_namespace(daemon.netns):
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text() == "cove-resolver\n":
                return pid
    return None


def lookup(engine: Engine, container: str, name: str, *flags: str) -> list[str]:
    """The addresses that busybox's nslookup is given, in its order."""
    done = engine.docker("exec", container, "nslookup", *flags, name, check=False)
    answers = done.out.partition("\n\n")[2]
    return [line.split()[-1] for line in answers.splitlines() if line.startswith("Address")]


def address(engine: Engine, container: str, network: str) -> str:
    shown = json.loads(engine.docker("inspect", container).out)[0]
    return str(shown["NetworkSettings"]["Networks"][network]["IPAddress"])


@pytest.fixture
def net(daemon: Engine) -> Iterator[str]:
    daemon.docker("network", "create", "names")
    yield "names"


def test_names_aliases_short_ids_and_host_names(daemon: Engine, net: str) -> None:
    identity = daemon.docker(
        "run", "-d", "--name", "web", "--network", net, "--network-alias", "www", "--hostname", "box", "busybox", *SLEEP
    ).out.strip()
    daemon.docker("run", "-d", "--name", "other", "--network", net, "busybox", *SLEEP)
    mine = address(daemon, "web", net)
    for name in ("web", "www", identity[:12], "box", f"web.{net}", "WEB"):
        assert lookup(daemon, "other", name, "-type=a") == [mine], name
    assert lookup(daemon, "other", "web", "-type=aaaa") == []
    reverse = daemon.docker("exec", "other", "nslookup", mine).out
    assert f"web.{net}" in reverse


def test_a_shared_alias_turns(daemon: Engine, net: str) -> None:
    for number in range(3):
        name = f"replica{number}"
        daemon.docker("run", "-d", "--name", name, "--network", net, "--network-alias", "web", "busybox", *SLEEP)
    answers = [lookup(daemon, "replica0", "web", "-type=a") for _ in range(9)]
    addresses = {address(daemon, f"replica{number}", net) for number in range(3)}
    assert all(set(answer) == addresses for answer in answers)
    assert {answer[0] for answer in answers} == addresses
    daemon.docker("rm", "-f", "replica1")
    assert len(lookup(daemon, "replica0", "web", "-type=a")) == 2


def test_a_program_may_have_port_53_for_itself(daemon: Engine, net: str) -> None:
    daemon.docker("run", "-d", "--name", "web", "--network", net, "busybox", *SLEEP)
    script = "nc -l -p 53 -s 0.0.0.0 & nc -u -l -p 53 -s 0.0.0.0 & sleep 0.2; nslookup -type=a web; kill %1 && kill %2"
    done = daemon.docker("run", "--rm", "--network", net, "busybox", "sh", "-c", script)
    assert address(daemon, "web", net) in done.out and "in use" not in done.err


def test_names_end_with_the_container_and_follow_a_rename(daemon: Engine, net: str) -> None:
    daemon.docker("run", "-d", "--name", "other", "--network", net, "busybox", *SLEEP)
    daemon.docker("run", "-d", "--name", "web", "--network", net, "busybox", *SLEEP)
    daemon.docker("rename", "web", "site")
    assert lookup(daemon, "other", "site", "-type=a") == [address(daemon, "site", net)]
    daemon.docker("kill", "site")
    assert lookup(daemon, "other", f"site.{net}", "-type=a") == []


def test_connecting_brings_names_to_a_running_container(daemon: Engine, net: str) -> None:
    daemon.docker("run", "-d", "--name", "web", "--network", net, "busybox", *SLEEP)
    daemon.docker("run", "-d", "--name", "late", "busybox", *SLEEP)
    assert "127.0.0.11" not in daemon.docker("exec", "late", "cat", "/etc/resolv.conf").out
    daemon.docker("network", "connect", "--alias", "tardy", net, "late")
    assert lookup(daemon, "late", "web", "-type=a") == [address(daemon, "web", net)]
    assert lookup(daemon, "web", "tardy", "-type=a") == [address(daemon, "late", net)]
    hosts = daemon.docker("exec", "late", "cat", "/etc/hosts").out
    assert address(daemon, "late", net) in hosts
    daemon.docker("network", "disconnect", net, "late")
    assert lookup(daemon, "web", "tardy.names", "-type=a") == []
    assert lookup(daemon, "late", "web.names", "-type=a") == []


def test_the_default_bridge_has_no_names(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "web", "busybox", *SLEEP)
    text = daemon.docker("exec", "web", "cat", "/etc/resolv.conf").out
    assert "127.0.0.11" not in text and "nameserver" in text


def test_ipv6_names(daemon: Engine) -> None:
    daemon.docker("network", "create", "--ipv6", "--subnet", "fd00:53::/64", "six")
    daemon.docker("run", "-d", "--name", "web", "--network", "six", "busybox", *SLEEP)
    shown = json.loads(daemon.docker("inspect", "web").out)[0]["NetworkSettings"]["Networks"]["six"]
    assert lookup(daemon, "web", "web", "-type=aaaa") == [shown["GlobalIPv6Address"]]
    assert "web.six" in daemon.docker("exec", "web", "nslookup", shown["GlobalIPv6Address"]).out


@pytest.mark.needs("cove")
@pytest.mark.parametrize("how", ["restart", "kill9"])
def test_names_are_there_while_the_daemon_is_not(fresh_daemon: Daemon, how: str) -> None:
    daemon = fresh_daemon
    daemon.docker("network", "create", "names")
    for name in ("one", "two"):
        daemon.docker("run", "-d", "--name", name, "--network", "names", "busybox", *SLEEP)
    found = address(daemon, "two", "names")
    pid = resolver_pid(daemon)
    assert pid is not None
    inside = json.loads(daemon.docker("inspect", "one").out)[0]["State"]["Pid"]
    daemon.kill9() if how == "kill9" else daemon.stop()
    assert ask(inside, "two") == found
    daemon.start()
    assert resolver_pid(daemon) == pid
    assert lookup(daemon, "one", "two", "-type=a") == [found]
    daemon.docker("run", "-d", "--name", "three", "--network", "names", "busybox", *SLEEP)
    assert lookup(daemon, "one", "three", "-type=a") == [address(daemon, "three", "names")]


@pytest.mark.needs("cove")
def test_a_killed_resolver_is_back_within_a_second(fresh_daemon: Daemon) -> None:
    daemon = fresh_daemon
    daemon.docker("network", "create", "names")
    for name in ("one", "two"):
        daemon.docker("run", "-d", "--name", name, "--network", "names", "busybox", *SLEEP)
    inside = json.loads(daemon.docker("inspect", "one").out)[0]["State"]["Pid"]
    pid = resolver_pid(daemon)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    begun = time.monotonic()
    assert ask(inside, "two", seconds=5) == address(daemon, "two", "names")
    assert time.monotonic() - begun < 1


def ask(pid: int, name: str, seconds: float = 2) -> str | None:
    """The address of a name, asked from inside a process's network namespace without any help of the engine's."""
    program = f"""
import socket, sys, time
query = b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0" + bytes([len({name!r})]) + {name!r}.encode() + b"\\0\\0\\1\\0\\1"
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.05)
        try:
            asking.connect(("127.0.0.11", 53))
            asking.send(query)
            print(socket.inet_ntoa(asking.recv(512)[-4:]))
            sys.exit()
        except OSError:
            time.sleep(0.01)
"""
    command = ["nsenter", "-t", str(pid), "-n", sys.executable, "-I", "-S", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip() or None
