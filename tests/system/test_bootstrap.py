"""``cove image bootstrap``: a base image from a signed package mirror, made by the daemon, run like any other."""

import platform
from pathlib import Path

import pytest

from harness.debian_mirror import DebianMirror, directory, regular
from harness.engine import BIN, Engine
from harness.openpgp import make_key
from harness.terminal import on_terminal

pytestmark = [
    pytest.mark.needs("cove"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the mirror of this test has packages for amd64"),
]

OWNER, STRANGER = make_key("The archive <archive@test>"), make_key("A stranger <stranger@test>")
VERSION = "1:1.35.0-4"


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> DebianMirror:
    """A mirror whose busybox-static is this machine's, so that what comes out can be run."""
    made = DebianMirror(tmp_path_factory.mktemp("mirror"), OWNER)
    program = Path("/usr/bin/busybox" if Path("/usr/bin/busybox").exists() else "/bin/busybox").read_bytes()
    made.add(
        "busybox-static",
        VERSION,
        [
            directory("./"),
            directory("./bin"),
            regular("./bin/busybox", program, 0o755),
            regular("./usr/share/doc/busybox-static/copyright", b"free\n"),
        ],
    )
    made.publish()
    return made


def command(mirror: DebianMirror, tmp_path: Path, key: bytes, *more: str) -> list[str]:
    (tmp_path / "archive.gpg").write_bytes(key)
    where = ["--mirror", f"file:{mirror.root}", "--suite", mirror.suite, "--keyring", str(tmp_path / "archive.gpg")]
    return ["image", "bootstrap", *where, *more, "busybox"]


def test_what_it_makes_runs(daemon: Engine, mirror: DebianMirror, tmp_path: Path) -> None:
    done = daemon.cove(*command(mirror, tmp_path, OWNER.keyring(), "-t", "tiny:1"))
    assert f"busybox-static {VERSION}: Unpacking" in done.out
    assert daemon.docker("run", "--rm", "tiny:1", "sh", "-c", "echo $((6*7)); ls -l /bin/ls").out.startswith("42\n")
    label = daemon.docker("inspect", "-f", '{{index .Config.Labels "cove.bootstrap.packages"}}', "tiny:1").out
    assert label.strip() == f"busybox-static={VERSION}"
    daemon.docker("rmi", "tiny:1")


def test_the_same_packages_make_the_same_image(daemon: Engine, mirror: DebianMirror, tmp_path: Path) -> None:
    ids = []
    for name in ("tiny:1", "tiny:2"):
        daemon.cove(*command(mirror, tmp_path, OWNER.keyring(), "-t", name))
        ids.append(daemon.docker("inspect", "-f", "{{.Id}}", name).out)
        daemon.docker("rmi", name)
    assert ids[0] == ids[1]


def test_a_person_sees_progress(daemon: Engine, mirror: DebianMirror, tmp_path: Path) -> None:
    argv = [str(BIN / "cove"), *command(mirror, tmp_path, OWNER.keyring(), "-t", "tiny:1")]
    with on_terminal(argv, daemon.client_environment()) as terminal:
        terminal.expect("Signature verified")
        assert terminal.wait() == 0
    daemon.docker("rmi", "tiny:1")


def test_a_strangers_signature_is_refused(daemon: Engine, mirror: DebianMirror, tmp_path: Path) -> None:
    done = daemon.cove(*command(mirror, tmp_path, STRANGER.keyring(), "-t", "tiny:1"), check=False)
    assert (done.code, "InRelease is not valid" in done.err) == (1, True), done
    assert daemon.docker("images", "-q", "tiny").out == ""
