"""``hosts.toml`` and directories of certificates: where a registry and its mirrors are."""

from pathlib import Path

import pytest

from cove.errors import InvalidArgument
from cove.registry.client.places import HUB, places
from cove.registry.client.settings import Registries


def _directory(root: Path, name: str, **files: str) -> Path:
    directory = root / name
    directory.mkdir(parents=True)
    for file, text in files.items():
        (directory / file.replace("__", ".")).write_text(text)
    return directory


def test_mirrors_come_before_the_registry_and_only_to_read(tmp_path: Path) -> None:
    directory = _directory(
        tmp_path,
        "registry.test",
        hosts__toml="""
server = "https://other.test"
[host."https://near.test:5000"]
  capabilities = ["pull", "resolve"]
  ca = "near.pem"
  client = [["me.cert", "me.key"]]
  [host."https://near.test:5000".header]
    x-team = ["a", "b"]
[host."http://far.test/v2/mirror"]
  capabilities = ["pull"]
  override_path = true
  skip_verify = true
[host."https://write.test"]
  capabilities = ["push"]
""",
    )
    registries = Registries(certificates=(tmp_path,))
    near, far, own = places("registry.test", registries)
    assert near.api == "https://near.test:5000/v2" and near.mirror and near.namespace == "registry.test"
    assert near.authorities == (directory / "near.pem",)
    assert near.identities == ((directory / "me.cert", directory / "me.key"),)
    assert near.headers == {"x-team": "a, b"}
    assert far.api == "http://far.test/v2/mirror" and not far.verify
    assert own.url == "https://other.test" and not own.mirror
    assert [place.url for place in places("registry.test", registries, reading=False)] == [
        "https://write.test",
        "https://other.test",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server = 1", "hosts.toml"),
        ("[host.'ftp://x']", "no http or https URL"),
        ("[host.'https://x']\ncapabilities = ['fly']", "'fly' is not one of pull, resolve, push"),
        ("[host", "hosts.toml"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    _directory(tmp_path, "registry.test", hosts__toml=text)
    with pytest.raises(InvalidArgument, match=words):
        places("registry.test", Registries(certificates=(tmp_path,)))


def test_certificates_as_docker_has_them(tmp_path: Path) -> None:
    directory = _directory(tmp_path, "registry.test:5000", ca__crt="", client__cert="", client__key="")
    (place,) = places("registry.test:5000", Registries(certificates=(tmp_path,)))
    assert place.authorities == (directory / "ca.crt",)
    assert place.identities == ((directory / "client.cert", directory / "client.key"),)
    (other,) = places("registry.test", Registries(certificates=(tmp_path,)))
    assert not other.authorities


@pytest.mark.parametrize(("name", "words"), [("x.cert", "missing key x.key"), ("x.key", "missing client certificate")])
def test_half_a_client_certificate(tmp_path: Path, name: str, words: str) -> None:
    _directory(tmp_path, "registry.test", **{name.replace(".", "__"): ""})
    with pytest.raises(InvalidArgument, match=words):
        places("registry.test", Registries(certificates=(tmp_path,)))


def test_mirrors_of_docker_hub(tmp_path: Path) -> None:
    registries = Registries(mirrors=("http://127.0.0.1:5000/",), certificates=(tmp_path,))
    mirror, own = places(HUB, registries)
    assert mirror.api == "http://127.0.0.1:5000/v2" and mirror.mirror
    assert own.api == "https://registry-1.docker.io/v2"
    assert [place.mirror for place in places(HUB, registries, reading=False)] == [False]
    assert [place.mirror for place in places("registry.test", registries)] == [False]


def test_a_default_for_all_registries(tmp_path: Path) -> None:
    _directory(tmp_path, "_default", hosts__toml="[host.'https://cache.test']")
    mirror, _ = places("registry.test", Registries(certificates=(tmp_path,)))
    assert mirror.url == "https://cache.test" and mirror.namespace == ""
