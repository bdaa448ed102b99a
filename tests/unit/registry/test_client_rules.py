"""Small rules of the client: proxies, waits, choosing a platform."""

import socket

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from cove.errors import NotFound
from cove.oci import image as oci
from cove.platform import Platform
from cove.registry.client import retrying
from cove.registry.client.choosing import choose
from cove.registry.client.failures import unreachable
from cove.registry.client.proxying import proxy_for
from cove.registry.client.settings import Patience, Proxies

PROXIES = Proxies("http://plain.test:3128", "http://safe.test:3128", "near.test,.inner.test,10.0.0.0/8,port.test:5000")


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://registry.test/v2/", "http://safe.test:3128"),
        ("http://registry.test/v2/", "http://plain.test:3128"),
        ("https://near.test/v2/", None),
        ("https://a.near.test/v2/", None),
        ("https://a.inner.test/v2/", None),
        ("https://10.1.2.3/v2/", None),
        ("https://port.test:5000/v2/", None),
        ("https://port.test/v2/", "http://safe.test:3128"),
        ("https://localhost:5000/v2/", None),
        ("http://127.0.0.1:5000/v2/", None),
        ("https://farnear.test/v2/", "http://safe.test:3128"),
    ],
)
def test_proxies(url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for(url, PROXIES) == proxy


def test_the_environment_has_proxies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "env.test:8080")
    monkeypatch.setenv("no_proxy", "*")
    assert proxy_for("https://registry.test/", Proxies(without="x")) == "http://env.test:8080"
    assert proxy_for("https://registry.test/", Proxies()) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0.0),
        ("7", 7.0),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("soon", 0.0),
        ("99999999999999", 0.0),
    ],
)
def test_retry_after(header: str, seconds: float) -> None:
    assert retrying.asked_seconds(header, now=1445412480.0) == seconds


def test_waits_double_and_end() -> None:
    patience = Patience(backoff=1.0, longest=10.0)
    assert [retrying.seconds(attempt, 0.0, patience, 1.0) for attempt in (1, 2, 3, 9)] == [1.0, 2.0, 4.0, 10.0]
    assert retrying.seconds(1, 5.0, patience, 0.0) == 5.0
    assert retrying.seconds(1, 500.0, patience, 0.0) == 10.0


def _entry(digit: str, platform: str, **more: object) -> oci.Descriptor:
    parts = Platform(*platform.split("/")) if platform else None
    made = oci.Platform(parts.architecture, parts.os, parts.variant) if parts else None
    return oci.Descriptor(oci.MANIFEST, f"sha256:{digit * 64}", 1, platform=made, **more)  # type: ignore[arg-type]


ENTRIES = [
    _entry("0", "unknown/unknown", annotations={"vnd.docker.reference.type": "attestation-manifest"}),
    _entry("1", "linux/arm/v6"),
    _entry("2", "linux/arm/v7"),
    _entry("3", "linux/arm64"),
    _entry("4", "linux/amd64"),
    _entry("5", "linux/amd64"),
    _entry("6", "windows/amd64"),
]


@pytest.mark.parametrize(
    ("platform", "digit"),
    [("linux/amd64", "4"), ("linux/arm64", "3"), ("linux/arm/v7", "2"), ("linux/arm/v6", "1"), ("linux/arm/v8", "2")],
)
def test_the_best_platform_is_chosen(platform: str, digit: str) -> None:
    assert choose(ENTRIES, Platform.parse(platform)).digest[-1] == digit


def test_no_platform_serves() -> None:
    with pytest.raises(NotFound, match="no matching manifest for linux/s390x in the manifest list entries"):
        choose(ENTRIES, Platform.parse("linux/s390x"))
    assert choose([*ENTRIES, _entry("7", "")], Platform.parse("linux/s390x")).digest[-1] == "7"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (socket.EAI_NONAME, "no such host"),
        (socket.EAI_NODATA, "no such host"),
        (socket.EAI_AGAIN, "server misbehaving"),
    ],
)
def test_names_that_cannot_be_looked_up(number: int, words: str) -> None:
    key = ConnectionKey("nowhere.test", 443, True, True, None, None, None, None)
    failure = aiohttp.ClientConnectorDNSError(key, socket.gaierror(number, "as the library says it"))
    told = unreachable("GET", "https://nowhere.test/v2/", failure)
    assert told.message == f'Get "https://nowhere.test/v2/": dial tcp: lookup nowhere.test: {words}'
