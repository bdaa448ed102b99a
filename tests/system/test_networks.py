"""Networks of users as the command line and the API make, show and remove them, and what containers get of them."""

import json
import time
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.engine import Engine

SLEEP = ("busybox", "sleep", "600")


def inspected(engine: Engine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.docker("network", "inspect", name).out)[0]
    return found


def run(engine: Engine, name: str, *flags: str) -> str:
    return engine.docker("run", "-d", "--name", name, *flags, *SLEEP).out.strip()


def inside(engine: Engine, name: str, *command: str) -> str:
    return engine.docker("exec", name, *command).out


def endpoint(engine: Engine, container: str, network: str) -> dict[str, Any]:
    networks = json.loads(engine.docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", container).out)
    found: dict[str, Any] = networks[network]
    return found


def test_addresses_come_from_the_range_and_pass_over_what_is_spoken_for(daemon: Engine) -> None:
    pool = ("--subnet", "10.61.0.0/24", "--ip-range", "10.61.0.128/29", "--gateway", "10.61.0.254")
    daemon.docker("network", "create", *pool, "--aux-address", "printer=10.61.0.128", "mine")
    for number in range(2):
        run(daemon, f"c{number}", "--network", "mine")
    run(daemon, "fixed", "--network", "mine", "--ip", "10.61.0.9")
    assert [endpoint(daemon, f"c{n}", "mine")["IPAddress"] for n in range(2)] == ["10.61.0.129", "10.61.0.130"]
    assert "10.61.0.254 dev eth0" in inside(daemon, "c0", "ip", "route")
    assert "02:42:0a:3d:00:09" in inside(daemon, "fixed", "ip", "link")
    assert inside(daemon, "c0", "ping", "-c1", "-W2", "10.61.0.9")
    shown = inspected(daemon, "mine")
    assert shown["IPAM"]["Config"] == [
        {
            "Subnet": "10.61.0.0/24",
            "IPRange": "10.61.0.128/29",
            "Gateway": "10.61.0.254",
            "AuxiliaryAddresses": {"printer": "10.61.0.128"},
        }
    ]
    assert {each["IPv4Address"] for each in shown["Containers"].values()} == {
        "10.61.0.129/24",
        "10.61.0.130/24",
        "10.61.0.9/24",
    }
    for address, words in (
        ("10.61.0.9", "Address already in use"),
        ("10.61.0.128", "Address already in use"),
        ("10.61.0.254", "Address already in use"),
        ("10.62.0.1", "does not belong to any of this network's subnets"),
        ("10.61.0.300", "invalid IPv4 address"),
    ):
        refused = daemon.http("POST", "/networks/mine/connect", _connect("c9", address))
        assert refused.status == 404
        daemon.docker("create", "--name", "c9", "busybox")
        daemon.docker("start", "c9")
        late = daemon.docker("run", "--rm", "--network", "mine", "--ip", address, "busybox", "true", check=False)
        assert late.code == 125 and words in late.err, late.err
        daemon.docker("rm", "-f", "c9")


def _connect(container: str, address: str) -> dict[str, Any]:
    return {"Container": container, "EndpointConfig": {"IPAMConfig": {"IPv4Address": address}}}


@pytest.mark.needs("cove")
def test_a_fixed_mac_address_is_kept_and_the_next_holder_of_the_address_is_reached(daemon: Engine) -> None:
    daemon.docker("network", "create", "--subnet", "10.61.0.0/24", "mine")
    run(daemon, "watcher", "--network", "mine")
    for mac in ("02:00:00:00:61:09", "02:00:00:00:61:0a"):
        run(daemon, "fixed", "--network", "mine", "--ip", "10.61.0.9", "--mac-address", mac)
        assert mac in inside(daemon, "fixed", "ip", "link")
        assert endpoint(daemon, "fixed", "mine")["MacAddress"] == mac
        assert inside(daemon, "watcher", "ping", "-c1", "-W3", "10.61.0.9")
        daemon.docker("restart", "-t", "0", "fixed")
        assert mac in inside(daemon, "fixed", "ip", "link")
        daemon.docker("rm", "-f", "fixed")
    for bad in ("01:00:00:00:00:07", "zz"):
        refused = daemon.docker("run", "--rm", "--mac-address", bad, "busybox", "true", check=False)
        assert "mac" in refused.err.lower()


@pytest.mark.needs("cove")
def test_the_state_of_address_management_is_shown(daemon: Engine) -> None:
    daemon.docker("network", "create", "--subnet", "10.61.0.0/24", "mine")
    run(daemon, "one", "--network", "mine")
    shown = daemon.http("GET", "/v1.52/networks/mine?verbose=1").json()
    assert shown["Status"]["IPAM"]["Subnets"] == {"10.61.0.0/24": {"IPsInUse": 4, "DynamicIPsAvailable": 252}}
    assert "Status" not in daemon.http("GET", "/v1.51/networks/mine").json()


@pytest.mark.needs("cove")
def test_both_families_with_addresses_of_the_machines_own(daemon: Engine) -> None:
    daemon.docker("network", "create", "--ipv6", "dual")
    daemon.docker("network", "create", "--ipv4=false", "--ipv6", "six")
    run(daemon, "one", "--network", "dual")
    run(daemon, "two", "--network", "dual")
    run(daemon, "alone", "--network", "six")
    run(daemon, "plain")
    mine, other = endpoint(daemon, "one", "dual"), endpoint(daemon, "two", "dual")
    assert mine["GlobalIPv6Address"].startswith("fd") and mine["IPAddress"]
    for address in (other["IPAddress"], other["GlobalIPv6Address"], mine["IPv6Gateway"]):
        assert inside(daemon, "one", "ping", "-c1", "-W2", address)
    assert f"default via {mine['IPv6Gateway']} dev eth0" in inside(daemon, "one", "ip", "-6", "route")
    alone = endpoint(daemon, "alone", "six")
    assert (alone["IPAddress"], alone["Gateway"]) == ("", "")
    assert "default" not in inside(daemon, "alone", "ip", "-4", "route")
    assert inside(daemon, "alone", "ping", "-c1", "-W2", alone["IPv6Gateway"])
    settings = "/proc/sys/net/ipv6/conf/eth0"
    assert inside(daemon, "one", "cat", f"{settings}/accept_ra", f"{settings}/disable_ipv6").split() == ["0", "0"]
    assert inside(daemon, "plain", "cat", f"{settings}/disable_ipv6").strip() == "1"
    own = inside(daemon, "one", "ip", "-o", "-6", "addr", "show", "dev", "eth0").splitlines()
    assert not [line for line in own if "scope global" in line and "tentative" in line]
    shown = inspected(daemon, "six")
    assert (shown["EnableIPv4"], shown["EnableIPv6"]) == (False, True)


def test_options_that_a_container_sees(daemon: Engine) -> None:
    options = ("com.docker.network.driver.mtu=1400", "com.docker.network.container_iface_prefix=blue")
    daemon.docker("network", "create", *(word for option in options for word in ("-o", option)), "mine")
    daemon.docker("network", "create", "-o", "com.docker.network.bridge.name=testbr9", "named")
    run(daemon, "one", "--network", "mine")
    assert inside(daemon, "one", "cat", "/sys/class/net/blue0/mtu").strip() == "1400"
    assert daemon.netns.run(["ip", "link", "show", "testbr9"]).stdout


@pytest.mark.needs("cove")
def test_a_network_by_the_beginning_of_its_id_is_kept_by_its_name(daemon: Engine) -> None:
    identifier = daemon.docker("network", "create", "mine").out.strip()
    part = identifier[:12]
    daemon.docker("create", "--name", "early", "--network", part, *SLEEP)
    assert endpoint(daemon, "early", "mine")["EndpointID"] == ""
    assert daemon.docker("inspect", "-f", "{{.HostConfig.NetworkMode}}", "early").out.strip() == part
    daemon.docker("network", "rm", "mine")
    daemon.docker("network", "create", "mine")
    daemon.docker("start", "early")
    assert list(inspected(daemon, "mine")["Containers"]) == [
        daemon.docker("inspect", "-f", "{{.Id}}", "early").out.strip()
    ]
    daemon.docker("rm", "-f", "early")
    daemon.docker("network", "rm", "mine")


def test_options_of_an_endpoint(daemon: Engine) -> None:
    daemon.docker("network", "create", "mine")
    wish = "name=mine,driver-opt=com.docker.network.endpoint.ifname=uplink0"
    sysctl = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1"
    local = ("--link-local-ip", "169.254.9.9")
    run(daemon, "one", "--network", f'{wish},"driver-opt={sysctl},net.ipv4.conf.IFNAME.forwarding=1"', *local)
    shown = inside(daemon, "one", "ip", "addr", "show", "dev", "uplink0")
    assert "169.254.9.9/16" in shown
    settings = "/proc/sys/net/ipv4/conf/uplink0"
    assert inside(daemon, "one", "cat", f"{settings}/log_martians", f"{settings}/forwarding").split() == ["1", "1"]
    bad = f"name=mine,driver-opt={sysctl.replace('IFNAME', 'eth0')}"
    refused = daemon.docker("run", "--rm", "--network", bad, "busybox", "true", check=False)
    assert refused.code == 125 and "unrecognised network interface sysctl" in refused.err
    unknown = f"name=mine,driver-opt={sysctl.replace('log_martians', 'nosuch')}"
    refused = daemon.docker("run", "--rm", "--network", unknown, "busybox", "true", check=False)
    assert refused.code != 0 and "nosuch" in refused.err


def test_what_is_refused_and_in_which_words(daemon: Engine) -> None:
    daemon.docker("network", "create", "--subnet", "10.61.0.0/24", "mine")
    run(daemon, "one", "--network", "mine")
    subnet, gateway = ("--subnet", "10.62.0.0/24"), ("--gateway", "10.62.0.9")
    twice = ("--aux-address", "a=10.62.0.5", "--aux-address", "b=10.62.0.5")
    for command, words in (
        (("create", "--subnet", "10.61.0.128/25", "x"), "Pool overlaps with other one on this address space"),
        (("create", "mine"), "network with name mine already exists"),
        (("create", "-d", "nosuch", "x"), '"nosuch" not found'),
        (("create", "-d", "overlay", "x"), "This node is not a swarm manager"),
        (("rm", "mine"), "has active endpoints"),
        (("rm", "bridge"), "bridge is a pre-defined network and cannot be removed"),
        (("rm", "nosuch"), "network nosuch not found"),
        (("disconnect", "bridge", "one"), "is not connected to"),
        (("connect", "mine", "one"), "endpoint with name one already exists in network mine"),
        (("create", "--ipam-driver", "nosuch", "x"), "nosuch"),
        (("create", *subnet, "--gateway", "10.62.0.0", "x"), "failed to allocate gateway (10.62.0.0): Address already"),
        (("create", *subnet, "--gateway", "10.62.0.255", "x"), "gateway (10.62.0.255): Address already in use"),
        (
            ("create", *subnet, *gateway, "--aux-address", "a=10.62.0.9", "x"),
            "failed to allocate secondary ip address (a",
        ),
        (
            ("create", *subnet, *twice, "x"),
            "failed to allocate secondary ip address (b:10.62.0.5): Address already in use",
        ),
        (
            ("create", "--config-only", "--internal", "x"),
            "configuration network can only contain network specific fields",
        ),
        (("create", "--config-only", "--attachable", "x"), "configuration network can only contain network specific"),
        (("connect", "nosuch", "nobody"), "No such container: nobody"),
        (("ls", "--filter", "type=nosuch"), "invalid filter: 'type'='nosuch'"),
    ):
        refused = daemon.docker("network", *command, check=False)
        assert refused.code != 0 and words in refused.err, (command, refused.err)
    for mode in ("host", "none"):
        refused = daemon.docker("create", "--network", mode, "--ip", "10.62.0.7", "busybox", check=False)
        assert "user specified IP address is supported on user defined networks only" in refused.err
    assert "\nx " not in daemon.docker("network", "ls", "--format", "{{.Name}} ").out


@pytest.mark.needs("cove")  # Docker makes networks on which nobody is reached
@pytest.mark.parametrize("subnet", ["127.5.0.0/16", "224.0.1.0/24", "ff02::/64"])
def test_subnets_without_addresses_for_containers(daemon: Engine, subnet: str) -> None:
    refused = daemon.docker("network", "create", "--ipv6", "--subnet", subnet, "x", check=False)
    assert refused.code == 1 and f"invalid subnet {subnet}: its addresses are " in refused.err


@pytest.mark.needs("cove")
def test_subnets_of_the_hosts_routes_are_refused(daemon: Engine) -> None:
    daemon.netns.run("ip route add 10.63.0.0/16 dev lo".split())
    try:
        refused = daemon.docker("network", "create", "--subnet", "10.63.1.0/24", "x", check=False)
        assert "Pool overlaps with other one on this address space" in refused.err
    finally:
        daemon.netns.run("ip route del 10.63.0.0/16 dev lo".split())


def test_filters_of_list_and_prune(daemon: Engine) -> None:
    daemon.docker("network", "create", "--label", "team=a", "first")
    daemon.docker("network", "create", "--label", "team=b", "--internal", "second")
    run(daemon, "one", "--network", "second")
    identity = inspected(daemon, "first")["Id"]

    def names(*filters: str) -> list[str]:
        flags = [word for each in filters for word in ("--filter", each)]
        return sorted(daemon.docker("network", "ls", "--format", "{{.Name}}", *flags).out.split())

    assert names("label=team") == ["first", "second"]
    assert names("label=team=a") == ["first"]
    assert names("name=irs") == ["first"]
    assert names(f"id={identity[:9]}") == ["first"]
    assert names("driver=null", "driver=host") == ["host", "none"]
    assert names("type=custom") == ["first", "second"]
    assert names("type=builtin") == ["bridge", "host", "none"]
    assert names("scope=local", "name=second") == ["second"]
    assert names("scope=swarm") == []
    assert names("type=custom", "dangling=true") == ["first"]
    assert names("type=custom", "dangling=false") == ["second"]
    hour_ago = str(int(time.time()) - 3600)
    for flags in (("until=" + hour_ago,), ("label!=team",), ("label=team=c",)):
        done = daemon.docker("network", "prune", "-f", *(word for each in flags for word in ("--filter", each)))
        assert "Deleted" not in done.out
    assert daemon.docker("network", "prune", "-f", "--filter", "label=team").out.split() == [
        "Deleted",
        "Networks:",
        "first",
    ]
    assert names("type=custom") == ["second"]


def test_host_and_none_show_who_is_on_them(daemon: Engine) -> None:
    host = run(daemon, "one", "--network", "host")
    none = run(daemon, "two", "--network", "none")
    assert list(inspected(daemon, "host")["Containers"]) == [host]
    assert list(inspected(daemon, "none")["Containers"]) == [none]
    assert endpoint(daemon, "one", "host")["EndpointID"]
    assert inside(daemon, "two", "ip", "-o", "link").count("\n") == 1


def test_config_only_networks_are_copied_and_hold_no_containers(daemon: Engine) -> None:
    daemon.docker("network", "create", "--config-only", "--subnet", "10.61.0.0/24", "--label", "a=b", "template")
    daemon.docker("network", "create", "--config-from", "template", "made")
    run(daemon, "one", "--network", "made")
    assert endpoint(daemon, "one", "made")["IPAddress"] == "10.61.0.2"
    shown = inspected(daemon, "made")
    assert shown["ConfigFrom"] == {"Network": "template"}
    assert inspected(daemon, "template")["ConfigOnly"]
    refused = daemon.docker("run", "--rm", "--network", "template", "busybox", "true", check=False)
    assert "cannot create endpoint on configuration-only network" in refused.err
    refused = daemon.docker("network", "rm", "template", check=False)
    assert 'configuration network "template" is in use' in refused.err
    daemon.docker("rm", "-f", "one")
    daemon.docker("network", "rm", "made", "template")


def test_pools_of_the_configuration(fresh_daemon: Daemon) -> None:
    flags = fresh_daemon.flags
    pools = ("base=10.90.0.0/23,size=24", "base=fd90::/47,size=48")
    fresh_daemon.restart_with(
        *(word for pool in pools for word in ("--default-address-pool", pool)), "--bip=172.17.0.1/16"
    )
    for name in ("one", "two"):
        fresh_daemon.docker("network", "create", "--ipv6", name)
        subnets = [pool["Subnet"] for pool in inspected(fresh_daemon, name)["IPAM"]["Config"]]
        assert subnets == {"one": ["10.90.0.0/24", "fd90::/48"], "two": ["10.90.1.0/24", "fd90:0:1::/48"]}[name]
    run(fresh_daemon, "box", "--network", "two")
    shown = endpoint(fresh_daemon, "box", "two")
    assert (shown["IPAddress"], shown["GlobalIPv6Address"]) == ("10.90.1.2", "fd90:0:1::2")
    full = fresh_daemon.docker("network", "create", "three", check=False)
    assert full.code == 1 and "all predefined address pools have been fully subnetted" in full.err
    fresh_daemon.docker("rm", "-f", "box")
    fresh_daemon.docker("network", "rm", "one", "two")
    fresh_daemon.stop()
    fresh_daemon.flags = (*flags, "--bip=172.17.0.1/16")
    fresh_daemon.start()


@pytest.mark.needs("cove")
def test_macvlan_and_ipvlan_by_the_command_line(daemon: Engine) -> None:
    daemon.netns.run("ip link add lan0 type veth peer name lan1".split())
    try:
        daemon.netns.run("ip link set lan0 up".split())
        daemon.netns.run("ip addr add 10.64.0.2/24 dev lan0".split())  # macvlan is for the network that the host is on
        daemon.netns.run("ip link set lan1 up".split())
        pool = ("--subnet", "10.64.0.0/24", "--gateway", "10.64.0.1")
        daemon.docker("network", "create", "-d", "macvlan", *pool, "-o", "parent=lan0", "lan")
        run(daemon, "one", "--network", "lan", "--mac-address", "02:00:00:00:64:07")
        run(daemon, "two")
        daemon.docker("network", "connect", "lan", "two")
        address = endpoint(daemon, "two", "lan")["IPAddress"]
        assert inside(daemon, "one", "ping", "-c1", "-W2", address)
        assert "02:00:00:00:64:07" in inside(daemon, "one", "ip", "link", "show", "eth0")
        daemon.docker("network", "disconnect", "lan", "two")
        assert "eth1" not in inside(daemon, "two", "ip", "link")
        daemon.docker("rm", "-f", "one", "two")
        daemon.docker("network", "rm", "lan")
    finally:
        daemon.netns.run("ip link del lan0".split())


@pytest.mark.needs("cove")
def test_info_names_the_drivers(daemon: Engine) -> None:
    assert daemon.sdk.info()["Plugins"]["Network"] == ["bridge", "host", "ipvlan", "macvlan", "null"]
