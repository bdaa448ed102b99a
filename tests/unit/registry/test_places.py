"""Where a registry is, and what it asks for."""

import pytest

from cove.errors import InvalidArgument
from cove.registry.client.challenge import Challenge, parse
from cove.registry.client.places import HUB, Place, host_of, is_insecure, places


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("docker.io", HUB),
        ("https://index.docker.io/v1/", HUB),
        ("registry.test", "registry.test"),
        ("registry.test:5000/v2/", "registry.test:5000"),
        ("http://localhost:5000", "localhost:5000"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_hosts(name: str, host: str) -> None:
    assert host_of(name) == host


@pytest.mark.parametrize("name", ["", "  ", "https://", "a b", "user@registry.test", "/x"])
def test_names_of_no_host(name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid registry address"):
        host_of(name)


@pytest.mark.parametrize(
    ("host", "insecure", "found"),
    [
        ("registry.test", (), False),
        ("registry.test", ("registry.test",), True),
        ("registry.test:5000", ("registry.test",), False),
        ("localhost:5000", (), True),
        ("127.0.0.9", (), True),
        ("[::1]:5000", (), True),
        ("10.1.2.3:5000", ("10.0.0.0/8",), True),
        ("11.1.2.3", ("10.0.0.0/8",), False),
    ],
)
def test_who_may_be_without_tls(host: str, insecure: tuple[str, ...], found: bool) -> None:
    assert is_insecure(host, insecure) is found


def test_tls_comes_first() -> None:
    assert places("registry.test") == [Place("https://registry.test")]
    assert places("localhost:1") == [Place("https://localhost:1", False), Place("http://localhost:1")]


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        ('Basic realm="a, b"', Challenge("basic", {"realm": "a, b"})),
        (
            'Bearer realm="https://t/x",service="s",scope="repository:a/b:pull,push"',
            Challenge("bearer", {"realm": "https://t/x", "service": "s", "scope": "repository:a/b:pull,push"}),
        ),
        ("Bearer Realm=https://t, service=s", Challenge("bearer", {"realm": "https://t", "service": "s"})),
        (r'Basic realm="a \"b\""', Challenge("basic", {"realm": 'a "b"'})),
        ("", Challenge("", {})),
        ("Negotiate", Challenge("negotiate", {})),
    ],
)
def test_challenges(header: str, challenge: Challenge) -> None:
    assert parse(header) == challenge
