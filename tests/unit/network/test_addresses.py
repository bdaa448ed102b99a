from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.errors import Conflict, InvalidArgument, Unavailable
from cove.network.addresses import AddressPool, choose_subnet, mac_for
from cove.network.records import Pool
from cove.network.settings import DOCKER_POOLS


def test_the_lowest_free_address_is_given():
    pool = AddressPool("net", Pool("10.0.0.0/24", "10.0.0.1", auxiliary={"router": "10.0.0.3"}))
    assert [str(pool.take()) for _ in range(3)] == ["10.0.0.2", "10.0.0.4", "10.0.0.5"]
    pool.release("10.0.0.4")
    pool.release("10.0.0.2")
    pool.release("10.0.0.2")
    assert [str(pool.take()) for _ in range(3)] == ["10.0.0.2", "10.0.0.4", "10.0.0.6"]


def test_a_claimed_address_is_given_to_nobody_else_and_comes_back():
    pool = AddressPool("net", Pool("10.0.0.0/29", "10.0.0.1"))
    assert str(pool.claim("10.0.0.3")) == "10.0.0.3"
    with pytest.raises(Conflict, match="Address already in use"):
        pool.claim("10.0.0.3")
    with pytest.raises(Conflict):
        pool.claim("10.0.0.1")
    with pytest.raises(InvalidArgument, match=r"10\.0\.1\.1.*10\.0\.0\.0/29"):
        pool.claim("10.0.1.1")
    assert [str(pool.take()) for _ in range(4)] == ["10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"]
    pool.release("10.0.0.3")
    assert str(pool.take()) == "10.0.0.3"
    with pytest.raises(Unavailable, match="no available IPv4 addresses on this network's address pools: net"):
        pool.take()


def test_a_range_bounds_what_is_given_but_not_what_is_claimed():
    pool = AddressPool("net", Pool("10.0.0.0/24", "10.0.0.1", range="10.0.0.128/31"))
    assert [str(pool.take()) for _ in range(2)] == ["10.0.0.128", "10.0.0.129"]
    assert str(pool.claim("10.0.0.9")) == "10.0.0.9"
    with pytest.raises(Unavailable):
        pool.take()


def test_what_is_taken_and_what_is_left_is_counted():
    pool = AddressPool("net", Pool("10.0.0.0/24", "10.0.0.1", "10.0.0.128/25", {"router": "10.0.0.200"}))
    assert (pool.in_use, pool.available) == (4, 126)
    taken = pool.take()
    pool.claim("10.0.0.7")
    assert (pool.in_use, pool.available) == (6, 125)
    pool.release(str(taken))
    assert (pool.in_use, pool.available) == (5, 126)
    assert AddressPool("net", Pool("fd00::/64", "fd00::1")).available == (1 << 64) - 2


def test_ipv6_pools_are_not_walked():
    pool = AddressPool("net", Pool("fd00::/64", "fd00::1"))
    assert [str(pool.take()) for _ in range(2)] == ["fd00::2", "fd00::3"]


@pytest.mark.parametrize(
    "pool",
    [
        Pool("10.0.0.0/33", "10.0.0.1"),
        Pool("10.0.0.0/24", "10.0.1.1"),
        Pool("10.0.0.0/24", "gateway"),
        Pool("10.0.0.0/24", "10.0.0.1", range="10.0.0.0/16"),
        Pool("10.0.0.0/24", "10.0.0.1", range="fd00::/64"),
        Pool("10.0.0.0/24", "10.0.0.1", auxiliary={"x": "1.2.3.4"}),
    ],
)
def test_a_pool_that_contradicts_itself_is_refused(pool):
    with pytest.raises(InvalidArgument):
        AddressPool("net", pool)


@given(st.lists(st.tuples(st.sampled_from(["take", "release", "claim"]), st.integers(0, 15)), max_size=60))
def test_an_address_is_never_given_twice(steps):
    pool = AddressPool("net", Pool("10.0.0.0/28", "10.0.0.1"))
    held: set[str] = set()
    for step, number in steps:
        text = f"10.0.0.{number}"
        if step == "take" and len(held - {"10.0.0.0", "10.0.0.15"}) < 13:
            address = str(pool.take())
            assert address not in held and address not in ("10.0.0.0", "10.0.0.1", "10.0.0.15")
            assert all(f"10.0.0.{lower}" in held for lower in range(2, int(address.split(".")[3])))
            held.add(address)
        elif step == "release" and text in held:
            pool.release(text)
            held.remove(text)
        elif step == "claim" and number not in (0, 1, 15) and text not in held:
            held.add(str(pool.claim(text)))


def test_subnets_avoid_what_is_used():
    used = [ip_network("172.16.0.0/14"), ip_network("172.20.3.0/24"), ip_network("fd00::/8")]
    assert choose_subnet(DOCKER_POOLS, []) == ip_network("172.17.0.0/16")
    assert choose_subnet(DOCKER_POOLS, used) == ip_network("172.21.0.0/16")
    assert choose_subnet(DOCKER_POOLS, [ip_network("172.16.0.0/12")]) == ip_network("192.168.0.0/20")
    with pytest.raises(Unavailable, match="all predefined address pools have been fully subnetted"):
        choose_subnet(DOCKER_POOLS, [ip_network("0.0.0.0/1"), ip_network("128.0.0.0/1")])


def test_the_mac_follows_from_the_address():
    assert mac_for("172.17.0.2") == "02:42:ac:11:00:02"
    assert mac_for("").startswith("02:42:") and mac_for("") != mac_for("")
