"""Packets by hand, judged by dnspython."""

import contextlib

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.resolver import packets
from cove.resolver.packets import Malformed


def query(name: str, kind: str = "A", *, edns: int | bool = False, payload: int = 1400) -> bytes:
    return dns.message.make_query(name, kind, use_edns=edns, payload=payload).to_wire()


def answered(data: list[bytes], wire: bytes, limit: int = 512) -> dns.message.Message:
    asked = packets.question(wire)
    return dns.message.from_wire(packets.answer(wire, asked, data, 5, limit=limit))


def test_a_question_is_read() -> None:
    asked = packets.question(query("Web.Example"))
    assert asked[:3] == ("web.example", packets.A, packets.IN) and asked.payload == 512 and asked.version is None
    asked = packets.question(query("x", "AAAA", edns=0))
    assert (asked.kind, asked.payload, asked.version) == (packets.AAAA, 1400, 0)


def test_an_answer_is_well_formed() -> None:
    made = answered([bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])], query("WEB"))
    assert made.answer[0].to_text().splitlines() == ["WEB. 5 IN A 10.0.0.1", "WEB. 5 IN A 10.0.0.2"]
    assert made.flags & dns.flags.QR and made.flags & dns.flags.RA and made.flags & dns.flags.RD
    assert made.rcode() == dns.rcode.NOERROR and made.edns == -1


def test_edns_is_answered_in_kind() -> None:
    assert answered([], query("web", edns=0)).edns == 0
    wire = query("web", edns=3)
    made = dns.message.from_wire(packets.refusal(wire, packets.question(wire), packets.BADVERS))
    assert made.rcode() == dns.rcode.BADVERS and made.edns == 0
    wire = query("web", edns=0)
    refused = packets.refusal(wire, packets.question(wire), packets.NXDOMAIN, packets.PROHIBITED)
    made = dns.message.from_wire(refused)
    assert made.rcode() == dns.rcode.NXDOMAIN and made.options[0].otype == dns.edns.OptionType.EDE


def test_what_is_too_long_says_so() -> None:
    data = [bytes([10, 0, 0, number]) for number in range(60)]
    made = answered(data, query("web"))
    assert made.flags & dns.flags.TC and not made.answer
    assert len(answered(data, query("web"), limit=65535).answer[0]) == 60


def test_a_reverse_answer() -> None:
    wire = query("2.0.0.10.in-addr.arpa", "PTR")
    made = answered([packets.encode_name("web.net")], wire)
    assert made.answer[0].to_text() == "2.0.0.10.in-addr.arpa. 5 IN PTR web.net."


def test_records_of_a_response() -> None:
    text = "id 1\nopcode QUERY\nrcode NOERROR\nflags QR\n;QUESTION\na.test. IN A\n;ANSWER\n"
    text += "a.test. 60 IN CNAME b.test.\nb.test. 30 IN A 192.0.2.1\nb.test. 20 IN AAAA 2001:db8::1\n"
    found = list(packets.records(dns.message.from_text(text).to_wire()))
    assert [(record.kind, record.ttl) for record in found] == [(5, 60), (1, 30), (28, 20)]
    assert found[1].data == bytes([192, 0, 2, 1])


@given(st.binary(max_size=80))
def test_no_bytes_do_harm(data: bytes) -> None:
    try:
        asked = packets.question(data)
    except Malformed:
        if len(data) >= 12:
            dns.message.from_wire(packets.refusal(data, None, packets.FORMERR), question_only=True)
        return
    packets.answer(data, asked, [], 0)


@given(st.binary(max_size=120), st.integers(0, 119), st.integers(0, 255))
def test_no_response_does_harm(tail: bytes, place: int, byte: int) -> None:
    wire = bytearray(query("a.test")[:6] + b"\0\3" + query("a.test")[8:] + tail)
    wire[place % len(wire)] = byte
    with contextlib.suppress(Malformed):
        list(packets.records(bytes(wire)))


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64, ".".join(["abcdefgh"] * 40)])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(Malformed):
        packets.encode_name(name)
