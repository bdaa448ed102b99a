"""Containers that another OCI runtime runs below our engine: everything but the runtime is as for any other."""

import json
import os
import shutil
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("cove")

PROGRAMS = [
    pytest.param("crun", marks=pytest.mark.needs("crun")),
    pytest.param("runc", marks=pytest.mark.needs("runc")),
    pytest.param(shutil.which("runc", path="/usr/bin:/usr/sbin") or "/usr/sbin/runc", marks=pytest.mark.needs("runc")),
]


@pytest.mark.cgroup2
@pytest.mark.parametrize("runtime", PROGRAMS)
def test_a_run_with_output_and_exit_code(daemon: Engine, runtime: str) -> None:
    script = "echo out; echo err >&2; cat /etc/hostname; hostname; id -u; exit 7"
    flags = ("--rm", "--runtime", runtime, "--hostname", "box", "--user", "nobody")
    done = daemon.docker("run", *flags, "busybox", "sh", "-c", script, check=False)
    assert (done.code, done.out, done.err) == (7, "out\nbox\nbox\n65534\n", "err\n")


@pytest.mark.parametrize("runtime", PROGRAMS[:2])
def test_a_whole_life(daemon: Engine, runtime: str, tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 3' TERM; echo begun; while :; do sleep 0.05; done"
    flags = (
        "-d",
        "--name",
        "box",
        "--memory",
        "64m",
        "--pids-limit",
        "50",
        "-v",
        f"{tmp_path}:/mine",
        "-p",
        "18099:80",
    )
    daemon.docker("run", *flags, "--runtime", runtime, "busybox", "sh", "-c", script)
    shown = json.loads(daemon.docker("inspect", "box").out)[0]
    assert shown["HostConfig"]["Runtime"] == runtime
    assert not [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if shown["Id"] in line]
    eventually(lambda: "begun" in daemon.docker("logs", "box").out)
    assert daemon.docker("exec", "-e", "A=b", "box", "sh", "-c", "echo $A $$ >&2; exit 4", check=False).code == 4
    assert daemon.docker("exec", "box", "nonesuch", check=False).code in (126, 127)
    daemon.docker("exec", "box", "touch", "/mine/made", "/in-the-layer")
    assert (tmp_path / "made").exists()
    assert "A /in-the-layer" in daemon.docker("diff", "box").out
    assert "67108864" in daemon.docker("exec", "box", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes").out
    assert "sleep" in daemon.docker("top", "box").out
    assert "64MiB" in daemon.docker("stats", "--no-stream", "box").out
    daemon.docker("pause", "box")
    daemon.docker("unpause", "box")
    daemon.docker("stop", "-t", "10", "box")
    assert daemon.docker("inspect", "-f", "{{.State.ExitCode}}", "box").out == "3\n"
    assert daemon.docker("logs", "box").out == "begun\nbye\n"
    daemon.docker("start", "box")
    daemon.docker("kill", "box")
    assert daemon.docker("inspect", "-f", "{{.State.ExitCode}}", "box").out == "137\n"


@pytest.mark.parametrize("runtime", PROGRAMS[:2])
@pytest.mark.parametrize(("command", "code"), [("nonesuch", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_start(daemon: Engine, runtime: str, command: str, code: int) -> None:
    done = daemon.docker("run", "--rm", "--runtime", runtime, "busybox", command, check=False)
    assert done.code == code
    assert "OCI runtime create failed" in done.err


@pytest.mark.parametrize("runtime", PROGRAMS[:2])
def test_terminals(daemon: Engine, runtime: str) -> None:
    assert "/dev/" in daemon.docker("run", "--rm", "-t", "--runtime", runtime, "busybox", "tty").out
    daemon.docker("run", "-d", "--name", "box", "--runtime", runtime, "busybox", "sleep", "100")
    assert "/dev/pts/" in daemon.docker("exec", "-t", "box", "tty").out


@pytest.mark.parametrize("runtime", PROGRAMS[:2])
def test_it_outlives_the_daemon(fresh_daemon: Daemon, runtime: str) -> None:
    fresh_daemon.docker("run", "-d", "--name", "box", "--runtime", runtime, "busybox", "sh", "-c", "echo a; sleep 100")
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert fresh_daemon.docker("exec", "box", "echo", "there").out == "there\n"
    fresh_daemon.docker("stop", "-t", "0", "box")
    assert fresh_daemon.docker("inspect", "-f", "{{.State.ExitCode}}", "box").out == "137\n"
    assert fresh_daemon.docker("logs", "box").out == "a\n"


def test_what_is_known_and_what_is_not(daemon: Engine, tmp_path: Path) -> None:
    runtimes = json.loads(daemon.docker("info", "-f", "{{json .Runtimes}}").out)
    assert runtimes["cove"]["path"] == "cove-oci"
    done = daemon.docker("create", "--runtime", "nonesuch", "busybox", check=False)
    assert "unknown or invalid runtime name: nonesuch" in done.err
    (tmp_path / "plain").write_text("no program")
    assert (
        "unknown or invalid"
        in daemon.docker("create", "--runtime", str(tmp_path / "plain"), "busybox", check=False).err
    )


@pytest.mark.needs("runc")
def test_the_daemons_settings(tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapped"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nexec runc "$@"\n')
    wrapper.chmod(0o755)
    daemon = Daemon(f"cove-test-{os.getpid()}-r", "--add-runtime", f"mine={wrapper}", "--default-runtime", "mine")
    try:
        daemon.start()
        daemon.load_base_image()
        assert daemon.docker("run", "--name", "box", "busybox", "echo", "through").out == "through\n"
        assert daemon.docker("inspect", "-f", "{{.HostConfig.Runtime}}", "box").out == "mine\n"
        assert (
            daemon.docker("info", "-f", '{{.DefaultRuntime}} {{(index .Runtimes "mine").Path}}').out
            == f"mine {wrapper}\n"
        )
        calls = (tmp_path / "calls").read_text()
        assert all(word in calls for word in (" create ", " start ", " delete "))
    finally:
        daemon.close()
