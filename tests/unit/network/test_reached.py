"""Where containers went, as a policy."""

import pytest

from cove.network import Reached, allowing, destinations, parse_policy
from cove.network.reached import reached

NAMES = {"a.test": ["192.0.2.1", "192.0.2.2"], "b.test": ["192.0.2.2"], "unused.test": ["192.0.2.9"]}


@pytest.mark.parametrize(
    ("places", "policy"),
    [
        ([], "deny"),
        ([Reached("192.0.2.1", "tcp", 443)], "allow=a.test:443"),
        ([Reached("192.0.2.2", "tcp", 443)], "allow=a.test:443,b.test:443"),
        ([Reached("198.51.100.1", "udp", 53), Reached("2001:db8::1", "tcp", 80)],
         "allow=198.51.100.1:53/udp,[2001:db8::1]:80"),
        ([Reached("198.51.100.1", "tcp", 80), Reached("198.51.100.1", "icmp")], "allow=198.51.100.1"),
        ([Reached("2001:db8::1", "ipv6-icmp")], "allow=2001:db8::1"),
    ],
)  # fmt: skip
def test_a_policy_of_places(places: list[Reached], policy: str) -> None:
    made = allowing(destinations(places, NAMES))
    assert made == policy
    parse_policy(made)


def test_destinations_have_the_addresses_that_were_reached() -> None:
    places = [Reached("192.0.2.2", "tcp", 80), Reached("192.0.2.1", "tcp", 80), Reached("192.0.2.1", "tcp", 80)]
    first, second = destinations(places, NAMES)
    assert (first.name, first.addresses) == ("a.test", ("192.0.2.1", "192.0.2.2"))
    assert (second.name, second.addresses) == ("b.test", ("192.0.2.2",))


def test_what_libnftables_lists() -> None:
    elements = [{"concat": ["192.0.2.1", 17, 53]}, {"concat": ["192.0.2.1", "tcp", 80]}, {"concat": ["192.0.2.1", 1]}]
    listing = {"nftables": [{"metainfo": {}}, {"set": {"name": "seen4", "elem": elements}}, {"set": {"name": "x"}}]}
    assert list(reached(listing)) == [
        Reached("192.0.2.1", "udp", 53),
        Reached("192.0.2.1", "tcp", 80),
        Reached("192.0.2.1", "icmp"),
    ]
