"""The systemd control group driver, with a bus of our own where systemd would be."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cove.kernel.cgroups import Cgroup, Hierarchy, Layout
from cove.oci.runtime import Resources
from cove.runtime import systemd, unit_properties
from cove.runtime.systemd import Systemd
from harness.containers import busybox_root
from harness.daemon import Daemon
from harness.leaks import LeakCheck, remove_everything
from harness.limits import HOARD
from harness.oci import PROGRAM, Bundle, Done
from harness.processes import parent, stopped
from harness.systemd_bus import CGROUPS, SystemdBus
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cgroup-pids", "cgroup-memory")

REFUSED = "exec-opt native.cgroupdriver=systemd requires systemd, which does not run here"


class SystemdDaemon(Daemon):
    """Sees the bus, and that systemd runs, in a mount namespace of its own."""

    def __init__(self, name: str, run: Path) -> None:
        super().__init__(name, "--exec-opt=native.cgroupdriver=systemd", "--debug")
        self.slice = f"{name.replace('-', '')}.slice"
        self.cgroup_parent = f"/{self.slice}"
        self._run = run

    def argv(self) -> list[str]:
        words = [f"--cgroup-parent={self.slice}" if "--cgroup-parent" in word else word for word in super().argv()]
        mounts = f"mount --bind {self._run}/systemd /run/systemd && mount --bind {self._run}/dbus /run/dbus"
        return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh", *words]


@pytest.fixture(scope="module")
def _machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SystemdDaemon, SystemdBus]]:
    run = tmp_path_factory.mktemp("run")
    (run / "systemd/system").mkdir(parents=True)
    (run / "dbus").mkdir()
    bus = SystemdBus(run / "dbus/system_bus_socket", cgroups=True)
    daemon = SystemdDaemon(f"cove-test-{os.getpid()}-systemd", run)
    try:
        daemon.start()
        daemon.load_base_image()
        daemon.docker("run", "--rm", "busybox", "true")
        yield daemon, bus
    finally:
        daemon.close()
        bus.close()


@pytest.fixture
def machine(_machine: tuple[SystemdDaemon, SystemdBus]) -> Iterator[tuple[SystemdDaemon, SystemdBus]]:
    daemon, bus = _machine
    leaks = LeakCheck(daemon)
    yield daemon, bus
    if not daemon.running:
        daemon.start()
    remove_everything(daemon, keep_images=True)
    leaks.check()
    assert bus.faults == []


def _scope(daemon: SystemdDaemon, container: str) -> str:
    return f"cove-{container}.scope"


def test_a_container_is_a_scope_with_its_limits(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    daemon, bus = machine
    flags = ["--memory=64m", "--pids-limit=50", "--cpu-shares=512"]
    container = daemon.docker("run", "-d", *flags, "busybox", "sleep", "1000").out.strip()
    unit = bus.units[_scope(daemon, container)]
    assert unit.properties["Slice"] == daemon.slice and unit.properties["Delegate"] is True
    assert unit.properties["TasksMax"] == 50
    assert unit.properties["DevicePolicy"] == "strict"
    assert dict(unit.properties["DeviceAllow"])["/dev/char/1:3"] == "rwm"
    pid = int(daemon.docker("inspect", "-f", "{{.State.Pid}}", container).out)
    assert unit.properties["PIDs"] == [pid] and unit.pids == {pid}
    groups = {line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}
    assert f"/{daemon.slice}/{_scope(daemon, container)}" in groups
    limits = daemon.docker(
        "exec", container, "sh", "-c", "cat /sys/fs/cgroup/pids/pids.max || cat /sys/fs/cgroup/pids.max"
    )
    assert limits.out.strip() == "50"
    stats = daemon.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", container).out
    assert stats.strip().endswith("64MiB")


def test_an_update_is_told_to_systemd_and_written(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    daemon, bus = machine
    container = daemon.docker("run", "-d", "busybox", "sleep", "1000").out.strip()
    daemon.docker("update", "--pids-limit=33", container)
    unit = bus.units[_scope(daemon, container)]
    assert unit.properties["TasksMax"] == 33
    (pids,) = [path for path in unit.directories if (path / "pids.max").exists()]
    assert (pids / "pids.max").read_text().strip() == "33"


def test_pause_exec_stop_and_start_again(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    daemon, bus = machine
    container = daemon.docker("run", "-d", "--init", "busybox", "sleep", "1000").out.strip()
    daemon.docker("pause", container)
    daemon.docker("unpause", container)
    assert daemon.docker("exec", container, "echo", "in it").out == "in it\n"
    daemon.docker("stop", container)
    assert _scope(daemon, container) not in bus.units
    assert [name for name, _ in bus.calls][-2:] == ["StopUnit", "ResetFailedUnit"]
    daemon.docker("start", container)
    assert bus.units[_scope(daemon, container)].pids
    daemon.docker("kill", container)
    daemon.docker("wait", container)
    assert _scope(daemon, container) not in bus.units


def test_a_scope_of_a_crash_is_no_obstacle(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    """The shim is killed, and systemd keeps the unit as failed."""
    daemon, bus = machine
    bus.lingers = True
    try:
        container = daemon.docker("run", "-d", "busybox", "sleep", "1000").out.strip()
        pid = int(daemon.docker("inspect", "-f", "{{.State.Pid}}", container).out)
        os.kill(parent(pid), signal.SIGKILL)
        daemon.docker("wait", container)
        assert _scope(daemon, container) in bus.units
        daemon.docker("start", container)
        assert bus.units[_scope(daemon, container)].pids
        daemon.docker("rm", "-f", container)
    finally:
        bus.lingers = False


@pytest.mark.parametrize(("program", "state"), [(HOARD, "true 137"), ("exit 3", "false 3")])
def test_a_kill_is_known_although_the_scope_is_gone(
    machine: tuple[SystemdDaemon, SystemdBus], program: str, state: str
) -> None:
    """systemd removes a scope whose last process is gone, and may be quicker than the shim."""
    daemon, bus = machine
    waiting = f"until [ -e /go ]; do sleep 0.05; done; {program}"
    flags = ("-d", "-m", "32m", "--memory-swap", "32m")
    container = daemon.docker("run", *flags, "busybox", "sh", "-c", waiting).out.strip()
    pid = int(daemon.docker("inspect", "-f", "{{.State.Pid}}", container).out)
    with stopped(parent(pid)):
        Path(f"/proc/{pid}/root/go").touch()
        eventually(lambda: bus.units[_scope(daemon, container)].removed())
    daemon.docker("wait", container)
    assert daemon.docker("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", container).out.strip() == state


def test_a_container_outlives_its_daemon(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    daemon, bus = machine
    container = daemon.docker("run", "-d", "busybox", "sleep", "1000").out.strip()
    daemon.kill9()
    daemon.start()
    assert daemon.docker("top", container).out.count("sleep") == 1
    daemon.docker("rm", "-f", container)
    eventually(lambda: _scope(daemon, container) not in bus.units)


def test_a_failed_start_leaves_no_scope(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    daemon, bus = machine
    failed = daemon.docker("run", "busybox", "/none", check=False)
    assert failed.code == 127
    assert bus.units == {}


def test_a_systemd_that_refuses_fails_the_start(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    daemon, bus = machine
    bus.result = "failed"
    try:
        failed = daemon.docker("run", "busybox", "true", check=False)
    finally:
        bus.result = "done"
    assert failed.code == 125 and "the job ended as 'failed'" in failed.err


def test_a_parent_is_a_slice(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    daemon, _ = machine
    name = daemon.slice.removesuffix(".slice") + "-inner.slice"
    container = daemon.docker("run", "-d", f"--cgroup-parent={name}", "busybox", "sleep", "1000").out.strip()
    pid = int(daemon.docker("inspect", "-f", "{{.State.Pid}}", container).out)
    place = f"/{daemon.slice}/{name}/{_scope(daemon, container)}"
    assert place in Path(f"/proc/{pid}/cgroup").read_text()
    refused = daemon.docker("run", "--cgroup-parent=/x", "busybox", "true", check=False)
    assert 'cgroup-parent for systemd cgroup should be a valid slice named as "xxx.slice"' in refused.err
    daemon.docker("rm", "-f", container)
    for directory in Path("/sys/fs/cgroup").glob(f"*/{daemon.slice}/{name}"):
        directory.rmdir()


def test_info_names_the_driver(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    daemon, _ = machine
    assert daemon.docker("info", "--format", "{{.CgroupDriver}}").out.strip() == "systemd"
    assert daemon.http("GET", "/info").json()["CgroupDriver"] == "systemd"


def test_many_at_once(machine: tuple[SystemdDaemon, SystemdBus]) -> None:
    daemon, bus = machine
    names = [f"many{number}" for number in range(8)]
    for name in names:
        daemon.docker("create", "--name", name, "busybox", "sleep", "1000")
    daemon.docker("start", *names)
    assert len(bus.units) == 8
    daemon.docker("rm", "-f", *names)
    assert bus.units == {}


def test_without_systemd_the_daemon_says_so(tmp_path: Path) -> None:
    for name in ("systemd", "dbus"):
        (tmp_path / name).mkdir()
    daemon = SystemdDaemon(f"cove-test-{os.getpid()}-nosystemd", tmp_path)
    try:
        daemon.spawn()
        assert daemon.process is not None and daemon.process.wait(20) == 1
        assert REFUSED in daemon.log_tail()
    finally:
        (tmp_path / "systemd/system").mkdir()  # for the cleaning up
        daemon.close()


@pytest.fixture
def real_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Debian's, as the manager of a user in control groups of its own, with no units; the group that it is in."""
    group = f"cove-test-{os.getpid()}-manager"
    roots = [root for root in (CGROUPS / "systemd", CGROUPS / "unified", CGROUPS) if (root / "cgroup.procs").exists()]
    for place in (*(root / group for root in roots), *(tmp_path / name for name in ("system", "units", "run"))):
        place.mkdir()
    (tmp_path / "units/default.target").write_text("[Unit]\n")
    joins = " && ".join(f"echo $$ >{root / group}/cgroup.procs" for root in roots)
    script = f"mount --bind {tmp_path} /run/systemd && {joins} && exec /lib/systemd/systemd --user"
    places = {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "SYSTEMD_UNIT_PATH": str(tmp_path / "units")}
    manager = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], env={**os.environ, **places})
    monkeypatch.setattr(systemd, "BUS", str(tmp_path / "none"))
    monkeypatch.setattr(systemd, "OWN_SOCKET", str(tmp_path / "run/systemd/private"))
    monkeypatch.setattr(systemd, "BOOTED", str(tmp_path))
    try:
        eventually((tmp_path / "run/systemd/private").exists)
        yield group
    finally:
        manager.kill()
        manager.wait()
        for root in roots:
            Cgroup(Layout((Hierarchy(str(root), 2, (), ""),), unified=True), f"/{group}").remove()


LIMITS: Resources = {
    "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20},
    "cpu": {"shares": 1024, "quota": 15_000, "period": 100_000, "cpus": "0", "mems": "0"},
    "pids": {"limit": 77},
    "blockIO": {"weight": 300},
    "devices": [
        {"allow": False, "access": "rwm"},
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": True, "type": "c", "major": 136, "access": "rwm"},
    ],
}


@pytest.mark.needs("systemd", "root")
@pytest.mark.parametrize("unified", [True, False])
def test_a_real_systemd_takes_what_it_is_told(real_systemd: str, unified: bool) -> None:
    unit = "cove-real.scope"
    with Systemd(20) as manager, _sleeper() as first, _sleeper() as second:
        rest = [*unit_properties.accounting(unified), *unit_properties.devices(LIMITS["devices"])]
        rest += unit_properties.limits(LIMITS, unified=unified)
        manager.start(unit, [*unit_properties.beginning("web.slice", unit, first.pid), *rest])
        assert f"/{real_systemd}/web.slice/{unit}" in Path(f"/proc/{first.pid}/cgroup").read_text()
        unlimited: Resources = {"memory": {"limit": -1}, "pids": {"limit": -1}, "cpu": {"shares": 2}}
        manager.change(unit, unit_properties.limits(unlimited, unified=unified))
        manager.start(unit, unit_properties.beginning("web.slice", unit, second.pid))  # an earlier one's is ended
        assert first.wait(10) == -signal.SIGTERM
        manager.stop(unit)
        assert second.wait(10) == -signal.SIGTERM
        manager.stop(unit)
        with pytest.raises(OSError, match=r"(?i)not loaded|no such unit|not found"):
            manager.change(unit, [])


@contextlib.contextmanager
def _sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            yield process
        finally:
            process.kill()


SEES = 'mount --bind "$0/systemd" /run/systemd && mount --bind "$0/dbus" /run/dbus && exec "$@"'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return busybox_root(tmp_path / "root")


class ScopedBundle(Bundle):
    """Its calls are given ``--systemd-cgroup``, and see that systemd runs, by what ``run`` has of /run."""

    def __init__(self, directory: Path, root: Path, run: Path, path: str) -> None:
        super().__init__(directory, root, "/unused")
        self.run_root = run
        self.linux["cgroupsPath"] = path
        self.linux["resources"] = {"pids": {"limit": 44}, "memory": {"limit": 64 << 20}}

    def argv(self, *words: str) -> list[str]:
        command = [str(PROGRAM), "--root", str(self.state), "--systemd-cgroup", *words]
        return ["unshare", "--mount", "sh", "-c", SEES, str(self.run_root), *command]

    def call(self, *words: str, check: bool = True, input: str = "") -> Done:
        done = subprocess.run(
            self.argv(*words), capture_output=True, text=True, timeout=60, cwd=self.directory, input=input
        )
        assert not check or done.returncode == 0, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, script: str, *flags: str) -> None:
        self.process["args"] = ["sh", "-c", script]
        self.write()
        nowhere = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        subprocess.run(self.argv("run", "-d", *flags, self.id), check=True, cwd=self.directory, timeout=60, **nowhere)

    @property
    def pid(self) -> int:
        return int(json.loads(self.call("state", self.id).out)["pid"])


def test_cove_oci_makes_scopes(tmp_path: Path, root: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "run/dbus").mkdir()
    slice_ = f"covetest{os.getpid()}.slice"
    bus = SystemdBus(tmp_path / "run/dbus/system_bus_socket", cgroups=True)
    bundle = ScopedBundle(tmp_path / "b", root, tmp_path / "run", f"{slice_}:podlike:one")
    try:
        bundle.begin("sleep 1000")
        unit = bus.units["podlike-one.scope"]
        assert unit.properties["Slice"] == slice_ and unit.properties["TasksMax"] == 44
        assert unit.pids == {bundle.pid}
        assert f"/{slice_}/podlike-one.scope" in Path(f"/proc/{bundle.pid}/cgroup").read_text()
        assert bundle.call("exec", bundle.id, "echo", "in it").out == "in it\n"
        bundle.call("update", "--pids-limit", "55", bundle.id)
        assert unit.properties["TasksMax"] == 55
        (pids,) = [path for path in unit.directories if (path / "pids.max").exists()]
        assert (pids / "pids.max").read_text().strip() == "55"
        bundle.call("pause", bundle.id)
        assert bundle.status() == "paused"
        bundle.call("resume", bundle.id)
        bundle.call("delete", "--force", bundle.id)
        assert bus.units == {}
        assert bundle.run("true").code == 0 and bus.units == {}
        bus.result = "failed"
        assert "the job ended as 'failed'" in bundle.run("true", check=False).err
        bus.result = "done"
        for path in ("/a/path", "one:two", "notaslice:a:b", "a.slice:b:c/d"):
            bundle.linux["cgroupsPath"] = path
            refused = bundle.run("true", check=False)
            assert refused.code == 1 and "expected cgroupsPath to be of format" in refused.err, path
        assert bus.units == {} and bus.faults == []
    finally:
        bus.close()
        for directory in CGROUPS.glob(f"*/{slice_}"):
            directory.rmdir()


@pytest.mark.needs("systemd", "root")
def test_cove_oci_and_a_real_systemd(real_systemd: str, tmp_path: Path, root: Path) -> None:
    run = tmp_path / "seen"
    (run / "dbus").mkdir(parents=True)
    (run / "systemd").symlink_to(tmp_path / "run/systemd")
    (tmp_path / "run/systemd/system").mkdir()
    bundle = ScopedBundle(tmp_path / "b", root, run, "web.slice:podlike:real")
    bundle.begin("sleep 1000")
    try:
        place = f"/{real_systemd}/web.slice/podlike-real.scope"
        assert place in Path(f"/proc/{bundle.pid}/cgroup").read_text()
        assert bundle.call("exec", bundle.id, "echo", "in it").out == "in it\n"
    finally:
        bundle.call("delete", "--force", bundle.id)
    with Systemd(20) as manager, pytest.raises(OSError, match=r"(?i)not loaded|no such unit|not found"):
        manager.change("podlike-real.scope", [])
