"""The systemd cgroup driver where systemd is the machine's first process: scopes, their limits, and its reloads."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.containers import busybox_root
from harness.daemon import Daemon
from harness.leaks import LeakCheck, remove_everything
from harness.limits import HOARD
from harness.oci import PROGRAM, Bundle, Done
from harness.processes import parent, stopped
from harness.waiting import eventually

pytestmark = [pytest.mark.cgroup2, pytest.mark.needs("systemd-manager", "cgroup-v2", "cove")]

ROOT = Path("/sys/fs/cgroup")
SLICE = f"covetest{os.getpid()}.slice"


class ScopedDaemon(Daemon):
    """With the driver, and a slice for all its containers."""

    def argv(self) -> list[str]:
        own = [word for word in super().argv() if "--cgroup-parent" not in word]
        return [*own, "--exec-opt=native.cgroupdriver=systemd", f"--cgroup-parent={SLICE}"]


@pytest.fixture(scope="module")
def _scoped() -> Iterator[ScopedDaemon]:
    daemon = ScopedDaemon(f"cove-test-{os.getpid()}-scoped", "--debug")
    daemon.cgroup_parent = f"/{SLICE}"
    try:
        daemon.start()
        daemon.load_base_image()
        daemon.docker("run", "--rm", "busybox", "true")
        yield daemon
    finally:
        daemon.close()


@pytest.fixture
def daemon(_scoped: ScopedDaemon) -> Iterator[ScopedDaemon]:
    leaks = LeakCheck(_scoped)
    yield _scoped
    remove_everything(_scoped, keep_images=True)
    leaks.check()


def shown(unit: str, *properties: str) -> dict[str, str]:
    """What systemd says of a unit."""
    command = ["systemctl", "show", *(f"--property={name}" for name in properties), unit]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return dict(line.split("=", 1) for line in lines)


def started(daemon: Daemon, *flags: str) -> str:
    container = daemon.docker("run", "-d", *flags, "busybox", "sleep", "600").out.strip()
    return f"cove-{container}.scope"


def test_limits_and_devices_outlive_a_reload_of_systemd(daemon: ScopedDaemon) -> None:
    unit = started(daemon, "--name", "box", "-m", "64m", "--pids-limit", "50", "--device", "/dev/vdc:/dev/given:r")
    asked = {"Slice": SLICE, "Delegate": "yes", "ActiveState": "active"}
    assert shown(unit, *asked) == asked
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    group = ROOT / SLICE / unit
    assert [(group / name).read_text().strip() for name in ("memory.max", "pids.max")] == [str(64 << 20), "50"]
    script = "head -c 1 /dev/given >/dev/null && echo read; mknod /disk b 254 0; head -c 1 /disk; echo x >/dev/given"
    tried = daemon.docker("exec", "box", "sh", "-c", script, check=False)
    assert tried.out == "read\n" and tried.err.count("not permitted") == 2
    daemon.docker("update", "--pids-limit", "33", "-m", "96m", "--memory-swap", "96m", "box")
    assert shown(unit, "TasksMax", "MemoryMax") == {"TasksMax": "33", "MemoryMax": str(96 << 20)}
    assert (group / "pids.max").read_text() == "33\n"


def test_a_scope_goes_with_its_container(daemon: ScopedDaemon) -> None:
    unit = started(daemon, "--name", "box")
    assert daemon.docker("exec", "box", "cat", "/proc/self/cgroup").out.strip() == "0::/"
    daemon.docker("rm", "-f", "box")
    eventually(lambda: shown(unit, "LoadState") == {"LoadState": "not-found"})


def test_a_kill_is_known_although_the_scope_is_gone(daemon: ScopedDaemon) -> None:
    """systemd removes a scope whose last process is gone, here while the shim does not run."""
    program = f"until [ -e /go ]; do sleep 0.1; done; {HOARD}"
    flags = ("-d", "--name", "box", "-m", "32m", "--memory-swap", "32m")
    container = daemon.docker("run", *flags, "busybox", "sh", "-c", program).out.strip()
    pid = int(daemon.docker("inspect", "-f", "{{.State.Pid}}", "box").out)
    with stopped(parent(pid)):
        Path(f"/proc/{pid}/root/go").touch()
        eventually(lambda: not (ROOT / SLICE / f"cove-{container}.scope").exists(), seconds=60)
    daemon.docker("wait", "box")
    assert daemon.docker("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "box").out == "true 137\n"


class ScopedBundle(Bundle):
    """Its calls are given ``--systemd-cgroup``."""

    def call(self, *words: str, check: bool = True, input: str = "") -> Done:
        argv = [str(PROGRAM), "--root", str(self.state), "--systemd-cgroup", *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=self.directory, input=input)
        assert not check or done.returncode == 0, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)


def test_cove_oci_makes_scopes(tmp_path: Path) -> None:
    bundle = ScopedBundle(tmp_path / "b", busybox_root(tmp_path / "root"), "/unused")
    bundle.linux["cgroupsPath"] = f"{SLICE}:bundle:one"
    bundle.linux["resources"] = {"pids": {"limit": 44}}
    script = "cat /proc/self/cgroup /sys/fs/cgroup/pids.max; grep -c . /proc/self/cgroup"
    bundle.linux["namespaces"] = [each for each in bundle.linux["namespaces"] if each["type"] != "cgroup"]
    assert bundle.run(script).out.splitlines()[0] == f"0::/{SLICE}/bundle-one.scope"
    eventually(lambda: shown("bundle-one.scope", "LoadState") == {"LoadState": "not-found"})
