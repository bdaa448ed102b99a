"""AppArmor as the kernel enforces it: the default profile, one of the user's, and none.

Capabilities, the filter and the masked paths are taken away in these tests, so that what refuses is the profile.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.containers import busybox_root
from harness.engine import Engine
from harness.oci import Bundle, remove_cgroups

pytestmark = [pytest.mark.cgroup2, pytest.mark.needs("apparmor", "cove")]

OPEN = ("--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined")
ATTEMPTS = "mount -t tmpfs none /tmp && echo mounted; echo h >/proc/sysrq-trigger && echo asked"
NO_SECRETS = """profile cove-test-no-secrets flags=(attach_disconnected, mediate_deleted) {
  capability, file, network, umount, signal,
  deny /etc/group r,
}
"""


@pytest.fixture
def no_secrets() -> Iterator[str]:
    """The name of a profile with which /etc/group is not read."""
    subprocess.run(["apparmor_parser", "-Kr"], input=NO_SECRETS, text=True, check=True)
    yield "cove-test-no-secrets"
    subprocess.run(["apparmor_parser", "-R"], input=NO_SECRETS, text=True, check=True)


def current(daemon: Engine, *flags: str) -> str:
    return daemon.docker("run", "--rm", *flags, "busybox", "cat", "/proc/self/attr/current").out.strip("\0\n")


def test_every_container_is_held_to_the_default_profile(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", *OPEN, "busybox", "sleep", "600")
    assert daemon.docker("inspect", "-f", "{{.AppArmorProfile}}", "box").out.strip() == "cove-default"
    seen = daemon.docker("exec", "box", "cat", "/proc/1/attr/current", "/proc/self/attr/current").out
    assert seen.split("\n")[:2] == ["cove-default (enforce)"] * 2
    tried = daemon.docker("exec", "box", "sh", "-c", ATTEMPTS, check=False)
    assert tried.out == "" and tried.err.count("ermission denied") == 2


def test_who_asks_for_none_is_not(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", *OPEN, "--security-opt", "apparmor=unconfined", "busybox", "sh", "-c", ATTEMPTS)
    assert done.out == "mounted\nasked\n"
    assert current(daemon, "--privileged") == "unconfined"


def test_a_profile_of_the_user_s(daemon: Engine, no_secrets: str) -> None:
    option = ("--security-opt", f"apparmor={no_secrets}")
    assert current(daemon, *option) == f"{no_secrets} (enforce)"
    read = daemon.docker("run", "--rm", *option, "busybox", "cat", "/etc/passwd", "/etc/group", check=False)
    assert "root:" in read.out and "can't open '/etc/group': Permission denied" in read.err


def test_a_profile_that_the_kernel_has_not(daemon: Engine) -> None:
    done = daemon.docker("run", "--rm", "--security-opt", "apparmor=nonesuch", "busybox", "true", check=False)
    assert done.code in (125, 126) and "nonesuch" in done.err


def test_a_bundle_s_profile(no_secrets: str, tmp_path: Path) -> None:
    bundle = Bundle(tmp_path / "bundle", busybox_root(tmp_path / "root"), "/cove-test-apparmor")
    bundle.process["apparmorProfile"] = no_secrets
    try:
        assert bundle.run("cat /proc/self/attr/current").out.strip("\0\n") == f"{no_secrets} (enforce)"
        bundle.process["apparmorProfile"] = "nonesuch"
        assert "nonesuch" in bundle.run("true", check=False).err
    finally:
        remove_cgroups("/cove-test-apparmor")
