"""``cove image bootstrap debian:SUITE``: real packages of this machine's release, installed in a container of ours."""

import json
import platform
import signal
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.debian_mirror import DebianMirror, directory, regular
from harness.engine import Completed, Engine
from harness.openpgp import make_key
from harness.real_packages import RealPackages, real_packages
from harness.waiting import eventually

pytestmark = [pytest.mark.needs("cove", "package-mirror"), pytest.mark.timeout(600)]

LONG = 300.0


@pytest.fixture(scope="module")
def packages() -> RealPackages:
    return real_packages()


def bootstrap(daemon: Engine, packages: RealPackages, *flags: str, suite: str = "", check: bool = True) -> Completed:
    recipe = f"debian:{suite or packages.suite}"
    return daemon.cove("image", "bootstrap", *packages.flags, *flags, recipe, check=check, timeout=LONG)


def settled(daemon: Engine) -> None:
    """A container's files are deleted once it is gone for everyone."""
    eventually(lambda: not list((daemon.data_root / "containers").iterdir()), seconds=LONG)


def test_distroless_python(daemon: Engine, packages: RealPackages) -> None:
    flags = ("--variant", "distroless", "--include", "python3-minimal", "-q")
    ids = [bootstrap(daemon, packages, *flags, "-t", name).out for name in ("py:1", "py:2")]
    assert ids[0] == ids[1] and ids[0].startswith("sha256:")
    assert daemon.cove("run", "--rm", "py:1", "python3", "-c", "print(1)").out == "1\n"
    refused = daemon.docker("run", "--rm", "py:1", "sh", check=False)
    assert refused.code == 127 and 'exec: "sh": executable file not found in $PATH' in refused.err
    look = "import os; print(sorted(os.listdir('/var/lib/dpkg/status.d'))); print(open('/etc/passwd').read())"
    seen = daemon.docker("run", "--rm", "py:1", "python3", "-c", look).out
    assert "'python3-minimal', 'python3-minimal.md5sums'" in seen and "nonroot:x:65532" in seen
    assert "dash" not in seen and "'dpkg'" not in seen
    daemon.docker("rmi", "py:1", "py:2")


def test_distroless_without_a_list(daemon: Engine, packages: RealPackages) -> None:
    bootstrap(daemon, packages, "--variant", "distroless", "-t", "static")
    labels = json.loads(daemon.docker("inspect", "static").out)[0]["Config"]["Labels"]
    named = [entry.partition("=")[0] for entry in labels["cove.bootstrap.packages"].split()]
    assert named == ["base-files", "ca-certificates", "netbase", "tzdata"]
    daemon.docker("rmi", "static")


@pytest.mark.skipif(platform.machine() == "aarch64", reason="it is this processor")
def test_another_processor(daemon: Engine, tmp_path: Path) -> None:
    owner = make_key("The archive <archive@test>")
    mirror = DebianMirror(tmp_path / "mirror", owner, "gadget", "arm64")
    mirror.add("thing", "1", [directory("./"), directory("./usr"), regular("./usr/thing", b"a thing\n")])
    mirror.publish()
    (tmp_path / "key.gpg").write_bytes(owner.keyring())
    where = ("--mirror", f"file:{mirror.root}", "--keyring", str(tmp_path / "key.gpg"), "--arch", "arm64")
    flags = ("--variant", "distroless", "--include", "thing", "-t", "other")
    daemon.cove("image", "bootstrap", *where, *flags, "gadgets:gadget")
    assert daemon.docker("inspect", "-f", "{{.Os}}/{{.Architecture}}", "other").out == "linux/arm64\n"
    daemon.docker("rmi", "other")


def test_slim_is_whole(daemon: Engine, packages: RealPackages) -> None:
    done = bootstrap(daemon, packages, "--variant", "slim", "--include", "hello", "-t", "slim")
    assert "Configuring" in done.out
    check = "hello; dpkg --audit; apt-get check >/dev/null && echo fine; ls -d /usr/share/man/* /.cove*; true"
    seen = daemon.docker("run", "--rm", "slim", "bash", "-c", check).out
    assert seen.startswith("Hello, world!\nfine\n"), seen
    assert "man1" not in seen and ".cove" not in seen
    assert daemon.docker("run", "--rm", "slim", "dpkg", "-s", "hello").out.count("Status: install ok installed") == 1
    bootstrap(daemon, packages, "--variant", "slim", "--include", "hello", "-t", "again")
    assert (
        daemon.docker("images", "-q", "--no-trunc", "again").out
        == daemon.docker("images", "-q", "--no-trunc", "slim").out
    )
    assert daemon.docker("ps", "-aq").out == "" and daemon.docker("images", "-qf", "dangling=true").out == ""
    daemon.docker("rmi", "slim", "again")
    settled(daemon)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--variant", "tiny"), 'unknown variant "tiny"'),
        (("--include", "hello,no-such-package"), "there is no package no-such-package"),
        (("--snapshot", "bookworm"), 'invalid snapshot "bookworm"'),
        (("--snapshot", "other=2026-01-01T00:00:00Z"), "no package source is for other"),
        (("--arch", "s390x"), "the host has no emulator for them (binfmt_misc"),
        (("--arch", "vax"), "invalid platform vax"),
        (("--suite", "x"), "--suite is not for it"),
    ],
)
def test_what_cannot_be_made(daemon: Engine, packages: RealPackages, flags: tuple[str, ...], message: str) -> None:
    done = bootstrap(daemon, packages, *flags, check=False)
    assert done.code == 1 and message in done.err, done


def test_an_index_of_another_date_is_refused(daemon: Engine, packages: RealPackages) -> None:
    flags = ("--variant", "distroless", "--include", "netbase", "-t", "pinned", "--snapshot")
    done = bootstrap(daemon, packages, *flags, f"{packages.suite}=2020-01-01T00:00:00Z", check=False)
    assert done.code == 1 and f"the mirror has {packages.suite} of {packages.date}, not of 2020" in done.err
    bootstrap(daemon, packages, *flags, f"{packages.suite}={packages.date}")
    daemon.docker("rmi", "pinned")


def test_a_kill_while_packages_are_configured(fresh_daemon: Daemon, packages: RealPackages) -> None:
    argv = ("image", "bootstrap", *packages.flags, "-t", "killed", f"debian:{packages.suite}")
    with fresh_daemon.spawned("cove", *argv):
        eventually(lambda: fresh_daemon.docker("ps", "-q").out, seconds=LONG)
        fresh_daemon.stop(signal.SIGKILL)
    fresh_daemon.start()
    assert fresh_daemon.docker("ps", "-aq").out == ""
    assert fresh_daemon.docker("images", "--format", "{{.Repository}}").out == "busybox\n"
    settled(fresh_daemon)
