"""Who is called what."""

from ipaddress import ip_address

import dns.message
import dns.reversename
import pytest

from cove.resolver import packets
from cove.resolver.answers import Answers
from cove.resolver.messages import Endpoint
from cove.resolver.names import Names, reversed_address


def endpoint(network: str, names: list[str], *addresses: str, **aliases: str) -> Endpoint:
    return Endpoint(
        network=network,
        network_name=f"{network}.net",
        subnets=["10.0.0.0/24", "fd00::/64"],
        names=names,
        addresses=list(addresses),
        aliases=aliases,
    )


def texts(found: object) -> list[str] | None:
    return None if found is None else [str(address) for address in found]  # type: ignore[attr-defined]


def test_names_are_of_their_network() -> None:
    names = Names()
    here, there = [endpoint("a", ["me"], "10.0.0.1")], [endpoint("b", ["you"], "10.0.0.2")]
    names.place("1", here)
    names.place("2", there)
    assert texts(names.addresses(here, "me")) == ["10.0.0.1"]
    assert names.addresses(here, "you") is None
    both = [*here, *there]
    names.place("3", [endpoint("a", ["x"], "10.0.0.3"), endpoint("b", ["x"], "10.0.0.4")])
    assert texts(names.addresses(both, "x")) == ["10.0.0.3"]
    assert texts(names.addresses(both, "x.b.net")) == ["10.0.0.4"]
    assert names.addresses(both, "x.c.net") is None


def test_a_shared_name_has_all_addresses_and_loses_them() -> None:
    names = Names()
    for number in range(3):
        names.place(str(number), [endpoint("a", [f"n{number}", "web"], f"10.0.0.{number + 1}")])
    seen = [endpoint("a", ["me"], "10.0.0.9")]
    names.place("me", seen)
    assert texts(names.addresses(seen, "web")) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    names.remove("1")
    assert texts(names.addresses(seen, "web")) == ["10.0.0.1", "10.0.0.3"]
    assert names.addresses(seen, "n1") is None


def test_aliases_are_one_container_s_own() -> None:
    names = Names()
    names.place("target", [endpoint("a", ["db"], "10.0.0.5")])
    mine, other = [endpoint("a", ["me"], "10.0.0.6", store="target")], [endpoint("a", ["other"], "10.0.0.7")]
    names.place("me", mine)
    names.place("other", other)
    assert texts(names.addresses(mine, "store")) == ["10.0.0.5"]
    assert names.addresses(other, "store") is None
    names.remove("target")
    assert names.addresses(mine, "store") is None


def test_owners_of_addresses() -> None:
    names = Names()
    mine = [endpoint("a", ["me", "alias"], "10.0.0.6", "fd00::6")]
    names.place("me", mine)
    assert names.owner(mine, ip_address("10.0.0.6")) == names.owner(mine, ip_address("fd00::6")) == "me.a.net"
    assert names.owner(mine, ip_address("10.0.0.7")) == ""
    assert names.owner(mine, ip_address("192.0.2.1")) is None


def test_a_bad_address_changes_nothing() -> None:
    names = Names()
    mine = [endpoint("a", ["me"], "10.0.0.6")]
    names.place("me", mine)
    with pytest.raises(ValueError, match="nonsense"):
        names.place("me", [endpoint("a", ["me"], "nonsense")])
    assert texts(names.addresses(mine, "me")) == ["10.0.0.6"]


@pytest.mark.parametrize("text", ["10.1.2.3", "fd00::1:2"])
def test_reverse_names(text: str) -> None:
    name = dns.reversename.from_address(text).to_text().rstrip(".").lower()
    assert str(reversed_address(name)) == text
    for wrong in (name.partition(".")[2], f"0.{name}", f"x.{name.partition('.')[2]}", "in-addr.arpa", "a"):
        assert reversed_address(wrong) is None


def test_answers_turn_and_are_forgotten_when_names_change() -> None:
    names = Names()
    mine = [endpoint("a", ["me", "web"], "10.0.0.1")]
    names.place("me", mine)
    names.place("two", [endpoint("a", ["two", "web"], "10.0.0.2")])
    answers = Answers(names)
    answers.endpoints = mine
    wire = dns.message.make_query("web", "A").to_wire()
    firsts = []
    for _ in range(4):
        ready = answers.prepared(wire)
        made = wire[:2] + ready if ready else answers.datagram(wire, packets.question(wire))
        assert made is not None
        firsts.append(dns.message.from_wire(made).answer[0][0].to_text())
    assert firsts == ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"]
    names.remove("two")
    assert answers.prepared(wire) is None


@pytest.mark.parametrize(("kind", "code"), [("AAAA", 0), ("MX", 0), ("TXT", 0)])
def test_what_a_name_of_ours_has_not_is_asked_of_nobody(kind: str, code: int) -> None:
    names = Names()
    mine = [endpoint("a", ["me"], "10.0.0.1")]
    names.place("me", mine)
    answers = Answers(names)
    answers.endpoints = mine
    wire = dns.message.make_query("me", kind).to_wire()
    made = answers.datagram(wire, packets.question(wire))
    assert made is not None
    message = dns.message.from_wire(made)
    assert message.rcode() == code and not message.answer
