"""The firewall and rtnetlink, each in a network namespace of its own."""

import errno
import json
import os
import socket
import subprocess
from collections.abc import Callable

import pytest

from cove.kernel import namespaces
from cove.kernel.netlink import Route
from cove.kernel.nftables import Nftables

pytestmark = pytest.mark.root


def alone(act: Callable[[], object]) -> object:
    """What ``act`` returns in a new network namespace; it runs in a child, whose failure is ours."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            namespaces.unshare(["network"])
            os.write(writer, json.dumps({"value": act()}).encode())
        except BaseException as error:
            os.write(writer, json.dumps({"error": repr(error)}).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answer:
        found = json.loads(answer.read())
    os.waitpid(pid, 0)
    assert "error" not in found, found["error"]
    return found["value"]


def _addresses() -> dict[str, list[str]]:
    listing = subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=True).stdout
    return {
        link["ifname"]: [f"{entry['local']}/{entry['prefixlen']}" for entry in link["addr_info"]]
        for link in json.loads(listing)
    }


def _routes() -> str:
    both = [subprocess.run(["ip", family, "route"], capture_output=True, text=True).stdout for family in ("-4", "-6")]
    return "".join(both)


def _set_up() -> list[object]:
    subprocess.run("ip link add eth0 type veth peer name other && ip link set other up", shell=True, check=True)
    with Route() as route:
        route.set_up("lo")
        route.add_address("eth0", "172.31.0.5/24")
        route.add_address("eth0", "fd00::5/64")
        route.set_up("eth0")
        route.add_default_route("eth0", "172.31.0.1")
        route.add_default_route("eth0", "fd00::1")
        route.commit()
    return [_addresses(), _routes()]


def test_links_addresses_and_routes() -> None:
    addresses, routes = alone(_set_up)  # type: ignore[misc]
    assert addresses["lo"] == ["127.0.0.1/8", "::1/128"]
    assert {"172.31.0.5/24", "fd00::5/64"} <= set(addresses["eth0"])
    assert "default via 172.31.0.1 dev eth0" in routes
    assert "default via fd00::1 dev eth0" in routes


def _refused() -> str:
    with Route() as route:
        route.set_up("lo")
        route.add_default_route("lo", "10.9.9.9")
        route.add_default_route("lo", "10.9.9.9")
        try:
            route.commit()
        except OSError as error:
            return f"{error.errno} {error.strerror}"
    return "accepted"


def test_a_refusal_names_the_step() -> None:
    assert alone(_refused) == f"{errno.EEXIST} default route by 10.9.9.9 on lo: File exists"


def test_an_unknown_link_is_named() -> None:
    with Route() as route, pytest.raises(OSError, match="nosuch0"):
        route.set_up("nosuch0")


_MAP = "add map ip t ports { type inet_service : ipv4_addr; }"


def _firewall() -> list[object]:
    with Nftables() as nft:
        nft.run(f"add table ip t; {_MAP}; add element ip t ports {{ 80 : 10.0.0.1 }}")
        listed = nft.run("list table ip t")
        parsed = nft.run_json("list map ip t ports")["nftables"]
        try:
            nft.run("add element ip t ports { 81 : 10.0.0.1 }; delete table ip nosuch")
        except OSError as error:
            refused = [error.errno, str(error)]
        after = nft.run("list table ip t")
        nft.run(json.dumps({"nftables": [{"delete": {"table": {"family": "ip", "name": "t"}}}]}))
        return [listed, parsed, refused, after == listed, nft.run("list ruleset")]


@pytest.mark.needs("nftables")
def test_the_firewall_changes_whole_or_not_at_all() -> None:
    listed, parsed, refused, unchanged, left = alone(_firewall)  # type: ignore[misc]
    assert "elements = { 80 : 10.0.0.1 }" in listed
    assert parsed[1]["map"]["elem"] == [[80, "10.0.0.1"]]
    assert refused[0] == errno.ENOENT
    assert "delete table ip nosuch" in refused[1]
    assert unchanged
    assert left.strip() == ""


def test_families_of_addresses() -> None:
    with Route() as route:
        with pytest.raises(OSError, match="illegal IP address"):
            route.add_address("lo", "10.0.0/8")
        assert socket.if_nametoindex("lo")
