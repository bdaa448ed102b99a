"""``docker run --health-cmd``: probes of running containers."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness.daemon import Daemon
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


def test_failures_of_the_start_period_do_not_count(daemon: Engine) -> None:
    """Until a probe has succeeded, which ends the period."""
    flags = ("--health-retries", "1", "--health-start-period", "1h", "--health-start-interval", "50ms")
    box = run(daemon, "--health-cmd", "test -e /tmp/well", *flags)
    seen = eventually(lambda: health(daemon, box), lambda seen: len(seen["Log"]) >= 3)
    assert (seen["Status"], seen["FailingStreak"], seen["Log"][-1]["ExitCode"]) == ("starting", 0, 1)
    daemon.docker("exec", box, "touch", "/tmp/well")
    becomes(daemon, box, "healthy")
    daemon.docker("exec", box, "rm", "/tmp/well")
    assert becomes(daemon, box, "unhealthy")["FailingStreak"] >= 1


@pytest.mark.parametrize("client", ["docker", "cove"])
def test_the_interval_of_the_start_period(daemon: Engine, client: str) -> None:
    """It holds until the container is healthy, and no longer."""
    times = ("--health-interval", "1h", "--health-start-period", "1h", "--health-start-interval", "50ms")
    for name in ("box", "other"):
        words = ("run", "-d", "--name", name, *times, "--health-cmd", "test -e /tmp/well", "busybox", "sleep", "600")
        (daemon.docker if client == "docker" else daemon.cove)(*words)
        eventually(lambda name=name: health(daemon, name), lambda seen: len(seen["Log"]) >= 3)
        if name == "box":
            daemon.docker("exec", name, "touch", "/tmp/well")
            well = becomes(daemon, name, "healthy")
    assert health(daemon, "box") == well, "nobody probed it while the other one was probed thrice"


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


@pytest.fixture
def probed_image(daemon: Engine) -> Iterator[str]:
    """An image with a probe of its own."""
    daemon.docker("create", "--name", "base", "busybox")
    probe = "HEALTHCHECK --interval=50ms --retries=7 CMD echo of the image"
    daemon.docker("commit", "--change", probe, "--change", 'CMD ["sleep", "600"]', "base", "probed")
    yield "probed"
    daemon.docker("rm", "-f", "box")
    daemon.docker("rmi", "probed")


def test_of_the_image(daemon: Engine, probed_image: str) -> None:
    """What the container does not say is the image's."""
    daemon.docker("run", "-d", "--name", "box", "--health-retries", "2", probed_image)
    assert becomes(daemon, "box", "healthy")["Log"][0]["Output"] == "of the image\n"
    seen = daemon.http("GET", "/containers/box/json").json()["Config"]["Healthcheck"]
    test = ["CMD-SHELL", "echo of the image"]
    assert seen == {"Test": test, "Interval": 50_000_000, "Retries": 2}


def test_of_the_image_turned_off(daemon: Engine, probed_image: str) -> None:
    daemon.docker("run", "-d", "--name", "box", "--no-healthcheck", probed_image)
    assert health(daemon, "box") is None
    assert daemon.docker("ps", "-q", "--filter", "health=none").out.strip()


def test_the_shell_of_the_container(daemon: Engine) -> None:
    probe = {"Test": ["CMD-SHELL", "in other words"], "Interval": 50_000_000}
    body = {"Image": "busybox", "Cmd": ["sleep", "600"], "Shell": ["/bin/echo", "so:"], "Healthcheck": probe}
    daemon.http("POST", "/containers/create?name=box", body)
    daemon.docker("start", "box")
    assert becomes(daemon, "box", "healthy")["Log"][0]["Output"] == "so: in other words\n"


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


def field(daemon: Engine, template: str) -> str:
    return daemon.docker("inspect", "-f", template, "box").out.strip()


def run_with(daemon: Engine, action: str, *flags: str, probe: str = "false") -> None:
    given = ("--health-cmd", probe, "--health-on-failure", action, *PROBE, "--stop-timeout", "0", *flags)
    daemon.cove("run", "-d", "--name", "box", *given, "busybox", "sleep", "600")


@pytest.mark.needs("cove")
def test_on_failure_it_is_restarted_again_and_again(daemon: Engine) -> None:
    run_with(daemon, "restart", "--rm")
    eventually(lambda: int(field(daemon, "{{.RestartCount}}")) >= 3, seconds=20)
    assert field(daemon, "{{.HostConfig.RestartPolicy.Name}} {{.State.OOMKilled}}") == "no false"
    told = daemon.docker("events", "--since", "1m", "--until", f"{time.time():.9f}", "--filter", "container=box").out
    for words in ("health_status: unhealthy", "health_on_failure: restart", " die ", " stop "):
        assert words in told
    daemon.docker("rm", "-f", "box")


@pytest.mark.needs("cove")
@pytest.mark.parametrize("action", ["stop", "kill"])
def test_on_failure_it_is_ended(daemon: Engine, action: str) -> None:
    run_with(daemon, action)
    eventually(lambda: field(daemon, "{{.State.Status}}") == "exited")
    assert field(daemon, "{{.State.ExitCode}} {{.RestartCount}}") == "137 0"


@pytest.mark.needs("cove")
def test_a_kill_is_followed_by_the_policy_and_a_stop_is_not(daemon: Engine) -> None:
    run_with(daemon, "kill", "--restart", "always")
    eventually(lambda: int(field(daemon, "{{.RestartCount}}")) >= 1)
    daemon.docker("rm", "-f", "box")
    run_with(daemon, "stop", "--restart", "always")
    eventually(lambda: field(daemon, "{{.State.Status}}") == "exited")
    assert field(daemon, "{{.RestartCount}}") == "0"


@pytest.mark.needs("cove")
def test_the_action_can_be_changed_and_only_to_one_that_is(daemon: Engine) -> None:
    run_with(daemon, "none")
    becomes(daemon, "box", "unhealthy")
    refused = daemon.cove("update", "--health-on-failure", "explode", "box", check=False)
    assert refused.code == 1 and "'explode' is none of none, restart, stop, kill" in refused.err
    assert field(daemon, "{{.State.Status}}") == "running"
    daemon.cove("update", "--health-on-failure", "kill", "box")
    eventually(lambda: field(daemon, "{{.State.Status}}") == "exited")
    refused = daemon.cove("create", "--health-on-failure", "explode", "busybox", check=False)
    assert refused.code == 1 and "'explode' is none of none, restart, stop, kill" in refused.err


@pytest.mark.needs("cove")
def test_the_action_is_taken_by_the_next_daemon_too(fresh_daemon: Daemon) -> None:
    run_with(fresh_daemon, "restart", probe="test ! -e /ill")
    becomes(fresh_daemon, "box", "healthy")
    fresh_daemon.kill9()
    fresh_daemon.start()
    fresh_daemon.docker("exec", "box", "touch", "/ill")
    eventually(lambda: int(field(fresh_daemon, "{{.RestartCount}}")) >= 3, seconds=20)
    eventually(lambda: field(fresh_daemon, "{{.State.Status}}") == "restarting", seconds=20)
    fresh_daemon.kill9()  # with a start planned
    fresh_daemon.start()
    eventually(lambda: field(fresh_daemon, "{{.State.Status}}") == "running", seconds=20)
