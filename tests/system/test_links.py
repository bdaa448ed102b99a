"""Links, /etc/hosts, and what else says how containers are called. Each passes on the real engine too."""

import json
from collections.abc import Iterator

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.leaks import remove_everything
from harness.waiting import eventually
from system.test_isolation import addresses, asked

SLEEP = ("sleep", "600")


def hosts(engine: Engine, container: str) -> list[str]:
    return engine.docker("exec", container, "cat", "/etc/hosts").out.splitlines()


def address(engine: Engine, container: str, network: str = "bridge") -> str:
    shown = json.loads(engine.docker("inspect", container).out)[0]
    return str(shown["NetworkSettings"]["Networks"][network]["IPAddress"])


@pytest.fixture
def linked(daemon: Engine) -> Iterator[Engine]:
    """``web``, and ``user`` which calls it ``db`` and ``web``."""
    ports = ("--expose", "80", "--expose", "81/udp", "--expose", "6000-6002")
    daemon.docker("run", "-d", "--name", "web", *ports, "-e", "FOO=bar", "--hostname", "box", "busybox", *SLEEP)
    given = ("--link", "web:db", "--link", "web", "-e", "DB_ENV_FOO=mine")
    daemon.docker("run", "-d", "--name", "user", *given, "--hostname", "me", "--domainname", "d.t", "busybox", *SLEEP)
    yield daemon


def test_a_link_s_lines_and_variables(linked: Engine) -> None:
    web = address(linked, "web")
    assert hosts(linked, "user")[-3:] == [
        f"{web}\tdb box web",
        f"{web}\tweb box",
        f"{address(linked, 'user')}\tme.d.t me",
    ]
    variables = dict(line.split("=", 1) for line in linked.docker("exec", "user", "env").out.splitlines())
    expected = {
        "DB_NAME": "/user/db",
        "DB_PORT": f"tcp://{web}:80",
        "DB_PORT_80_TCP": f"tcp://{web}:80",
        "DB_PORT_80_TCP_ADDR": web,
        "DB_PORT_80_TCP_PORT": "80",
        "DB_PORT_80_TCP_PROTO": "tcp",
        "DB_PORT_81_UDP": f"udp://{web}:81",
        "DB_PORT_6000_TCP_START": f"tcp://{web}:6000",
        "DB_PORT_6000_TCP_END": f"tcp://{web}:6002",
        "DB_PORT_6000_TCP_PORT_START": "6000",
        "DB_PORT_6000_TCP_PORT_END": "6002",
        "DB_ENV_FOO": "mine",
        "WEB_ENV_FOO": "bar",
        "WEB_NAME": "/user/web",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert "DB_ENV_PATH" not in variables


def test_a_link_follows_its_target(linked: Engine) -> None:
    linked.docker("stop", "-t", "0", "web")
    linked.docker("run", "-d", "--name", "usurper", "busybox", *SLEEP)
    linked.docker("start", "web")
    web = address(linked, "web")
    assert hosts(linked, "user")[-3:-1] == [f"{web}\tdb box web", f"{web}\tweb box"]
    linked.docker("rename", "web", "site")
    shown = json.loads(linked.docker("inspect", "user").out)[0]["HostConfig"]["Links"]
    assert sorted(shown) == ["/site:/user/db", "/site:/user/web"]
    listed = {name for each in linked.http("GET", "/containers/json").json() for name in each["Names"]}
    assert {"/site", "/user/db", "/user/web", "/user"} <= listed


def test_a_link_is_removed(linked: Engine) -> None:
    linked.docker("rm", "--link", "user/db")
    assert json.loads(linked.docker("inspect", "user").out)[0]["HostConfig"]["Links"] == ["/web:/user/web"]
    assert linked.docker("rm", "--link", "user/nosuch", check=False).code == 1


def test_a_link_to_what_does_not_run_is_refused(linked: Engine) -> None:
    linked.docker("stop", "-t", "0", "web", "user")
    refused = linked.docker("start", "user", check=False)
    assert "Cannot link to a non running container: /web AS /user/" in refused.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--link", "nosuch"], "could not get container for nosuch: No such container: nosuch"),
        (["--network", "host", "--link", "x"], "conflicting options: host type networking can't be used with links"),
        (["--link", "a:b:c"], "bad format for links: a:b:c"),
        (["--add-host", "x:nonsense"], 'invalid IP address in add-host: "nonsense"'),
        (["--dns", "1.2.3"], "IP address is not correctly formatted: 1.2.3"),
    ],
)
def test_what_is_refused(daemon: Engine, flags: list[str], words: str) -> None:
    refused = daemon.docker("run", "--rm", *flags, "busybox", "true", check=False)
    assert words in refused.err and refused.code == 125
    assert daemon.docker("ps", "-aq").out == ""


@pytest.mark.needs("cove")
def test_the_api_refuses_what_the_command_line_does(daemon: Engine) -> None:
    for host in ({"Dns": ["1.2.3"]}, {"ExtraHosts": ["x"]}, {"ExtraHosts": ["x:y"]}):
        body = {"Image": "busybox", "Cmd": ["true"], "HostConfig": host}
        assert daemon.http("POST", "/containers/create", body).status == 400, host


def test_links_on_a_user_network_are_names(daemon: Engine) -> None:
    daemon.docker("network", "create", "net")
    daemon.docker("run", "-d", "--name", "web", "--network", "net", "busybox", *SLEEP)
    daemon.docker("run", "-d", "--name", "user", "--network", "net", "--link", "web:db", "busybox", *SLEEP)
    daemon.docker("run", "-d", "--name", "other", "--network", "net", "busybox", *SLEEP)
    asked = daemon.docker("exec", "user", "nslookup", "-type=a", "db").out
    assert address(daemon, "web", "net") in asked
    missing = daemon.docker("exec", "other", "nslookup", "-type=a", "db.net", check=False).out
    assert address(daemon, "web", "net") not in missing
    shown = json.loads(daemon.docker("inspect", "user").out)[0]
    assert shown["NetworkSettings"]["Networks"]["net"]["Links"] == ["web:db"]


def test_hosts_of_every_network_live(daemon: Engine) -> None:
    for name in ("one", "two"):
        daemon.docker("network", "create", name)
    names = ("--hostname", "box", "--domainname", "dom", "--add-host", "q:1.2.3.4")
    daemon.docker("run", "-d", "--name", "web", "--network", "one", *names, "busybox", *SLEEP)
    daemon.docker("exec", "web", "sh", "-c", "echo '9.9.9.9 mine' >> /etc/hosts")
    daemon.docker("network", "connect", "two", "web")
    one, two = address(daemon, "web", "one"), address(daemon, "web", "two")
    lines = hosts(daemon, "web")
    assert {f"{one}\tbox.dom box", f"{two}\tbox.dom box", "9.9.9.9 mine", "1.2.3.4\tq"} <= set(lines)
    daemon.docker("network", "disconnect", "one", "web")
    lines = hosts(daemon, "web")
    assert f"{two}\tbox.dom box" in lines and "9.9.9.9 mine" in lines


def test_host_gateway_and_the_host_s_own_hosts(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", "--add-host", "up:host-gateway", "busybox", "cat", "/etc/hosts")
    gateway = json.loads(daemon.docker("network", "inspect", "bridge").out)[0]["IPAM"]["Config"][0]
    assert f"{gateway.get('Gateway', '172.17.0.1')}\tup" in done.out
    with open("/etc/hosts") as file:
        mine = [line for line in file.read().splitlines() if line]
    own = daemon.docker("run", "--rm", "--network", "host", "busybox", "cat", "/etc/hosts").out.splitlines()
    assert set(mine) <= set(own)
    own = daemon.docker("run", "--rm", "--network", "host", "--add-host", "q:1.2.3.4", "busybox", "cat", "/etc/hosts")
    assert "1.2.3.4\tq" in own.out.splitlines()


@pytest.mark.needs("cove")  # Docker 20.10 does not look; later ones do
def test_an_edited_resolv_conf_is_left_alone(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "web", "busybox", *SLEEP)
    daemon.docker("exec", "web", "sh", "-c", "echo nameserver 192.0.2.9 > /etc/resolv.conf")
    daemon.docker("network", "create", "net")
    daemon.docker("network", "connect", "net", "web")
    assert "192.0.2.9" in daemon.docker("exec", "web", "cat", "/etc/resolv.conf").out
    daemon.docker("restart", "-t", "0", "web")
    assert "nameserver 127.0.0.11" in daemon.docker("exec", "web", "cat", "/etc/resolv.conf").out


@pytest.mark.needs("cove")  # Docker needs br_netfilter for it
@pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
def test_links_where_containers_may_not_talk(fresh_daemon: Daemon, family: int) -> None:
    engine = fresh_daemon
    before = engine.flags
    elsewhere = "--default-gateway-v6=fd00:79::99"  # which has no part in it
    engine.restart_with("--icc=false", "--ipv6", "--fixed-cidr-v6=fd00:79::/64", elsewhere)
    pages = "mkdir /www; echo here >/www/index.html; httpd -p 81 -h /www; exec httpd -f -p 80 -h /www"
    engine.docker("run", "-d", "--name", "web", "--expose", "80", "busybox", "sh", "-c", pages)
    engine.docker("run", "-d", "--name", "user", "--link", "web:db", "busybox", "sh", "-c", pages)
    engine.docker("run", "-d", "--name", "other", "busybox", *SLEEP)

    def reaches(name: str, target: str, port: int = 80) -> bool:
        """Held against what a trace says."""
        to = addresses(engine, target)[family]
        page = asked(engine, name, to, port)
        at = f"[{to}]" if family else to
        trace = engine.cove("network", "trace", name, f"{at}:{port}", check=False)
        assert (trace.code == 0) == (page == "here"), trace.out
        return page == "here"

    for name in ("web", "user"):
        eventually(lambda name=name: asked(engine, name, "127.0.0.1") == asked(engine, name, "127.0.0.1", 81) == "here")
    assert reaches("user", "web")
    assert f"{addresses(engine, 'web')[family]}\tdb " in "\n".join(hosts(engine, "user"))
    assert not reaches("user", "web", 81), "which is not exposed"
    assert not reaches("web", "user") and not reaches("other", "web"), "links lead one way, and only their owner"
    engine.docker("stop", "-t", "0", "web")
    engine.docker("run", "-d", "--name", "usurper", "--expose", "80", "busybox", "sh", "-c", pages)
    assert not reaches("user", "usurper"), "which has the address that the link led to"
    engine.docker("start", "web")
    eventually(lambda: asked(engine, "web", "127.0.0.1") == "here")
    assert reaches("user", "web")
    engine.kill9()
    engine.start()
    assert reaches("user", "web"), "after another daemon has come"
    engine.docker("rm", "--link", "user/db")
    assert not reaches("user", "web")
    remove_everything(engine, keep_images=True)
    for version in (4, 6):
        kept = engine.netns.run(["nft", "list", "set", "inet", "cove", f"linked{version}"])
        assert "type" in kept.stdout and "elements" not in kept.stdout
    engine.stop()
    engine.flags = before
    engine.start()
