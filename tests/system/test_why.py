"""``cove why``: how it ended and what that means, in every state."""

import json
from typing import Any

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

pytestmark = pytest.mark.needs("root", "busybox-static", "cove")


def why(engine: Engine, name: str = "box") -> Any:
    return json.loads(engine.cove("why", "--format", "json", name).out)


def run(engine: Engine, *words: str) -> None:
    engine.cove("run", "--name", "box", *words, check=False)


def test_an_end_with_an_exit_code_and_the_last_lines(daemon: Engine) -> None:
    run(daemon, "busybox", "sh", "-c", "seq 20; echo reason >&2; exit 127")
    report = why(daemon)
    assert report["Summary"] == "its program ended by itself with exit code 127"
    assert "was not found in the image" in report["Explanation"][0]
    assert report["Logs"][-1] == "reason" and len(report["Logs"]) == 10 and not report["Removed"]
    text = daemon.cove("why", "box").out
    assert "exited: its program ended by itself" in text and "  reason\n" in text and "Exit code:" in text
    assert daemon.cove("why", "--format", "{{.ExitCode}} {{.Status}}", "box").out == "127 exited\n"


def test_a_signal_an_oom_and_a_stop(daemon: Engine) -> None:
    run(daemon, "busybox", "sh", "-c", "exit 139")
    assert why(daemon)["Signal"] == "SIGSEGV" and "memory that is not its own" in why(daemon)["Explanation"][0]
    daemon.docker("rm", "box")
    run(daemon, "-m", "16m", "busybox", "sh", "-c", "tail /dev/zero")
    report = why(daemon)
    assert "for want of memory" in report["Summary"] and "--memory" in report["Explanation"][0]
    assert report["Memory"]["Kills"] >= 1 and report["Memory"]["Limit"] == 16 << 20
    assert 8 << 20 < report["Memory"]["Peak"] <= 16 << 20
    daemon.docker("rm", "box")
    run(daemon, "-d", "--restart", "always", "busybox", "sleep", "600")
    assert why(daemon)["Summary"] == "it runs" and why(daemon)["Memory"]["Peak"] > 0
    daemon.docker("stop", "-t", "0", "box")
    report = why(daemon)
    assert report["Summary"] == "a user stopped it (exit code 137, SIGKILL)"
    assert report["Explanation"] == ["a user's stop goes before the restart policy"]


def test_created_failed_restarting_unhealthy_and_removed(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "busybox", "nosuch")
    assert why(daemon)["Summary"] == "it was created and not started yet"
    daemon.docker("start", "box", check=False)
    assert "nosuch" in why(daemon)["Summary"] and why(daemon)["Summary"].startswith("it could not be started")
    daemon.docker("rm", "box")
    run(daemon, "-d", "--restart", "on-failure:2", "busybox", "sh", "-c", "exit 3")
    eventually(lambda: why(daemon), lambda report: report["Status"] == "exited")
    report = why(daemon)
    assert "gave up after 2 restarts" in report["Explanation"][-1] and report["RestartPolicy"] == "on-failure:2"
    assert [one["ExitCode"] for one in report["Runs"]][:3] == [3, 3, 3]
    daemon.docker("rm", "box")
    gone = why(daemon)
    assert gone["Removed"] and gone["Summary"].endswith("it was removed, and is in the trash")
    probe = ("--health-cmd", "echo broken; exit 1", "--health-interval", "50ms", "--health-retries", "1")
    run(daemon, "-d", *probe, "busybox", "sleep", "600")
    report = eventually(lambda: why(daemon), lambda seen: "fails" in seen["Summary"])
    assert report["Probe"]["Output"] == "broken\n"
    assert daemon.cove("why", "nobody", check=False).code == 1


def test_what_changed_since_the_last_good_run_also_of_an_earlier_container(daemon: Engine) -> None:
    run(daemon, "-e", "A=1", "-m", "64m", "busybox", "true")
    assert why(daemon)["Runs"][0]["Good"]
    daemon.docker("rm", "box")
    run(daemon, "-e", "A=2", "-e", "B=3", "-m", "32m", "-v", "/tmp:/mnt:ro", "busybox", "false")
    changes = {item["What"]: (item["Before"], item["Now"]) for item in why(daemon)["Changes"]}
    assert changes.pop("mount /mnt") == ("", "/tmp:/mnt:ro")
    assert changes.pop("limit memory") == (str(64 << 20), str(32 << 20)) and changes.pop("limit memory_swap")
    assert changes == {"command": ("true", "false"), "environment A": ("1", "2"), "environment B": ("", "3")}
    assert "environment A: 1 → 2" in daemon.cove("why", "box").out


def test_what_needs_it(daemon: Engine) -> None:
    label = "com.docker.compose."
    mine = ("--label", f"{label}project=p", "--label", f"{label}service=db")
    run(daemon, "-d", "--ipc", "shareable", *mine, "busybox", "sleep", "600")
    for name, flags in (
        ("net", ("--net", "container:box")),
        ("ipc", ("--ipc", "container:box")),
        ("vol", ("--volumes-from", "box")),
        ("web", ("--label", f"{label}project=p", "--label", f"{label}depends_on=db:service_healthy:false")),
        ("other", ("--label", f"{label}project=q", "--label", f"{label}depends_on=db:service_started:false")),
    ):
        daemon.docker("create", "--name", name, *flags, "busybox")
    needs = {item["Name"]: item["How"] for item in why(daemon)["Dependents"]}
    assert needs == {"net": "network", "ipc": "ipc", "vol": "volumes", "web": "compose"}


def test_history_is_kept_and_bounded(fresh_daemon: Daemon) -> None:
    run(fresh_daemon, "busybox", "true")
    for _ in range(17):
        fresh_daemon.docker("start", "-a", "box")
    assert len(why(fresh_daemon)["Runs"]) == 16
    fresh_daemon.kill9()
    fresh_daemon.start()
    assert len(why(fresh_daemon)["Runs"]) == 16
