"""Detach keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.runtime.detach import BadKeys, Detector, parse


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("", b""),
        ("a", b"a"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("ctrl-A,z,~", b"\x01z~"),
    ],
)
def test_keys(keys: str, expected: bytes) -> None:
    assert parse(keys) == expected


@pytest.mark.parametrize("keys", ["ctrl-", "ctrl-1", "ab", "a,,b", "é", "ctrl-é", ","])
def test_what_is_no_key(keys: str) -> None:
    with pytest.raises(BadKeys, match="detach keys"):
        parse(keys)


def test_keys_are_found_across_reads() -> None:
    detector = Detector(b"\x10\x11")
    assert detector.feed(b"ab\x10") == (b"ab", False)
    assert detector.feed(b"\x11after") == (b"", True)


def test_a_beginning_that_is_not_completed_is_passed_on() -> None:
    detector = Detector(b"\x10\x11")
    assert detector.feed(b"\x10") == (b"", False)
    assert detector.feed(b"x") == (b"\x10x", False)


def test_a_beginning_within_a_beginning() -> None:
    assert Detector(b"aab").feed(b"aaab") == (b"a", True)


def test_no_keys_find_nothing() -> None:
    assert Detector(b"").feed(b"\x10\x11") == (b"\x10\x11", False)


@given(st.lists(st.binary(max_size=6)), st.binary(min_size=1, max_size=3))
def test_nothing_typed_is_lost(chunks: list[bytes], keys: bytes) -> None:
    detector = Detector(keys)
    typed = passed = b""
    for chunk in chunks:
        typed += chunk
        more, found = detector.feed(chunk)
        passed += more
        if found:
            assert keys in typed and typed.index(keys) == len(passed)
            return
    assert keys not in typed
    assert typed.startswith(passed) and keys.startswith(typed[len(passed) :])
