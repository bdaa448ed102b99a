"""Containers join and leave networks in every state; routes and ports follow; what somebody removes comes back."""

import contextlib
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.engine import FETCH, Engine
from harness.netns import NetworkNamespace
from harness.waiting import eventually

SERVE = ("busybox", "sh", "-c", "mkdir /www; echo $HOSTNAME >/www/index.html; exec httpd -f -p 80 -h /www")
STATES = ("created", "running", "paused", "exited")


@pytest.fixture
def nets(daemon: Engine) -> Iterator[Engine]:
    """Networks aa, mm and zz: 10.71, 10.72 and 10.73."""
    for number, name in enumerate(("aa", "mm", "zz"), 71):
        daemon.docker("network", "create", "--subnet", f"10.{number}.0.0/24", name)
    yield daemon


def inside(engine: Engine, name: str, *command: str) -> str:
    return engine.docker("exec", name, *command).out


def networks(engine: Engine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", name).out)
    return found


def default_route(engine: Engine, name: str) -> str:
    """``10.71.0.1 eth0``; "" without one."""
    for line in inside(engine, name, "ip", "route").splitlines():
        if line.startswith("default"):
            words = line.split()
            return f"{words[words.index('via') + 1]} {words[words.index('dev') + 1]}"
    return ""


def interfaces(engine: Engine, name: str) -> dict[str, str]:
    """Addresses of IPv4 by interface, lo left out."""
    lines = inside(engine, name, "ip", "-o", "-4", "addr").splitlines()
    return {line.split()[1]: line.split()[3].partition("/")[0] for line in lines if line.split()[1] != "lo"}


def into(engine: Engine, name: str, state: str) -> None:
    steps = {"created": (), "running": ("start",), "paused": ("start", "pause"), "exited": ("start", "kill")}
    for step in steps[state]:
        engine.docker(step, name)


@pytest.mark.parametrize("state", STATES)
def test_in_every_state(nets: Engine, state: str) -> None:
    nets.docker("create", "--name", "one", "--network", "mm", "busybox", "sleep", "600")
    into(nets, "one", state)
    nets.docker("network", "connect", "--ip", "10.71.0.9", "--alias", "other", "aa", "one")
    nets.docker("network", "connect", "zz", "one")
    nets.docker("network", "disconnect", "zz", "one")
    shown = networks(nets, "one")
    assert set(shown) == {"aa", "mm"}
    assert "other" in shown["aa"]["Aliases"]
    running = state in ("running", "paused")
    assert shown["aa"]["IPAddress"] == ("10.71.0.9" if running else "")
    if state == "paused":
        nets.docker("unpause", "one")
    if not running:
        nets.docker("start", "one")
    assert set(interfaces(nets, "one").values()) == {"10.71.0.9", "10.72.0.2"}
    assert default_route(nets, "one").startswith("10.71.0.1 ")
    nets.docker("restart", "-t", "0", "one")
    assert set(interfaces(nets, "one").values()) == {"10.71.0.9", "10.72.0.2"}
    nets.docker("network", "disconnect", "mm", "one")
    assert list(interfaces(nets, "one").values()) == ["10.71.0.9"]
    nets.docker("restart", "-t", "0", "one")
    assert interfaces(nets, "one") == {"eth0": "10.71.0.9"}
    assert list(networks(nets, "one")) == ["aa"]


def test_the_default_route_moves_by_name_and_back(nets: Engine) -> None:
    nets.docker("run", "-d", "--name", "one", "--network", "mm", "busybox", "sleep", "600")
    seen = [default_route(nets, "one")]
    for step, network in (
        ("connect", "zz"),
        ("connect", "aa"),
        ("disconnect", "mm"),
        ("disconnect", "aa"),
        ("disconnect", "zz"),
    ):
        nets.docker("network", step, network, "one")
        seen.append(default_route(nets, "one"))
    assert seen == [
        "10.72.0.1 eth0",
        "10.72.0.1 eth0",
        "10.71.0.1 eth2",
        "10.71.0.1 eth2",
        "10.73.0.1 eth1",
        "",
    ]
    nets.docker("network", "connect", "mm", "one")
    assert default_route(nets, "one").startswith("10.72.0.1 ")
    assert inside(nets, "one", "ping", "-c1", "-W2", "10.72.0.1")


@pytest.mark.needs("cove")
def test_the_priority_of_a_gateway_is_stronger_than_its_name_and_internal_networks_have_none(nets: Engine) -> None:
    nets.docker("network", "create", "--internal", "--subnet", "10.74.0.0/24", "a-internal")
    flags = [("--network", "name=zz,gw-priority=1"), ("--network", "mm"), ("--network", "a-internal")]
    nets.docker("run", "-d", "--name", "one", *(word for flag in flags for word in flag), "busybox", "sleep", "600")
    assert default_route(nets, "one") == "10.73.0.1 eth0"
    assert interfaces(nets, "one") == {"eth0": "10.73.0.2", "eth1": "10.72.0.2", "eth2": "10.74.0.2"}
    nets.docker("network", "connect", "--gw-priority", "2", "aa", "one")
    assert default_route(nets, "one") == "10.71.0.1 eth3"
    nets.docker("network", "disconnect", "aa", "one")
    nets.docker("network", "disconnect", "zz", "one")
    assert default_route(nets, "one") == "10.72.0.1 eth1"
    nets.docker("network", "disconnect", "mm", "one")
    assert default_route(nets, "one") == ""


@pytest.mark.needs("cove")
def test_routes_of_both_families_move(daemon: Engine) -> None:
    daemon.docker("network", "create", "--ipv6", "--subnet", "fd71::/64", "dual")
    daemon.docker("network", "create", "--subnet", "10.71.0.0/24", "aa")
    daemon.docker("run", "-d", "--name", "one", "--network", "aa", "busybox", "sleep", "600")
    daemon.docker("network", "connect", "dual", "one")
    gateway = networks(daemon, "one")["dual"]["Gateway"]
    assert default_route(daemon, "one") == f"{gateway} eth1"
    assert "default via fd71::1 dev eth1" in inside(daemon, "one", "ip", "-6", "route")
    daemon.docker("network", "disconnect", "dual", "one")
    assert default_route(daemon, "one") == "10.71.0.1 eth0"
    assert "default" not in inside(daemon, "one", "ip", "-6", "route")


def published(engine: Engine, name: str) -> set[str]:
    return {line.rsplit(":", 1)[1] for line in engine.docker("port", name, "80").out.splitlines()}


@pytest.mark.needs("cove")
def test_published_ports_keep_their_numbers_while_the_gateway_moves(nets: Engine) -> None:
    nets.docker(
        "run", "-d", "--name", "web", "--hostname", "web", "--network", "mm", "-p", "8080:80", "-p", "80", *SERVE
    )
    ports = published(nets, "web")
    assert nets.fetch("http://127.0.0.1:8080/") == "web\n"
    for step, network in (("connect", "aa"), ("disconnect", "mm"), ("connect", "mm"), ("disconnect", "aa")):
        nets.docker("network", step, network, "web")
        assert published(nets, "web") == ports
        assert nets.fetch("http://127.0.0.1:8080/") == "web\n"
        assert nets.fetch(f"http://127.0.0.1:{max(ports - {'8080'})}/") == "web\n"
    nets.docker("network", "disconnect", "mm", "web")
    assert nets.docker("port", "web").out == ""
    with pytest.raises(AssertionError, match="refused"):
        nets.fetch("http://127.0.0.1:8080/", seconds=0)
    nets.docker("network", "connect", "zz", "web")
    assert "8080" in published(nets, "web")
    assert nets.fetch("http://127.0.0.1:8080/") == "web\n"


def test_none_can_be_left_for_a_real_network(nets: Engine) -> None:
    nets.docker("run", "-d", "--name", "one", "--network", "none", "busybox", "sleep", "600")
    refused = nets.docker("network", "connect", "aa", "one", check=False)
    assert "private (none) mode" in refused.err
    nets.docker("network", "disconnect", "none", "one")
    nets.docker("network", "connect", "aa", "one")
    assert interfaces(nets, "one") == {"eth0": "10.71.0.2"}
    assert inside(nets, "one", "ping", "-c1", "-W2", "10.71.0.1")


def test_host_and_shared_networks_are_not_joined(nets: Engine) -> None:
    nets.docker("run", "-d", "--name", "one", "--network", "host", "busybox", "sleep", "600")
    nets.docker("run", "-d", "--name", "two", "--network", "aa", "busybox", "sleep", "600")
    nets.docker("run", "-d", "--name", "guest", "--network", "container:two", "busybox", "sleep", "600")
    for name in ("one", "guest"):
        assert "sharing network namespace" in nets.docker("network", "connect", "mm", name, check=False).err
    assert "host network" in nets.docker("network", "disconnect", "host", "one", check=False).err
    assert "host network" in nets.docker("network", "connect", "host", "two", check=False).err
    assert interfaces(nets, "guest") == {"eth0": "10.71.0.2"}


@pytest.mark.needs("cove")
def test_an_address_is_not_had_twice_while_a_guest_keeps_its_owners_network(nets: Engine) -> None:
    nets.docker("run", "-d", "--name", "owner", "--network", "aa", "busybox", "sleep", "600")
    nets.docker("run", "-d", "--name", "guest", "--network", "container:owner", "busybox", "sleep", "600")
    nets.docker("rm", "-f", "owner")
    assert interfaces(nets, "guest") == {}, "its link went with the owner's address"
    nets.docker("run", "-d", "--name", "new", "--network", "aa", "busybox", "sleep", "600")
    assert interfaces(nets, "new") == {"eth0": "10.71.0.2"}
    assert inside(nets, "new", "ping", "-c1", "-W2", "10.71.0.1")


def test_a_network_that_was_removed_can_be_left(nets: Engine) -> None:
    nets.docker("create", "--name", "one", "--network", "aa", "busybox", "true")
    nets.docker("network", "rm", "aa")
    refused = nets.docker("start", "one", check=False)
    assert "network aa not found" in refused.err
    assert "network nosuch not found" in nets.docker("network", "rm", "nosuch", check=False).err
    nets.docker("network", "disconnect", "aa", "one")
    nets.docker("network", "connect", "mm", "one")
    assert nets.docker("start", "-a", "one").code == 0


def bridge(engine: Engine, network: str) -> str:
    return f"br-{engine.docker('network', 'inspect', '-f', '{{.Id}}', network).out[:12]}"


@pytest.fixture
def neighbour(daemon: Engine) -> Iterator[NetworkNamespace]:
    """Another machine, 192.0.2.2, on a link to the engine's, 192.0.2.1."""
    namespace = NetworkNamespace(f"{daemon.name}-n")
    try:
        daemon.netns.run(f"ip link add outside type veth peer name eth0 netns {namespace.name}".split())
        for command in ("ip addr add 192.0.2.1/24 dev outside", "ip link set outside up"):
            daemon.netns.run(command.split())
        for command in ("ip addr add 192.0.2.2/24 dev eth0", "ip link set eth0 up"):
            namespace.run(command.split())
        yield namespace
    finally:
        namespace.delete()


@pytest.mark.needs("cove")
def test_a_bridge_or_link_that_somebody_removes_comes_back(nets: Engine, neighbour: NetworkNamespace) -> None:
    nets.docker(
        "network", "connect", "aa", nets.docker("run", "-d", "--name", "web", "--network", "mm", *SERVE).out.strip()
    )
    nets.docker("run", "-d", "--name", "pub", "--hostname", "pub", "--network", "aa", "-p", "8080:80", *SERVE)
    nets.fetch("http://127.0.0.1:8080/")

    def pings() -> bool:
        return nets.docker("exec", "web", "ping", "-c1", "-W1", "10.71.0.3", check=False).code == 0

    assert pings()
    nets.netns.run(["ip", "link", "del", bridge(nets, "aa")])
    assert eventually(pings, seconds=10)
    links = json.loads(nets.netns.run(["ip", "-j", "link", "show", "master", bridge(nets, "aa")]).stdout)
    for link in links:
        nets.netns.run(["ip", "link", "del", link["ifname"]])
    assert eventually(pings, seconds=10)
    assert interfaces(nets, "web") == {"eth0": "10.72.0.2", "eth1": "10.71.0.2"}
    assert default_route(nets, "web") == "10.71.0.1 eth1"
    fetch = [sys.executable, "-I", "-c", FETCH, "http://192.0.2.1:8080/"]
    assert neighbour.run(fetch).stdout == "pub\n"


@pytest.mark.needs("cove")
def test_a_bridge_that_somebody_removes_is_made_for_the_next_container_too(nets: Engine) -> None:
    nets.netns.run(["ip", "link", "del", bridge(nets, "aa")])
    assert nets.docker("run", "--rm", "--network", "aa", "busybox", "ping", "-c1", "-W2", "10.71.0.1").code == 0


@pytest.mark.needs("cove")
def test_many_join_and_leave_at_once(nets: Engine) -> None:
    names = [f"c{number}" for number in range(4)]
    for name in names:
        nets.docker("run", "-d", "--name", name, "--network", "mm", "busybox", "sleep", "600")
    for step in ("connect", "disconnect", "connect"):
        with contextlib.ExitStack() as stack:
            for call in [
                stack.enter_context(nets.spawned("docker", "network", step, network, name))
                for name in names
                for network in ("aa", "zz")
            ]:
                assert call.wait(60) == 0, call.stderr and call.stderr.read()
    for network in ("aa", "zz"):
        held = [networks(nets, name)[network]["IPAddress"] for name in names]
        assert len(set(held)) == len(names)
    for name in names:
        assert len(interfaces(nets, name)) == 3
        assert default_route(nets, name).startswith("10.71.0.1")


def run(engine: Engine, name: str, *flags: str) -> None:
    engine.docker("run", "-d", "--name", name, *flags, "busybox", "sleep", "600")


def test_what_an_endpoint_may_ask_for(daemon: Engine) -> None:
    """Of ``network connect``: addresses of both families, links, options; and of ``run`` the same."""
    subnets = ("--ipv6", "--subnet", "10.74.0.0/24", "--subnet", "fd00:74::/64")
    daemon.docker("network", "create", "--attachable", *subnets, "both")
    assert json.loads(daemon.docker("network", "inspect", "both").out)[0]["Attachable"] is True
    run(daemon, "db", "--network", "both", "--ip", "10.74.0.9", "--ip6", "fd00:74::99")
    shown = networks(daemon, "db")["both"]
    assert (shown["IPAddress"], shown["GlobalIPv6Address"]) == ("10.74.0.9", "fd00:74::99")
    run(daemon, "box")
    wishes = ("--ip", "10.74.0.10", "--ip6", "fd00:74::10", "--link", "db:base", "--link-local-ip", "169.254.7.7")
    option = ("--driver-opt", "com.docker.network.endpoint.ifname=side0")
    daemon.docker("network", "connect", *wishes, *option, "--alias", "cupboard", "both", "box")
    own = daemon.docker("exec", "box", "ip", "addr", "show", "dev", "side0").out
    assert "10.74.0.10/24" in own and "fd00:74::10/64" in own and "169.254.7.7/16" in own
    for name in ("base", "db", "cupboard"):
        assert daemon.docker("exec", "box", "ping", "-c", "1", "-W", "5", name).code == 0
    assert "10.74.0.10" in daemon.docker("exec", "db", "nslookup", "cupboard").out
    assert daemon.docker("exec", "db", "nslookup", "base", check=False).code != 0, "a link is for who asked for it"


def test_a_start_may_have_another_address(nets: Engine) -> None:
    """Addresses that were not asked for are free while their container does not run; those that were are kept back."""
    nets.docker("network", "create", "--subnet", "10.78.0.0/24", "pool")
    for name, flags in (("asked", ("--ip", "10.78.0.2")), ("first", ()), ("second", ())):
        run(nets, name, "--network", "pool", *flags)
    before = {name: networks(nets, name)["pool"]["IPAddress"] for name in ("asked", "first", "second")}
    assert before == {"asked": "10.78.0.2", "first": "10.78.0.3", "second": "10.78.0.4"}
    nets.docker("stop", "-t", "0", "asked", "first", "second")
    for name in ("second", "asked", "first"):
        nets.docker("start", name)
    after = {name: networks(nets, name)["pool"]["IPAddress"] for name in ("asked", "first", "second")}
    assert after == {"asked": "10.78.0.2", "second": "10.78.0.3", "first": "10.78.0.4"}
    nets.docker("restart", "-t", "0", "first")
    assert networks(nets, "first")["pool"]["IPAddress"] == "10.78.0.4"
    nets.docker("network", "create", "--subnet", "10.79.0.0/29", "small")
    nets.docker("create", "--name", "kept", "--network", "small", "--ip", "10.79.0.3", "busybox", "sleep", "600")
    for number, address in enumerate(("10.79.0.2", "10.79.0.4", "10.79.0.5", "10.79.0.6", "10.79.0.3")):
        run(nets, f"box{number}", "--network", "small")
        assert networks(nets, f"box{number}")["small"]["IPAddress"] == address, "the last one that is left"
    nets.docker("rm", "-f", "box4")
    nets.docker("start", "kept")


@pytest.mark.needs("cove")  # Docker gives such an address to others
def test_an_address_is_kept_for_who_has_joined_with_it(fresh_daemon: Daemon) -> None:
    engine = fresh_daemon
    engine.docker("network", "create", "--subnet", "10.80.0.0/24", "pool")
    engine.docker("create", "--name", "late", "busybox", "sleep", "600")
    engine.docker("network", "connect", "--ip", "10.80.0.2", "pool", "late")

    def given() -> str:
        run(engine, "box", "--network", "pool")
        address = str(networks(engine, "box")["pool"]["IPAddress"])
        engine.docker("rm", "-f", "box")
        return address

    assert given() == "10.80.0.3"
    engine.kill9()
    engine.start()
    assert given() == "10.80.0.3", "which another daemon knows too"
    engine.docker("network", "disconnect", "pool", "late")
    assert given() == "10.80.0.2"


def test_what_is_no_address_is_nobody_s(nets: Engine) -> None:
    """A container that asks for it is refused when it starts; others on the network are not concerned."""
    for number, wrong in enumerate(("foo", "10.71.0.300", "10.99.0.1", "::1")):
        asked = {"EndpointsConfig": {"aa": {"IPAMConfig": {"IPv4Address": wrong}}}}
        body = {"Image": "busybox", "HostConfig": {"NetworkMode": "aa"}, "NetworkingConfig": asked}
        assert nets.http("POST", f"/containers/create?name=wrong{number}", body).status == 201
        assert nets.http("POST", f"/containers/wrong{number}/start").status == 400
    run(nets, "right", "--network", "aa")
    assert networks(nets, "right")["aa"]["IPAddress"] == "10.71.0.2"


def test_leaving_by_force_what_is_there_no_more(nets: Engine) -> None:
    gone = nets.docker("network", "disconnect", "--force", "bridge", "nobody", check=False)
    assert gone.code == 1 and "endpoint nobody not found" in gone.err
    run(nets, "box")
    nets.docker("network", "disconnect", "--force", "bridge", "box")
    assert networks(nets, "box") == {}


def test_a_guest_s_owner_restarts(nets: Engine) -> None:
    """``container:ID`` is the network that the owner had; a guest that starts again has the new one."""
    run(nets, "owner")
    run(nets, "guest", "--network", "container:owner")
    same = ("readlink", "/proc/self/ns/net")
    assert nets.docker("exec", "owner", *same).out == nets.docker("exec", "guest", *same).out
    nets.docker("restart", "-t", "0", "owner")
    nets.docker("restart", "-t", "0", "guest")
    assert nets.docker("exec", "owner", *same).out == nets.docker("exec", "guest", *same).out
    assert "eth0" in nets.docker("exec", "guest", "ip", "link").out


@pytest.mark.needs("cove")  # Docker 20.10 says that the container does not run
def test_joining_while_it_restarts(nets: Engine) -> None:
    """Between the end of a run and the start of the next one there is nothing to join, which is nobody's fault."""
    run(nets, "box")

    def restart() -> None:
        while any(not joining.done() for joining in joinings):
            assert nets.http("POST", "/containers/box/restart?t=0").status == 204

    def join_and_leave(name: str) -> None:
        for _ in range(10):
            for verb in ("connect", "disconnect"):
                answer = nets.http("POST", f"/networks/{name}/{verb}", {"Container": "box"})
                assert answer.status == 200, answer.body

    with ThreadPoolExecutor(3) as clients:
        joinings = [clients.submit(join_and_leave, name) for name in ("aa", "zz")]
        restarting = clients.submit(restart)
        for future in (*joinings, restarting):
            future.result()
    assert list(networks(nets, "box")) == ["bridge"]
