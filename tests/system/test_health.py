"""``docker run --health-cmd``: probes of running containers."""

import json
import time
from typing import Any

import pytest

from harness.engine import Engine
from harness.waiting import eventually

PROBE = ("--health-interval", "100ms", "--health-retries", "2")


def run(daemon: Engine, *flags: str, name: str = "box") -> str:
    daemon.docker("run", "-d", "--name", name, *PROBE, *flags, "busybox", "sleep", "600")
    return name


def health(daemon: Engine, box: str) -> Any:
    return json.loads(daemon.docker("inspect", "-f", "{{json .State.Health}}", box).out)


def becomes(daemon: Engine, box: str, status: str) -> Any:
    return eventually(lambda: health(daemon, box), lambda seen: seen["Status"] == status)


def status(daemon: Engine, *filters: str) -> str:
    return daemon.docker("ps", "-a", *(f"--filter={item}" for item in filters), "--format", "{{.Status}}").out.strip()


def test_from_starting_to_unhealthy_to_healthy(daemon: Engine) -> None:
    box = run(daemon, "--health-cmd", "echo looking; test -e /tmp/well")
    assert health(daemon, box)["Status"] == "starting"
    ill = becomes(daemon, box, "unhealthy")
    assert ill["FailingStreak"] >= 2
    assert (ill["Log"][0]["ExitCode"], ill["Log"][0]["Output"]) == (1, "looking\n")
    assert "(unhealthy)" in status(daemon, "health=unhealthy")
    daemon.docker("exec", box, "touch", "/tmp/well")
    well = becomes(daemon, box, "healthy")
    assert (well["FailingStreak"], well["Log"][-1]["ExitCode"]) == (0, 0)
    assert len(well["Log"]) <= 5
    assert "(healthy)" in status(daemon, "health=healthy")
    assert status(daemon, "health=starting", "health=none") == ""


def test_starting_is_shown(daemon: Engine) -> None:
    run(daemon, "--health-cmd", "true", "--health-interval", "1h")
    assert status(daemon).endswith("(health: starting)")


def test_events(daemon: Engine) -> None:
    box = run(daemon, "--health-cmd", "true")
    becomes(daemon, box, "healthy")
    daemon.docker("rm", "-f", box)
    seen = daemon.docker("events", "--since", "1m", "--until", f"{time.time():.9f}", "--filter", "type=container").out
    for words in ("exec_create: /bin/sh -c true", "exec_start: /bin/sh -c true", "exec_die", "health_status: healthy"):
        assert words in seen


def test_too_slow(daemon: Engine) -> None:
    box = run(daemon, "--health-cmd", "echo begun; exec sleep 600", "--health-timeout", "200ms")
    first = becomes(daemon, box, "unhealthy")["Log"][0]
    assert first["ExitCode"] == -1
    assert first["Output"].startswith("Health check exceeded timeout (200ms)")
    assert daemon.docker("top", box).out.count("sleep 600") <= 2, "the probes were killed"


def test_program_that_is_not_there(daemon: Engine) -> None:
    body = {
        "Image": "busybox",
        "Cmd": ["sleep", "600"],
        "Healthcheck": {"Test": ["CMD", "nonesuch"], "Interval": 100_000_000, "Retries": 1},
    }
    box = daemon.http("POST", "/containers/create", body).json()["Id"]
    daemon.docker("start", box)
    first = becomes(daemon, box, "unhealthy")["Log"][0]
    assert first["ExitCode"] == -1
    assert 'exec: "nonesuch": executable file not found in $PATH' in first["Output"]


@pytest.mark.parametrize("flags", [(), ("--no-healthcheck",)])
def test_none(daemon: Engine, flags: tuple[str, ...]) -> None:
    daemon.docker("run", "-d", "--name", "box", *flags, "busybox", "sleep", "600")
    assert health(daemon, "box") is None
    assert "(" not in status(daemon, "health=none")


def test_pause_and_stop(daemon: Engine) -> None:
    box = run(daemon, "--health-cmd", "true")
    becomes(daemon, box, "healthy")
    daemon.docker("pause", box)
    assert status(daemon).endswith("(Paused)")
    assert health(daemon, box)["Status"] == "unhealthy"
    daemon.docker("unpause", box)
    becomes(daemon, box, "healthy")
    daemon.docker("stop", "-t", "0", box)
    assert health(daemon, box)["Status"] == "unhealthy"
    daemon.docker("start", box)
    again = becomes(daemon, box, "healthy")
    started = daemon.docker("inspect", "-f", "{{.State.StartedAt}}", box).out
    assert again["Log"][0]["Start"] > started, "the results of the run before are gone"


def test_probes_go_on_when_the_daemon_comes_back(fresh_daemon: Engine) -> None:
    daemon = fresh_daemon
    box = run(daemon, "--health-cmd", "test ! -e /tmp/ill")
    becomes(daemon, box, "healthy")
    daemon.kill9()
    daemon.start()
    assert health(daemon, box)["Status"] == "healthy"
    daemon.docker("exec", box, "touch", "/tmp/ill")
    becomes(daemon, box, "unhealthy")


def test_probes_are_not_among_the_execs_of_the_container(daemon: Engine) -> None:
    box = run(daemon, "--health-cmd", "true")
    eventually(lambda: len(health(daemon, box)["Log"]) == 5)
    execs = json.loads(daemon.docker("inspect", "-f", "{{json .ExecIDs}}", box).out)
    assert len(execs or []) <= 1, "the one that runs"
