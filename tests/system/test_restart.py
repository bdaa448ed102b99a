"""A daemon that stops, crashes and comes back: containers go on, and nothing about them is lost."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.leaks import CGROUP_ROOT
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")

ECHO = 'while read x; do [ "$x" = end ] && exit 9; echo got $x; done'
COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep .01; done"

Interruption = Callable[[Daemon], None]


def politely(daemon: Daemon) -> None:
    daemon.restart()


def by_crash(daemon: Daemon) -> None:
    daemon.kill9()
    daemon.start()


INTERRUPTIONS = pytest.mark.parametrize("interrupt", [politely, by_crash])


def field(daemon: Daemon, name: str, template: str) -> str:
    return daemon.docker("inspect", "-f", template, name).out.strip()


@INTERRUPTIONS
def test_containers_go_on(fresh_daemon: Daemon, interrupt: Interruption) -> None:
    fresh_daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    before = field(fresh_daemon, "box", "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}")
    interrupt(fresh_daemon)
    assert field(fresh_daemon, "box", "{{.State.Pid}} {{.State.StartedAt}} {{.State.Status}}") == before
    assert fresh_daemon.docker("ps", "--format", "{{.Names}}").out == "box\n"
    assert fresh_daemon.docker("exec", "box", "echo", "here").out == "here\n"
    fresh_daemon.docker("stop", "-t", "0", "box")
    assert field(fresh_daemon, "box", "{{.State.ExitCode}}") == "137"


@INTERRUPTIONS
def test_attach_goes_on(fresh_daemon: Daemon, interrupt: Interruption) -> None:
    fresh_daemon.docker("run", "-d", "-i", "--name", "box", "busybox", "sh", "-c", ECHO)
    interrupt(fresh_daemon)
    with fresh_daemon.spawned("docker", "attach", "box") as client:
        out, _ = client.communicate(b"it\nend\n", 30)
        assert client.returncode == 9
    assert out in {b"got it\n", b""}
    assert fresh_daemon.docker("logs", "box").out == "got it\n"


@INTERRUPTIONS
def test_no_log_line_is_lost(fresh_daemon: Daemon, interrupt: Interruption) -> None:
    fresh_daemon.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", COUNT)
    for _ in range(3):
        interrupt(fresh_daemon)
    with fresh_daemon.spawned("docker", "logs", "-f", "--tail", "1", "box") as follower:
        assert follower.stdout is not None
        reached = int(follower.stdout.readline())
        fresh_daemon.docker("kill", "box")
        rest = follower.stdout.read().split()
    assert rest == [str(number).encode() for number in range(reached + 1, reached + 1 + len(rest))]
    lines = fresh_daemon.docker("logs", "box").out.split()
    assert lines == [str(number) for number in range(len(lines))]
    assert len(lines) > reached


@INTERRUPTIONS
def test_published_ports_go_on(fresh_daemon: Daemon, interrupt: Interruption) -> None:
    script = "mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www"
    fresh_daemon.docker("run", "-d", "--name", "web", "-p", "8080:80", "busybox", "sh", "-c", script)
    assert fresh_daemon.fetch("http://127.0.0.1:8080/") == "page\n"
    interrupt(fresh_daemon)
    assert fresh_daemon.fetch("http://127.0.0.1:8080/") == "page\n"
    taken = fresh_daemon.docker("run", "--rm", "-p", "8080:80", "busybox", "true", check=False)
    assert "port is already allocated" in taken.err


def test_published_ports_work_without_the_daemon(fresh_daemon: Daemon) -> None:
    script = "mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www"
    fresh_daemon.docker("run", "-d", "-p", "8080:80", "busybox", "sh", "-c", script)
    fresh_daemon.fetch("http://127.0.0.1:8080/")
    fresh_daemon.stop()
    assert fresh_daemon.fetch("http://127.0.0.1:8080/") == "page\n"


def end_while_down(daemon: Daemon, tmp_path: Path, *flags: str) -> None:
    """A container ``box`` that exits with 7 while there is no daemon."""
    script = "while [ ! -e /sign/go ]; do sleep .02; done; exit 7"
    daemon.docker("run", "-d", "--name", "box", *flags, "-v", f"{tmp_path}:/sign", "busybox", "sh", "-c", script)
    pid = field(daemon, "box", "{{.State.Pid}}")
    daemon.kill9()
    (tmp_path / "go").touch()
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    (tmp_path / "go").unlink()


def test_exit_that_the_daemon_missed(fresh_daemon: Daemon, tmp_path: Path) -> None:
    end_while_down(fresh_daemon, tmp_path)
    fresh_daemon.start()
    assert fresh_daemon.docker("wait", "box").out == "7\n"
    assert field(fresh_daemon, "box", "{{.State.Status}} {{.State.ExitCode}}") == "exited 7"
    finished = field(fresh_daemon, "box", "{{.State.FinishedAt}}")
    assert finished > field(fresh_daemon, "box", "{{.State.StartedAt}}")


def test_auto_removal_that_the_daemon_missed(fresh_daemon: Daemon, tmp_path: Path) -> None:
    end_while_down(fresh_daemon, tmp_path, "--rm")
    fresh_daemon.start()
    eventually(lambda: fresh_daemon.docker("ps", "-aq").out == "")


def test_restart_policy_is_applied_when_the_daemon_is_back(fresh_daemon: Daemon, tmp_path: Path) -> None:
    end_while_down(fresh_daemon, tmp_path, "--restart", "always")
    fresh_daemon.start()
    eventually(lambda: field(fresh_daemon, "box", "{{.State.Status}}"), lambda status: status == "running")


@INTERRUPTIONS
def test_what_a_user_stopped_stays_so_unless_its_policy_is_always(
    fresh_daemon: Daemon, interrupt: Interruption
) -> None:
    policies = ("no", "on-failure", "unless-stopped", "always")
    for policy in policies:
        flags = ("--name", policy, "--restart", policy, "--stop-timeout", "0")
        fresh_daemon.docker("run", "-d", *flags, "busybox", "sleep", "600")
    fresh_daemon.docker("run", "-d", "--name", "running", "--restart", "unless-stopped", "busybox", "sleep", "600")
    fresh_daemon.docker("stop", *policies)
    interrupt(fresh_daemon)
    eventually(lambda: field(fresh_daemon, "always", "{{.State.Status}}"), lambda status: status == "running")
    states = {name: field(fresh_daemon, name, "{{.State.Status}}") for name in (*policies, "running")}
    assert states == {**dict.fromkeys(policies, "exited"), "always": "running", "running": "running"}
    fresh_daemon.docker("start", "unless-stopped")  # which takes the user's stop back
    pid = field(fresh_daemon, "unless-stopped", "{{.State.Pid}}")
    fresh_daemon.kill9()
    subprocess.run(["kill", "-KILL", pid], check=True)
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    fresh_daemon.start()
    eventually(lambda: field(fresh_daemon, "unless-stopped", "{{.State.Status}}"), lambda status: status == "running")


@INTERRUPTIONS
def test_what_is_paused_stays_so(fresh_daemon: Daemon, interrupt: Interruption) -> None:
    fresh_daemon.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", COUNT)
    fresh_daemon.docker("pause", "box")
    written = fresh_daemon.docker("logs", "box").out
    interrupt(fresh_daemon)
    assert field(fresh_daemon, "box", "{{.State.Status}} {{.State.Paused}}") == "paused true"
    assert fresh_daemon.docker("logs", "box").out == written
    fresh_daemon.docker("unpause", "box")
    eventually(lambda: fresh_daemon.docker("logs", "box").out != written)


@INTERRUPTIONS
def test_further_processes_go_on(fresh_daemon: Daemon, interrupt: Interruption) -> None:
    fresh_daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    fresh_daemon.docker("exec", "-d", "box", "sh", "-c", "until [ -e /go ]; do sleep .02; done; touch /gone; sleep 600")
    interrupt(fresh_daemon)
    fresh_daemon.docker("exec", "box", "touch", "/go")
    eventually(lambda: fresh_daemon.docker("exec", "box", "test", "-e", "/gone", check=False).code == 0)


@INTERRUPTIONS
def test_a_restart_that_was_planned_is_made_up_for(fresh_daemon: Daemon, interrupt: Interruption) -> None:
    fresh_daemon.docker(
        "run", "-d", "--name", "box", "--restart", "on-failure:4", "busybox", "sh", "-c", "echo x; exit 3"
    )
    eventually(lambda: field(fresh_daemon, "box", "{{.State.Status}}") == "restarting")
    interrupt(fresh_daemon)
    state = "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}"
    eventually(lambda: field(fresh_daemon, "box", state) == "exited 3 4", seconds=20)
    assert fresh_daemon.docker("logs", "box").out == "x\n" * 5


def test_waiting_client_learns_that_the_daemon_ended(fresh_daemon: Daemon) -> None:
    fresh_daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    with fresh_daemon.spawned("docker", "logs", "-f", "box") as client:
        fresh_daemon.stop()
        client.wait(20)
    fresh_daemon.start()
    assert field(fresh_daemon, "box", "{{.State.Status}}") == "running"


def test_shim_that_was_killed(fresh_daemon: Daemon) -> None:
    """Its container is over, and what it had is collected."""
    fresh_daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    pid = field(fresh_daemon, "box", "{{.State.Pid}}")
    shim = Path(f"/proc/{pid}/status").read_text().split("PPid:\t")[1].split()[0]
    subprocess.run(["kill", "-KILL", shim], check=True)
    assert fresh_daemon.docker("wait", "box").out == "137\n"
    eventually(lambda: not Path(f"/proc/{pid}").exists())
    fresh_daemon.docker("start", "box")
    assert field(fresh_daemon, "box", "{{.State.Status}}") == "running"


def test_start_that_was_cut_off_with_its_shim(fresh_daemon: Daemon) -> None:
    """Daemon and shim died between the control groups and the record of the start: nobody else would remove them."""
    identity = fresh_daemon.docker("create", "--name", "box", "busybox", "true").out.strip()
    fresh_daemon.docker("start", "-a", "box")
    fresh_daemon.kill9()
    parent = fresh_daemon.cgroup_parent.lstrip("/")
    groups = [place / identity for place in CGROUP_ROOT.glob(f"*/{parent}")] or [CGROUP_ROOT / parent / identity]
    for group in groups:
        group.mkdir(exist_ok=True)
    (fresh_daemon.exec_root / "containers" / identity).mkdir()
    fresh_daemon.start()
    assert not [group for group in groups if group.exists()]
    fresh_daemon.docker("rm", "box")


def test_names_images_and_stopped_containers_are_kept(fresh_daemon: Daemon) -> None:
    fresh_daemon.docker("create", "--name", "made", "--label", "a=b", "busybox", "true")
    fresh_daemon.docker("run", "--name", "ended", "busybox", "sh", "-c", "echo said; exit 4", check=False)
    fresh_daemon.docker("tag", "busybox", "kept:1")
    by_crash(fresh_daemon)
    names = fresh_daemon.docker("ps", "-a", "--format", "{{.Names}}").out.split()
    assert sorted(names) == ["ended", "made"]
    assert field(fresh_daemon, "ended", "{{.State.ExitCode}}") == "4"
    assert fresh_daemon.docker("logs", "ended").out == "said\n"
    assert fresh_daemon.docker("images", "-q", "kept").out.strip()


def test_second_daemon_on_the_same_roots_is_refused(fresh_daemon: Daemon) -> None:
    argv = fresh_daemon.netns.command(fresh_daemon.argv())
    second = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert f"another daemon (pid {fresh_daemon.pid}) is using" in second.stderr
    assert fresh_daemon.answers()


def test_polite_end(fresh_daemon: Daemon) -> None:
    assert fresh_daemon.pidfile.read_text().strip() == str(fresh_daemon.pid)
    assert fresh_daemon.stop(signal.SIGTERM) == 0
    assert not fresh_daemon.pidfile.exists()
    assert not fresh_daemon.socket.exists()
