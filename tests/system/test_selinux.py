"""SELinux as the kernel enforces it, with the policy of tests/vm/policy.cil: labels of processes and of mounts."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.containers import busybox_root
from harness.oci import Bundle, remove_cgroups
from harness.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.needs("selinux", "cove")]

CONTAINED = "system_u:system_r:contained_t:s0:c1,c2"
SHARED = "system_u:object_r:shared_t:s0:c1,c2"
WRITING = "echo x >/tmp/x; cat /tmp/x; echo x >/etc/hostname"


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    parent = f"/cove-test-selinux-{os.getpid()}"
    made = Bundle(tmp_path / "b", busybox_root(tmp_path / "root"), parent)
    made.mount("/tmp", "tmpfs", "tmpfs")
    made.mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev")
    made.mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777")
    made.mount("/sys", "sysfs", "sysfs", "ro")
    made.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro")
    yield made
    made.remove()
    remove_cgroups(parent)


def test_a_process_has_its_label_and_what_that_allows(bundle: Bundle) -> None:
    bundle.process["selinuxLabel"] = CONTAINED
    done = bundle.run(f"cat /proc/self/attr/current; {WRITING}", check=False)
    assert done.out.strip("\0\n") == CONTAINED
    assert done.err.count("Permission denied") == 2, done.err


def test_without_a_label_it_is_its_parent_s(bundle: Bundle) -> None:
    done = bundle.run(f"cat /proc/self/attr/current | tr '\\0' '\\n'; {WRITING}")
    assert done.out == "system_u:system_r:host_t:s0\nx\n"


def test_mounts_have_a_label_that_the_process_may_write_to(bundle: Bundle) -> None:
    bundle.process["selinuxLabel"] = CONTAINED
    bundle.linux["mountLabel"] = SHARED
    done = bundle.run(WRITING, check=False)
    assert done.out == "x\n", done.err
    assert done.err.count("Permission denied") == 1


def test_the_label_of_a_mount_is_on_its_files(bundle: Bundle) -> None:
    bundle.linux["mountLabel"] = SHARED
    bundle.begin("touch /tmp/x /dev/shm/x /dev/x; sleep 600")
    pid = bundle.pid()
    for path in ("tmp/x", "dev/shm/x", "dev/x", "dev/mqueue"):
        file = Path(f"/proc/{pid}/root/{path}")
        eventually(file.exists)
        assert os.getxattr(file, "security.selinux") == SHARED.encode() + b"\0"


def test_an_exec_has_the_label_of_its_container_or_its_own(bundle: Bundle) -> None:
    bundle.process["selinuxLabel"] = CONTAINED
    bundle.begin("sleep 600")
    read = ("cat", "/proc/self/attr/current")
    assert bundle.call("exec", bundle.id, *read).out.strip("\0\n") == CONTAINED
    other = CONTAINED.removesuffix(",c2")
    assert bundle.call("exec", "--process-label", other, bundle.id, *read).out.strip("\0\n") == other


def test_a_label_that_the_policy_does_not_know_fails_the_start(bundle: Bundle) -> None:
    bundle.process["selinuxLabel"] = "system_u:system_r:nonesuch_t:s0"
    done = bundle.run("true", check=False)
    assert done.code != 0
    assert "nonesuch_t" in done.err
