"""The systemd control group driver, with a bus of our own where systemd would be."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.leaks import LeakCheck, remove_everything
from harness.systemd_bus import SystemdBus
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
        stat = Path(f"/proc/{pid}/stat").read_text()
        os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
        daemon.docker("wait", container)
        assert _scope(daemon, container) in bus.units
        daemon.docker("start", container)
        assert bus.units[_scope(daemon, container)].pids
        daemon.docker("rm", "-f", container)
    finally:
        bus.lingers = False


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
