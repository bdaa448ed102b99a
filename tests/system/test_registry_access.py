"""How registries are reached: passwords, certificates, mirrors, proxies."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.debian_registry import debian_registry
from harness.engine import Engine
from harness.forward_proxy import forward_proxy

pytestmark = pytest.mark.needs("root", "docker-registry", "cove")

PASSWORDS = "u:$2y$05$fi17fIu33su7vBY3zN/fp.FwwNDeYIcozd129MwvUm1zusp./wZYK\n"
"""User ``u``, password ``p``, as htpasswd writes it."""


def _certificate(directory: Path, name: str, signer: str = "", *more: str) -> None:
    """A key and a certificate, signed by another one or by itself."""
    files = ["-keyout", f"{directory}/{name}.key", "-out", f"{directory}/{name}.crt", "-days", "2"]
    signed = ["-CA", f"{directory}/{signer}.crt", "-CAkey", f"{directory}/{signer}.key"] if signer else []
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"]
    subprocess.run(["openssl", "req", "-x509", *kind, *files, *signed, *more], check=True, capture_output=True)


@contextlib.contextmanager
def _seeded(engine: Engine, name: str) -> Iterator[None]:
    """What a registry without a password has, with the image ``name``; its directory stays for another one."""
    with debian_registry(engine) as registry:
        engine.docker("tag", "busybox", f"{registry.host}/{name}")
        engine.docker("push", f"{registry.host}/{name}")
        engine.docker("rmi", f"{registry.host}/{name}")
    yield
    shutil.rmtree(registry.root)


def test_a_password(daemon: Engine, tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(PASSWORDS)
    auth = {"htpasswd": {"realm": "here", "path": str(tmp_path / "htpasswd")}}
    with _seeded(daemon, "team/app:1"), debian_registry(daemon, auth=auth) as registry:
        name = f"{registry.host}/team/app:1"
        refused = daemon.docker("pull", name, check=False)
        words = f'Head "http://{registry.host}/v2/team/app/manifests/1": no basic auth credentials'
        assert (refused.code, refused.err.strip()) == (1, f"Error response from daemon: {words}")
        daemon.docker("tag", "busybox", f"{registry.host}/team/mine:1")
        refused = daemon.docker("push", f"{registry.host}/team/mine:1", check=False)
        assert refused.err.strip() == "no basic auth credentials"
        daemon.docker("login", "-u", "u", "--password-stdin", registry.host, input="p")
        daemon.docker("pull", name)
        daemon.docker("push", f"{registry.host}/team/mine:1")
        daemon.docker("logout", registry.host)
        assert daemon.docker("pull", name, check=False).code == 1


def test_certificates_of_a_registry(fresh_daemon: Daemon, tmp_path: Path) -> None:
    certificates = tmp_path / "certs.d"
    directory = certificates / "registry.test:5000"
    directory.mkdir(parents=True)
    _certificate(tmp_path, "ca")
    _certificate(tmp_path, "server", "ca", "-addext", "subjectAltName=DNS:registry.test")
    _certificate(tmp_path, "client", "ca")
    tls = {
        "certificate": f"{tmp_path}/server.crt",
        "key": f"{tmp_path}/server.key",
        "clientcas": [f"{tmp_path}/ca.crt"],
    }
    http = {"addr": "127.0.0.1:5000", "tls": tls}
    with _seeded(fresh_daemon, "team/app:1"), debian_registry(fresh_daemon, http=http):  # noqa: SIM117
        with forward_proxy(fresh_daemon, 5000) as proxy:  # which is how the name leads there
            fresh_daemon.restart_with(f"--registry-certs-dir={certificates}", f"--https-proxy={proxy.url}")
            name = "registry.test:5000/team/app:1"
            unknown = fresh_daemon.docker("pull", name, check=False)
            assert unknown.err.strip().endswith("x509: certificate signed by unknown authority")
            shutil.copy(tmp_path / "ca.crt", directory / "ca.crt")
            nobody = fresh_daemon.docker("pull", name, check=False)
            assert nobody.code == 1 and "unknown authority" not in nobody.err
            shutil.copy(tmp_path / "client.crt", directory / "client.cert")
            half = fresh_daemon.docker("pull", name, check=False)
            assert "missing key client.key for client certificate client.cert" in half.err
            shutil.copy(tmp_path / "client.key", directory / "client.key")
            fresh_daemon.docker("pull", name)
            assert proxy.asked() == {"registry.test:5000"}


def test_mirrors(fresh_daemon: Daemon, tmp_path: Path) -> None:
    hosts = tmp_path / "certs.d" / "registry.test"
    hosts.mkdir(parents=True)
    (hosts / "hosts.toml").write_text('[host."http://localhost:5000"]\ncapabilities = ["pull", "resolve"]\n')
    fresh_daemon.restart_with(f"--registry-certs-dir={hosts.parent}", "--registry-mirror=http://localhost:5000")
    with _seeded(fresh_daemon, "library/app:1"):
        with debian_registry(fresh_daemon):
            assert "Status: Downloaded newer image for app:1" in fresh_daemon.docker("pull", "app:1").out
            fresh_daemon.docker("pull", "registry.test/library/app:1")
            digests = json.loads(fresh_daemon.docker("image", "inspect", "app:1").out)[0]["RepoDigests"]
            assert {digest.partition("@")[0] for digest in digests} == {"app", "registry.test/library/app"}
            gone = fresh_daemon.docker("pull", "app:2", check=False)
            assert "registry-1.docker.io" in gone.err
        down = fresh_daemon.docker("pull", "app:1", check=False)
        assert "registry-1.docker.io" in down.err and down.code == 1


def test_a_proxy_for_registries_without_tls(fresh_daemon: Daemon) -> None:
    with _seeded(fresh_daemon, "team/app:1"), debian_registry(fresh_daemon), forward_proxy(fresh_daemon, 5000) as proxy:
        flags = [f"--http-proxy={proxy.url}", f"--https-proxy={proxy.url}", "--no-proxy=elsewhere.test"]
        fresh_daemon.restart_with("--insecure-registry=registry.test:5000", *flags)
        fresh_daemon.docker("pull", "registry.test:5000/team/app:1")
        assert proxy.asked() == {"registry.test:5000"}
