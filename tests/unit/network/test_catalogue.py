from ipaddress import ip_network

import pytest

from cove.errors import Forbidden, InvalidArgument, NotFound
from cove.network import NetworkRecord, NetworkSettings, Pool
from cove.network.catalogue import Catalogue, default_bridge, user_network

SETTINGS = NetworkSettings()


def test_networks_are_found_by_id_name_and_start_of_an_id():
    catalogue = Catalogue()
    one, two = NetworkRecord("ab12", "one", "null"), NetworkRecord("ab34", "two", "null")
    catalogue.add(one)
    catalogue.add(two)
    assert [catalogue.get(reference) for reference in ("ab12", "two", "ab3")] == [one, two, two]
    with pytest.raises(InvalidArgument, match="network ab is ambiguous"):
        catalogue.get("ab")
    for reference in ("three", ""):
        with pytest.raises(NotFound, match="not found"):
            catalogue.get(reference)


def test_the_default_bridge_stays_what_it_was_unless_it_no_longer_fits():
    first = default_bridge(SETTINGS, [], None, False)
    assert (first.pools[0].subnet, first.pools[0].gateway) == ("172.17.0.0/16", "172.17.0.1")
    assert default_bridge(SETTINGS, [], first, False) == first
    moved = default_bridge(SETTINGS, [ip_network("172.17.5.0/24")], first, False)
    assert (moved.id, moved.pools[0].subnet) == (first.id, "172.18.0.0/16")
    assert default_bridge(SETTINGS, [ip_network("172.17.5.0/24")], first, True) == first
    told = default_bridge(NetworkSettings(bip="10.1.2.3/24"), [], first, False)
    assert (told.pools[0].subnet, told.pools[0].gateway) == ("10.1.2.0/24", "10.1.2.3")
    assert default_bridge(NetworkSettings(bip="10.1.2.3/24"), [], first, True) == first


@pytest.mark.parametrize("bip", ["10.0.0.0/24", "10.0.0.1/32", "10.0.0.1/31", "fd00::1/64", "x", "10.0.0.1/99"])
def test_a_bip_that_cannot_be_used_is_refused(bip):
    with pytest.raises(InvalidArgument, match="bip"):
        default_bridge(NetworkSettings(bip=bip), [], None, False)


def make(name="mine", pools=(), used=(), routes=(), routed_by_host=True, settings=SETTINGS, **more):
    wanted = NetworkRecord("a" * 64, name, "bridge", pools=tuple(pools), **more)
    return user_network(wanted, settings, used, routes, routed_by_host=routed_by_host)


def test_a_user_network_gets_what_was_left_open():
    network = make(used=[ip_network("172.17.0.0/16")])
    assert (network.pools[0].subnet, network.pools[0].gateway) == ("172.18.0.0/16", "172.18.0.1")
    dual = make(pools=[Pool("fd01::/64", "")], ipv6=True)
    assert [pool.subnet for pool in dual.pools] == ["172.17.0.0/16", "fd01::/64"]
    ranged = make(pools=[Pool("10.1.0.0/24", "", "10.1.0.128/25", {"printer": "10.1.0.128"})])
    assert ranged.pools[0].gateway == "10.1.0.129", "the first of the range that is not spoken for"
    assert make(pools=[Pool("", "", "", {})]).pools[0].subnet == "172.17.0.0/16"
    assert make(pools=[Pool("10.1.0.0/24", "")], routed_by_host=False).pools[0].gateway == ""


def test_what_the_host_does_not_route_may_be_the_network_that_it_is_on():
    pools, lan = [Pool("10.1.0.0/24", "10.1.0.1")], [ip_network("10.1.0.0/16")]
    assert make(pools=pools, routes=lan, routed_by_host=False).pools[0].subnet == "10.1.0.0/24"
    with pytest.raises(Forbidden, match="Pool overlaps"):
        make(pools=pools, routes=lan)
    with pytest.raises(Forbidden, match="Pool overlaps"):
        make(pools=pools, used=lan, routed_by_host=False)
    assert make(routes=[ip_network("172.17.0.0/16")], routed_by_host=False).pools[0].subnet == "172.18.0.0/16"


def test_subnets_of_ipv6_come_from_the_machines_own_unique_local_addresses():
    settings = NetworkSettings(identity="machine")
    first = make(ipv6=True, settings=settings)
    taken = ip_network(first.pools[1].subnet)
    second = make(ipv6=True, settings=settings, used=[taken])
    assert taken.prefixlen == 64 and taken.subnet_of(ip_network("fd00::/8"))
    assert ip_network(second.pools[1].subnet).network_address == taken.network_address + (1 << 64)
    assert make(ipv6=True, settings=NetworkSettings(identity="other")).pools[1].subnet != first.pools[1].subnet
    alone = make(ipv6=True, ipv4=False, settings=NetworkSettings(pools=(("fd77::/48", 56),)))
    assert [pool.subnet for pool in alone.pools] == ["fd77::/56"]
    with pytest.raises(InvalidArgument, match="IPv4 or IPv6 must be enabled"):
        make(ipv4=False)


def test_what_a_user_network_cannot_be_is_refused():
    with pytest.raises(Forbidden, match="Pool overlaps"):
        make(pools=[Pool("10.0.0.0/8", "")], used=[ip_network("10.9.0.0/16")])
    with pytest.raises(Forbidden, match="Pool overlaps"):
        make(pools=[Pool("10.0.0.0/24", ""), Pool("10.0.0.128/25", "")])
    with pytest.raises(Forbidden, match="predefined host network"):
        make("host")
    for name in ("", "-x", "a b", "a/b"):
        with pytest.raises(InvalidArgument, match="network name"):
            make(name)
