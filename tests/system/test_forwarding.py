"""What is asked elsewhere: the host's servers, a container's own, and what must not leave."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from harness.daemon import Daemon
from harness.dns_server import host_address, host_server, running
from harness.engine import Engine

SLEEP = ("sleep", "600")


@pytest.fixture
def upstream(daemon: Engine) -> Iterator[list[str]]:
    """The host's server, in the daemon's namespace; the questions that it is asked."""
    address = host_server()
    with (
        host_address(daemon.netns, address),
        running(daemon.netns.command([]), address, "a.test=192.0.2.1", "a.test=2001:db8::1") as questions,
    ):
        yield questions


@pytest.fixture
def asker(daemon: Engine) -> Iterator[Engine]:
    daemon.docker("network", "create", "net")
    daemon.docker("run", "-d", "--name", "asker", "--network", "net", "busybox", *SLEEP)
    yield daemon


def ask(engine: Engine, name: str, kind: str = "a", container: str = "asker") -> str:
    return engine.docker("exec", container, "nslookup", f"-type={kind}", name, check=False).out


def test_the_host_s_servers_answer_what_is_not_ours(asker: Engine, upstream: list[str]) -> None:
    assert "192.0.2.1" in ask(asker, "a.test") and "2001:db8::1" in ask(asker, "a.test", "aaaa")
    assert "NXDOMAIN" in ask(asker, "missing.test")
    assert "172." in ask(asker, "asker") and "mx" not in str(upstream).lower()
    ask(asker, "asker", "mx")
    ask(asker, "asker", "aaaa")
    assert not [question for question in upstream if question.startswith("asker")]


@pytest.mark.needs("cove")  # nslookup of busybox does not ask again over TCP
def test_a_long_answer_comes_over_tcp(asker: Engine, upstream: list[str]) -> None:
    pid = json.loads(asker.docker("inspect", "asker").out)[0]["State"]["Pid"]
    program = """
import dns.message, dns.query
query = dns.message.make_query("big.test", "A", use_edns=0, payload=1232)
response, by_stream = dns.query.udp_with_fallback(query, "127.0.0.11", timeout=5)
print(by_stream, len(response.answer[0]), response.edns)
"""
    argv = ["nsenter", "-t", str(pid), "-n", sys.executable, "-c", program]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.stdout == "True 100 0\n", done.stderr
    assert [question for question in upstream if question.startswith("big.test")] == [
        "big.test A udp",
        "big.test A tcp",
    ]


def test_a_container_s_own_server_is_asked_from_where_it_is(daemon: Engine) -> None:
    daemon.docker("network", "create", "--internal", "--subnet", "172.29.0.0/24", "net")
    daemon.docker("run", "-d", "--name", "server", "--network", "net", "--ip", "172.29.0.53", "busybox", *SLEEP)
    pid = str(json.loads(daemon.docker("inspect", "server").out)[0]["State"]["Pid"])
    given = ("--dns", "172.29.0.53", "--dns-search", "test", "--dns-option", "timeout:2")
    daemon.docker("run", "-d", "--name", "asker", "--network", "net", *given, "busybox", *SLEEP)
    text = daemon.docker("exec", "asker", "cat", "/etc/resolv.conf").out
    assert "nameserver 127.0.0.11\nsearch test\noptions timeout:2 ndots:0\n" in text
    with running(["nsenter", "-t", pid, "-n"], "172.29.0.53", "a.test=192.0.2.7"):
        assert "192.0.2.7" in ask(daemon, "a.test")
        ping = daemon.docker("exec", "asker", "ping", "-c1", "-W1", "a", check=False)
        assert ping.out.startswith("PING a (192.0.2.7)") or "unreachable" in ping.err


@pytest.mark.needs("cove")  # Docker 20.10 asks; since CVE-2024-29018 it does not
def test_an_internal_network_asks_nobody(daemon: Engine, upstream: list[str]) -> None:
    daemon.docker("network", "create", "--internal", "net")
    daemon.docker("run", "-d", "--name", "asker", "--network", "net", "busybox", *SLEEP)
    begun = time.monotonic()
    assert "NXDOMAIN" in ask(daemon, "a.test")
    assert time.monotonic() - begun < 1 and upstream == []


def test_a_dead_server_holds_up_nobody_s_local_names(asker: Engine, upstream: list[str]) -> None:
    with asker.spawned("docker", "exec", "asker", "nslookup", "-type=a", "slow.test"):
        while not upstream:
            time.sleep(0.01)
        begun = time.monotonic()
        assert "172." in ask(asker, "asker")
        assert time.monotonic() - begun < 1


@pytest.mark.needs("cove")
def test_names_without_dots_stay_here_when_the_user_sets_ndots(daemon: Engine, upstream: list[str]) -> None:
    daemon.docker("network", "create", "net")
    given = ("--dns-option", "ndots:2")
    daemon.docker("run", "-d", "--name", "asker", "--network", "net", *given, "busybox", *SLEEP)
    ask(daemon, "nobody")
    assert upstream == []


def test_the_daemon_s_settings_are_for_who_has_none(fresh_daemon: Daemon) -> None:
    daemon = fresh_daemon
    daemon.stop()
    daemon.flags = (*daemon.flags, "--dns=192.0.2.9", "--dns-search=corp.test", "--dns-opt=timeout:1")
    daemon.start()
    text = daemon.docker("run", "--rm", "busybox", "cat", "/etc/resolv.conf").out
    assert "nameserver 192.0.2.9\nsearch corp.test\noptions timeout:1\n" in text
    text = daemon.docker("run", "--rm", "--dns", "192.0.2.8", "busybox", "cat", "/etc/resolv.conf").out
    assert "nameserver 192.0.2.8\nsearch corp.test\n" in text and "192.0.2.9" not in text
