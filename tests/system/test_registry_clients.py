"""``cove registry serve`` as users meet it: the real engine, skopeo; passwords, TLS, read-only, bad flags."""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.registry import Registry, skopeo

pytestmark = pytest.mark.needs("root")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, peer: Engine) -> Path:
    """An archive of two tags of the base image, and one more layer."""
    place = tmp_path_factory.mktemp("image")
    peer.docker("create", "--name", "made", "busybox", "true")
    peer.docker("commit", "-m", "second", "made", "made:2")
    peer.docker("rm", "made")
    peer.docker("save", "-o", str(place / "image.tar"), "made:2")
    return place / "image.tar"


@pytest.mark.needs("dockerd")
def test_the_real_engine_pushes_and_pulls(peer: Engine, tmp_path: Path) -> None:
    with Registry(tmp_path / "root", engine=peer) as registry:
        name = f"{registry.host}/team/busybox:1"
        peer.docker("tag", "busybox", name)
        assert "Pushed" in peer.docker("push", name).out
        assert "Layer already exists" in peer.docker("push", name).out
        other = name.replace("/team/", "/other/")
        peer.docker("tag", "busybox", other)
        assert "Mounted from team/busybox" in peer.docker("push", other).out
        peer.docker("rmi", name, other)
        assert "Downloaded newer image" in peer.docker("pull", name).out
        assert peer.docker("run", "--rm", name, "echo", "pulled").out == "pulled\n"
        peer.docker("rmi", name)


@pytest.mark.needs("skopeo")
def test_skopeo_copies_inspects_and_syncs(image: Path, tmp_path: Path) -> None:
    with Registry(tmp_path / "root") as registry:
        target = f"docker://{registry.host}/a/made:2"
        loose = "--dest-tls-verify=false"
        skopeo("copy", loose, f"docker-archive:{image}", target)
        skopeo("copy", loose, "--dest-compress-format", "zstd", f"docker-archive:{image}", f"{target}-zstd")
        looked = json.loads(skopeo("inspect", "--tls-verify=false", target).stdout)
        assert looked["RepoTags"] == ["2", "2-zstd"]
        skopeo("copy", "--src-tls-verify=false", target, f"oci:{tmp_path}/layout:2")
        skopeo("sync", "--src=docker", "--dest=dir", "--src-tls-verify=false", f"{registry.host}/a/made", str(tmp_path))
        assert (tmp_path / "made:2" / "manifest.json").exists()
        skopeo("sync", "--src=dir", "--dest=docker", loose, str(tmp_path / "made:2"), f"{registry.host}/synced")
        skopeo("delete", "--tls-verify=false", target)
        listed = skopeo("list-tags", "--tls-verify=false", target.removesuffix(":2")).stdout
        assert json.loads(listed)["Tags"] == []  # both were of one manifest, and skopeo deletes by digest


@pytest.mark.needs("skopeo")
def test_our_archives_go_to_the_registry_and_back(daemon: Engine, tmp_path: Path) -> None:
    daemon.cove("save", "-o", str(tmp_path / "out.tar"), "busybox")
    with Registry(tmp_path / "root") as registry:
        place = f"docker://{registry.host}/ours/busybox:1"
        skopeo("copy", "--dest-tls-verify=false", f"docker-archive:{tmp_path}/out.tar", place)
        skopeo("copy", "--src-tls-verify=false", place, f"docker-archive:{tmp_path}/back.tar:back:1")
    daemon.cove("load", "-i", str(tmp_path / "back.tar"))
    assert daemon.cove("run", "--rm", "back:1", "echo", "back").out == "back\n"
    daemon.docker("rmi", "back:1")


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Path]:
    import bcrypt

    file = tmp_path / "users"
    file.write_text(f"# who\nann:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    yield file


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_passwords(tmp_path: Path, users: Path) -> None:
    with Registry(tmp_path / "root", "--htpasswd", str(users)) as registry:
        for headers in ({}, basic("ann", "wrong"), basic("bob", "secret"), {"Authorization": "Basic ?"}):
            answer = registry.http("GET", "/v2/", headers=headers)
            assert answer.status == 401 and json.loads(answer.body)["errors"][0]["code"] == "UNAUTHORIZED"
            assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert registry.http("GET", "/v2/", headers=basic("ann", "secret")).status == 200
        users.write_text("")
        assert registry.http("GET", "/v2/", headers=basic("ann", "secret")).status == 401


@pytest.mark.needs("dockerd")
def test_the_real_engine_logs_in(peer: Engine, tmp_path: Path, users: Path) -> None:
    with Registry(tmp_path / "root", "--htpasswd", str(users), engine=peer) as registry:
        name = f"{registry.host}/private:1"
        peer.docker("tag", "busybox", name)
        assert "no basic auth credentials" in peer.docker("push", name, check=False).err
        peer.docker("login", "-u", "ann", "--password-stdin", registry.host, input="secret")
        peer.docker("push", name)
        peer.docker("logout", registry.host)
        peer.docker("rmi", name)


def test_tls(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    with Registry(tmp_path / "root", "--tlscert", str(certificate), "--tlskey", str(key)) as registry:
        fetched = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "--cacert", certificate, f"https://{registry.host}/v2/"],
            capture_output=True,
            text=True,
        )
        assert fetched.stdout == "{}", fetched


def test_read_only(tmp_path: Path) -> None:
    with Registry(tmp_path / "root") as registry:
        registry.http("POST", "/v2/a/blobs/uploads/?digest=sha256:" + "0" * 64, b"")
    with Registry(tmp_path / "root", "--read-only") as registry:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = registry.http(method, "/v2/a/blobs/uploads/", b"")
            assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (405, "UNSUPPORTED")
        assert registry.http("GET", "/v2/").status == 200


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "--root is needed"),
        (("--root", "{}", "--addr", "nowhere"), "--addr nowhere: use HOST:PORT"),
        (("--root", "{}", "--addr", "192.0.2.1:5000"), "cannot listen on 192.0.2.1:5000"),
        (("--root", "{}", "--htpasswd", "{}/none"), "--htpasswd {}/none: No such file or directory"),
        (("--root", "{}", "--htpasswd", "{}/md5"), "line 1 is not hashed by bcrypt"),
        (("--root", "{}", "--tlscert", "{}/none"), "--tlskey is needed for TLS"),
        (("--root", "{}", "--tlscert", "{}/none", "--tlskey", "{}/none"), "--tlscert {}/none"),
        (("--root", "{}", "--tlscacert", "{}/none"), "--tlscacert needs --tlscert and --tlskey"),
        (("--root", "{}", "--upload-age", "x"), 'invalid argument "x" for "--upload-age" flag'),
        (("--root", "{}", "--log-level", "loud"), 'invalid argument "loud" for "--log-level" flag'),
        (("--root", "{}/md5"), "{}/md5"),
    ],
)
def test_flags_that_cannot_be_used(tmp_path: Path, flags: tuple[str, ...], message: str) -> None:
    (tmp_path / "md5").write_text("ann:$apr1$x\n")
    given = [flag.replace("{}", str(tmp_path)) for flag in flags]
    done = subprocess.run(
        [sys.executable, "-m", "cove.cli.main", "registry", "serve", *given], capture_output=True, text=True, timeout=30
    )
    assert done.returncode in (1, 125) and message.replace("{}", str(tmp_path)) in done.stderr, done
    assert "Traceback" not in done.stderr


def test_one_root_has_one_registry(tmp_path: Path) -> None:
    with Registry(tmp_path / "root") as registry:
        second = subprocess.run(registry.argv(), capture_output=True, text=True, timeout=30)
        assert second.returncode == 1 and "another registry is using it" in second.stderr
