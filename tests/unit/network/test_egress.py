"""Egress policies as text."""

import pytest

from cove.errors import InvalidArgument
from cove.network import EgressPolicy, parse_policy


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", None),
        ("none", None),
        ("deny", EgressPolicy()),
        ("learn", EgressPolicy(learns=True)),
        ("allow=Example.ORG.", EgressPolicy({"example.org": []})),
        ("allow=*.a.test:443,b.test:53/udp", EgressPolicy({"*.a.test": ["443/tcp"], "b.test": ["53/udp"]})),
        ("allow=a:80,a:81", EgressPolicy({"a": ["80/tcp", "81/tcp"]})),
        ("allow=a:80,a", EgressPolicy({"a": []})),
        ("allow=10.1.2.3/8:443,192.0.2.1", EgressPolicy({}, {"10.0.0.0/8": ["443/tcp"], "192.0.2.1/32": []})),
        ("allow=2001:db8::/32,[fd00::1]:53", EgressPolicy({}, {"2001:db8::/32": [], "fd00::1/128": ["53/tcp"]})),
    ],
)
def test_policies(text: str, policy: EgressPolicy | None) -> None:
    assert parse_policy(text) == policy


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "allow",
        "allow=",
        "deny=a",
        "learn=a",
        "allow=a,,b",
        "allow=a:65536",
        "allow=a:80/sctp",
        "allow=é",
        "allow=a:",
        "allow=[::1",
        "allow=[::1]:",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid egress policy"):
        parse_policy(text)
