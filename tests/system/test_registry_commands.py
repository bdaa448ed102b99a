"""The commands about registries: login, push, pull, search, manifest, image copy and referrers."""

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.debian_registry import debian_registry
from harness.engine import Engine
from harness.login_server import login_server
from harness.oci_layout import Layout, busybox_layers
from harness.registries import KINDS, Served, served
from harness.search_index import search_index

pytestmark = pytest.mark.needs("root", "docker-registry", "skopeo", "busybox-static", "cove")

HELPER = """#!/bin/sh
read -r line
case $1 in
  store) echo "$line" >"{store}" ;;
  get) cat "{store}" 2>/dev/null || {{ echo "credentials not found in native keychain"; exit 1; }} ;;
  erase) rm -f "{store}" ;;
esac
"""


@pytest.fixture(params=KINDS)
def registry(daemon: Engine, request: pytest.FixtureRequest) -> Iterator[Served]:
    with served(daemon, request.param) as found:
        yield found


def _config(daemon: Engine) -> Path:
    return daemon.base / "config" / "config.json"


def test_a_login_is_one_for_both_command_lines(daemon: Engine) -> None:
    with login_server(daemon, "basic") as host:
        done = daemon.cove("login", "-u", "u", "--password-stdin", host, input="p\n")
        assert done.out == "Login Succeeded\n" and "stored unencrypted" in done.err
        assert stat.S_IMODE(_config(daemon).stat().st_mode) == 0o600
        assert json.loads(_config(daemon).read_text())["auths"][host] == {"auth": "dTpw"}
        assert "Login Succeeded" in daemon.docker("login", host).out
        again = daemon.cove("login", host)
        assert again.out == "Authenticating with existing credentials...\nLogin Succeeded\n"
        assert daemon.docker("logout", host).out == f"Removing login credentials for {host}\n"
        assert daemon.cove("logout", host).out == (f"Removing login credentials for {host}\nNot logged in to {host}\n")
        wrong = daemon.cove("login", "-u", "u", "-p", "x", host, check=False)
        assert wrong.code == 1 and "Using --password via the CLI is insecure" in wrong.err
        assert "401 Unauthorized" in wrong.err
        assert host not in json.loads(_config(daemon).read_text()).get("auths", {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-u", "u", "-p", "p", "--password-stdin"), "--password and --password-stdin are mutually exclusive"),
        (("--password-stdin",), "the --password-stdin option requires --username to be set"),
        ((), "Error: Cannot perform an interactive login from a non TTY device"),
    ],
)
def test_a_login_that_lacks_something(daemon: Engine, words: tuple[str, ...], message: str) -> None:
    done = daemon.cove("login", *words, "localhost:1", input="p", check=False)
    assert done.code == 1 and message in done.err


def test_a_program_keeps_the_credentials(daemon: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-test"
    program.write_text(HELPER.format(store=tmp_path / "kept"))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with login_server(daemon, "basic") as host:
        _config(daemon).write_text(json.dumps({"credHelpers": {host: "test"}, "other": 1}))
        daemon.cove("login", "-u", "u", "--password-stdin", host, input="p")
        assert json.loads((tmp_path / "kept").read_text()) == {"ServerURL": host, "Username": "u", "Secret": "p"}
        assert json.loads(_config(daemon).read_text())["other"] == 1
        assert "existing credentials" in daemon.cove("login", host).out
        daemon.cove("logout", host)
        assert not (tmp_path / "kept").exists()
    _config(daemon).write_text(json.dumps({"credsStore": "nowhere"}))
    done = daemon.cove("pull", "localhost:1/a", check=False)
    assert 'exec: "docker-credential-nowhere": executable file not found in $PATH' in done.err
    _config(daemon).unlink()


def test_push_and_pull_say_what_dockers_say(daemon: Engine, registry: Served) -> None:
    name = f"{registry.host}/team/app"
    daemon.docker("tag", "busybox", f"{name}:latest")
    daemon.docker("push", f"{name}:latest")
    for words in (("push", name), ("push", "-q", name), ("pull", name), ("pull", "-q", f"{name}:latest")):
        assert daemon.cove(*words).out == daemon.docker(*words).out
    ours, theirs = (cli("push", f"{registry.host}/none:1", check=False) for cli in (daemon.cove, daemon.docker))
    assert ours == theirs


def test_search_by_an_index(daemon: Engine) -> None:
    with search_index(daemon) as host:
        words = ("search", f"{host}/box")
        out = daemon.cove(*words).out
        assert out == daemon.docker(*words).out
        assert out.splitlines()[1].split() == ["box", "A", "box", "for", "tests", "90", "[OK]"]
        for flags in (("-f", "stars=10"), ("-f", "is-official=false"), ("--limit", "1"), ("--no-trunc",)):
            assert daemon.cove(*words, *flags).out == daemon.docker(*words, *flags).out
        bad = daemon.http("GET", f"/images/search?term={host}/box&filters=%7B%22x%22%3A%5B%22y%22%5D%7D")
        assert bad.status == 400 and "invalid filter 'x'" in bad.json()["message"]


def test_search_in_a_catalog(daemon: Engine, registry: Served) -> None:
    for name in ("team/app", "team/other"):
        daemon.docker("tag", "busybox", f"{registry.host}/{name}")
        daemon.docker("push", f"{registry.host}/{name}")
    lines = daemon.docker("search", "--format", "{{.Name}}", f"{registry.host}/app").out.splitlines()
    assert lines == [f"{registry.host}/team/app"]


def test_what_a_name_stands_for(daemon: Engine, registry: Served) -> None:
    name = f"{registry.host}/team/app"
    daemon.docker("tag", "busybox", name)
    digest = daemon.docker("push", name).out.splitlines()[-1].split()[2]
    found = daemon.sdk.images.get_registry_data(name)
    assert found.id == digest and found.attrs["Platforms"][0]["os"] == "linux"
    gone = daemon.http("GET", f"/distribution/{registry.host}/team/app:none/json")
    assert gone.status == 404 and gone.json()["message"].startswith("manifest unknown")


def test_a_list_of_platforms(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    for architecture in ("amd64", "arm64"):
        layout.tag(architecture, layout.image(_layers(), architecture, Cmd=["sh", "-c", f"echo {architecture}"]))
        layout.push(daemon.netns, architecture, f"{registry.host}/{architecture}/app:1")
    lists, names = f"{registry.host}/all/app:1", [f"{registry.host}/{each}/app:1" for each in ("amd64", "arm64")]
    assert daemon.cove("manifest", "create", lists, *names).out == f"Created manifest list {lists}\n"
    daemon.cove("manifest", "annotate", "--variant", "v8", lists, names[1])
    assert "no --amend flag" in daemon.cove("manifest", "create", lists, *names, check=False).err
    digest = daemon.cove("manifest", "push", "--purge", lists).out.strip()
    shown = json.loads(daemon.cove("manifest", "inspect", lists).out)
    assert [each["platform"].get("variant", "") for each in shown["manifests"]] == ["", "v8"]
    assert f"Digest: {digest}" in daemon.docker("pull", lists).out
    assert daemon.docker("run", "--rm", lists).out == "amd64\n"
    verbose = json.loads(daemon.cove("manifest", "inspect", "-v", lists).out)
    assert [each["Manifest"]["schemaVersion"] for each in verbose] == [2, 2]


def test_a_copy_between_registries(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    images = [layout.image(_layers(number), number_to_name) for number, number_to_name in ((2, "amd64"), (3, "arm64"))]
    index = layout.index(images)
    layout.tag("all", index)
    layout.push(daemon.netns, "all", f"{registry.host}/team/app:1")
    with debian_registry(daemon, port=5009) as other:
        out = daemon.cove("image", "copy", f"{registry.host}/team/app:1", f"{other.host}/far/app:2").out
        assert out.splitlines()[-1].startswith(f"{other.host}/far/app:2: digest: {index['digest']} size: ")
        again = daemon.cove("image", "copy", f"{registry.host}/team/app:1", f"{other.host}/far/app:2").out
        assert "already exists" in again and "Copied" not in again
        one = f"{other.host}/one/app:1"
        daemon.cove("image", "copy", "--platform", "linux/arm64", f"{registry.host}/team/app:1", one)
        assert images[1]["digest"] in daemon.docker("pull", one).out
        inspect = ["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{other.host}/far/app:2"]
        assert json.loads(daemon.netns.run(inspect).stdout)["manifests"] == images
        missing = daemon.cove("image", "copy", f"{registry.host}/team/none:1", one, check=False)
        assert missing.code == 1 and "unknown" in missing.err


def test_what_refers_to_an_image(daemon: Engine, registry: Served, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    image = layout.image(_layers())
    layout.tag("image", image)
    layout.push(daemon.netns, "image", f"{registry.host}/team/app:1")
    assert daemon.cove("image", "referrers", f"{registry.host}/team/app:1").out.split() == [
        "DIGEST", "ARTIFACT", "TYPE", "SIZE",
    ]  # fmt: skip


def test_what_refers_to_a_platform_of_an_image(daemon: Engine, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "layout")
    images = [layout.image(_layers(1), "amd64"), layout.image(_layers(2), "arm64")]
    notes = [
        layout.artifact(kind, subject=images[1]) for kind in ("application/vnd.test.sbom", "application/vnd.test.sig")
    ]
    for tag, each in (("all", layout.index(images)), ("sbom", notes[0]), ("signature", notes[1])):
        layout.tag(tag, each)
    with served(daemon, "cove") as registry:
        repository = f"{registry.host}/team/app"
        for tag in ("all", "sbom", "signature"):
            layout.push(daemon.netns, tag, f"{repository}:{tag}")
        name = f"{repository}@{images[1]['digest']}"
        lines = daemon.cove("image", "referrers", "--format", "{{.Digest}}", name).out.split()
        assert set(lines) == {note["digest"] for note in notes}
        (only,) = daemon.cove(
            "image", "referrers", "--artifact-type", "application/vnd.test.sig", name
        ).out.splitlines()[1:]
        assert "application/vnd.test.sig" in only
        assert len(daemon.cove("image", "referrers", f"{repository}:all").out.splitlines()) == 1
        assert len(daemon.cove("image", "referrers", f"{repository}@{images[0]['digest']}").out.splitlines()) == 1


def _layers(count: int = 1) -> list[bytes]:
    return busybox_layers(Path(shutil.which("busybox") or "").read_bytes(), count)
