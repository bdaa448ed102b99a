"""The order of versions (Debian Policy, 5.6.12)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cove.errors import InvalidArgument
from cove.images.bootstrap.version import Version

ORDER = [
    "0~~",
    "0~~a",
    "0~",
    "0",
    "0a",
    "1.0~rc1-1",
    "1.0~rc1-1+b1",
    "1.0",
    "1.0-1~deb12u1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb12u1",
    "1.0-1+deb12u1+b1",
    "1.0-1.1",
    "1.0-2",
    "1.0-10",
    "1.0a",
    "1.0+",
    "1.0-rc-1",
    "1.0.1",
    "1.9",
    "1.10",
    "1:0.1",
    "1:1.35.0-4+b3",
    "1:1.35.0-4+deb12u1",
    "2:0",
]


@pytest.mark.parametrize(("older", "newer"), list(itertools.pairwise(ORDER)))
def test_order(older: str, newer: str) -> None:
    assert Version(older) < Version(newer)
    assert not Version(newer) < Version(older)
    assert Version(older) != Version(newer)


@pytest.mark.parametrize(
    ("one", "other"), [("1.0", "1.0-0"), ("0:1.0", "1.0"), ("1.01", "1.1"), ("1.a", "1.a0"), ("1.", "1.0")]
)
def test_equal(one: str, other: str) -> None:
    assert Version(one) == Version(other)
    assert hash(Version(one)) == hash(Version(other))
    assert not Version(one) < Version(other) and not Version(other) < Version(one)


@pytest.mark.parametrize("text", ["", "a b", "x:1", "1_0", "1/0", "é", "1.0-", "1\n"])
def test_no_version(text: str) -> None:
    with pytest.raises(InvalidArgument, match="not a package version"):
        Version(text)


VERSIONS = st.from_regex(r"([0-9]:)?[0-9][0-9a-c.+~]{0,6}(-[0-9a-c.+~]{1,4})?", fullmatch=True).map(Version)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_order_is_total(a: Version, b: Version, c: Version) -> None:
    assert (a < b) + (a == b) + (b < a) == 1
    if a < b and b < c:
        assert a < c
