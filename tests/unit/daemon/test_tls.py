"""TCP listeners: refused without a check of who talks; with TLS, only a client with a certificate gets an answer."""

import ssl
from pathlib import Path

import pytest

from cove.daemon import tls
from cove.daemon.settings import Settings
from cove.errors import InvalidArgument
from harness.certificates import certificate

TCP = ("tcp://127.0.0.1:0",)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    certificate(directory, "ca")
    certificate(directory, "daemon", "ca")
    certificate(directory, "client", "ca")
    certificate(directory, "stranger")
    return directory


def verified(keys: Path) -> Settings:
    return Settings(
        hosts=TCP,
        tlsverify=True,
        tlscacert=str(keys / "ca.pem"),
        tlscert=str(keys / "daemon.pem"),
        tlskey=str(keys / "daemon.key"),
    )


def test_tcp_that_anyone_may_use_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="--allow-unauthenticated-tcp"):
        tls.context(Settings(hosts=TCP))


def test_unless_it_is_said_out_loud() -> None:
    assert tls.context(Settings(hosts=TCP, allow_unauthenticated_tcp=True)) is None


def test_encryption_alone_does_not_make_it_safe(keys: Path) -> None:
    settings = Settings(hosts=TCP, tlscert=str(keys / "daemon.pem"), tlskey=str(keys / "daemon.key"))
    with pytest.raises(InvalidArgument, match="client verification"):
        tls.context(settings)


def test_unix_sockets_need_none() -> None:
    assert tls.context(Settings(hosts=("unix:///run/x.sock",))) is None
    assert tls.context(Settings()) is None


@pytest.mark.parametrize("flag", ["tls", "tlsverify"])
def test_what_is_asked_for_must_be_there_without_tcp_too(flag: str) -> None:
    with pytest.raises(InvalidArgument, match="--tlscert"):
        tls.context(Settings(**{flag: True}))


@pytest.mark.parametrize("flag", ["tlscacert", "tlscert", "tlskey"])
def test_a_missing_file_is_named(keys: Path, flag: str) -> None:
    values = {name: str(keys / file) for name, file in FILES.items() if name != flag}
    with pytest.raises(InvalidArgument, match=f"--{flag}"):
        tls.context(Settings(hosts=TCP, tlsverify=True, **values))
    values[flag] = str(keys / "nonesuch")
    with pytest.raises(InvalidArgument, match=f"--{flag} "):
        tls.context(Settings(hosts=TCP, tlsverify=True, **values))


FILES = {"tlscacert": "ca.pem", "tlscert": "daemon.pem", "tlskey": "daemon.key"}


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes:
    """A handshake and one message in memory. Raises ssl.SSLError when one side refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    ends[0].write(b"served")
    return ends[1].read(100)


def client_context(keys: Path, name: str) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(keys / "ca.pem"))
    if name:
        made.load_cert_chain(keys / f"{name}.pem", keys / f"{name}.key")
    return made


def test_a_client_with_a_certificate_is_served(keys: Path) -> None:
    server = tls.context(verified(keys))
    assert server is not None
    assert shake_hands(server, client_context(keys, "client")) == b"served"


@pytest.mark.parametrize("name", ["", "stranger"])
def test_a_client_without_one_of_ours_is_not(keys: Path, name: str) -> None:
    server = tls.context(verified(keys))
    assert server is not None
    with pytest.raises(ssl.SSLError):
        shake_hands(server, client_context(keys, name))
