"""``docker wait``, ``stop``, ``kill``, ``pause``, restart policies: a container's life and what it is told."""

import json
import threading
import time

import pytest

from harness.engine import Engine
from harness.waiting import eventually


def field(engine: Engine, name: str, template: str) -> str:
    return engine.docker("inspect", "-f", template, name).out.strip()


def wait_in_background(engine: Engine, target: str) -> tuple[threading.Thread, list[int]]:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(engine.http("POST", target).json()["StatusCode"]))
    thread.start()
    return thread, codes


def test_gives_the_exit_code(daemon: Engine) -> None:
    container = daemon.docker("run", "-d", "busybox", "sh", "-c", "exit 12").out.strip()
    assert daemon.docker("wait", container).out == "12\n"
    assert daemon.docker("wait", container).out == "12\n"


def test_next_exit_of_a_container_that_was_not_started(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "busybox", "sh", "-c", "exit 3")
    thread, codes = wait_in_background(daemon, "/containers/box/wait?condition=next-exit")
    eventually(lambda: started(daemon, "box"))
    thread.join(20)
    assert codes == [3]


def started(engine: Engine, name: str) -> bool:
    """Start it (again): the wait may have come after the first start."""
    engine.docker("start", name)
    return True


def test_removed(daemon: Engine) -> None:
    daemon.docker("run", "-d", "-i", "--rm", "--name", "box", "busybox", "sh", "-c", "read x; exit 5")
    thread, codes = wait_in_background(daemon, "/containers/box/wait?condition=removed")
    with daemon.spawned("docker", "attach", "box") as client:
        client.communicate(b"\n", 30)
    thread.join(20)
    assert codes == [5]
    assert daemon.docker("inspect", "box", check=False).code == 1


@pytest.mark.needs("cove")  # Docker 20.10 takes it for not-running
def test_unknown_condition(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "busybox", "true")
    answer = daemon.http("POST", "/containers/box/wait?condition=never")
    assert answer.status == 400
    assert answer.json() == {"message": 'invalid condition: "never"'}


def test_stop_terminates_then_kills(daemon: Engine) -> None:
    daemon.docker(
        "run",
        "-d",
        "--name",
        "polite",
        "busybox",
        "sh",
        "-c",
        "trap 'exit 3' TERM; echo up; while :; do sleep .02; done",
    )
    daemon.docker(
        "run", "-d", "--name", "deaf", "busybox", "sh", "-c", "trap '' TERM; echo up; while :; do sleep .02; done"
    )
    for name in ("polite", "deaf"):
        eventually(lambda name=name: daemon.docker("logs", name).out == "up\n")
    began = time.monotonic()
    daemon.docker("stop", "-t", "30", "polite")
    daemon.docker("stop", "-t", "1", "deaf")
    assert time.monotonic() - began < 15
    assert field(daemon, "polite", "{{.State.ExitCode}}") == "3"
    assert field(daemon, "deaf", "{{.State.ExitCode}}") == "137"


@pytest.mark.parametrize("client", ["docker", "cove"])
@pytest.mark.parametrize("way", ["flag", "configuration"])
def test_stop_without_a_limit_waits_for_the_end(daemon: Engine, client: str, way: str) -> None:
    """However short the container's own limit is."""
    script = (
        "trap 'echo asked; while [ ! -e /go ]; do sleep .02; done; exit 5' TERM; echo up; while :; do sleep .02; done"
    )
    own = "-1" if way == "configuration" else "0"
    daemon.docker("run", "-d", "--name", "box", "--stop-timeout", own, "busybox", "sh", "-c", script)
    eventually(lambda: daemon.docker("logs", "box").out == "up\n")
    flags = ("-t", "-1") if way == "flag" else ()
    with daemon.spawned(client, "stop", *flags, "box") as stopping:
        eventually(lambda: daemon.docker("logs", "box").out == "up\nasked\n")
        daemon.docker("exec", "box", "touch", "/go")
        assert stopping.wait(20) == 0
    assert field(daemon, "box", "{{.State.ExitCode}}") == "5"


def test_stop_signal_of_the_container(daemon: Engine) -> None:
    script = "trap 'exit 4' USR1; echo up; while :; do sleep .02; done"
    daemon.docker("run", "-d", "--name", "box", "--stop-signal", "SIGUSR1", "busybox", "sh", "-c", script)
    eventually(lambda: daemon.docker("logs", "box").out == "up\n")
    daemon.docker("stop", "box")
    assert field(daemon, "box", "{{.State.ExitCode}}") == "4"


@pytest.mark.parametrize("client", ["docker", "cove"])
def test_another_signal_for_this_once(daemon: Engine, client: str) -> None:
    run = daemon.docker if client == "docker" else daemon.cove
    script = "trap 'echo one; exit 6' USR1; trap 'echo two; exit 7' USR2; echo up; while :; do sleep .02; done"
    daemon.docker("run", "-d", "--name", "box", "--stop-signal", "USR2", "busybox", "sh", "-c", script)
    eventually(lambda: daemon.docker("logs", "box").out == "up\n")
    run("restart", "-s", "SIGUSR1", "box")
    eventually(lambda: daemon.docker("logs", "box").out == "up\none\nup\n")
    run("stop", "--signal", "USR1", "box")
    assert field(daemon, "box", "{{.State.ExitCode}}") == "6"
    assert daemon.docker("logs", "box").out == "up\none\nup\none\n"


def test_the_limit_of_the_container_itself(daemon: Engine) -> None:
    """Ten seconds are what others have."""
    script = "trap '' TERM; echo up; while :; do sleep .02; done"
    daemon.docker("run", "-d", "--name", "box", "--stop-timeout", "0", "busybox", "sh", "-c", script)
    for command in ("restart", "stop"):
        eventually(lambda: daemon.docker("logs", "-n", "1", "box").out == "up\n")
        began = time.monotonic()
        daemon.docker(command, "box")
        assert time.monotonic() - began < 8
    assert field(daemon, "box", "{{.State.ExitCode}}") == "137"


def test_stop_of_a_stopped_one_is_no_error(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "busybox", "true")
    assert daemon.docker("stop", "box").out == "box\n"
    assert daemon.http("POST", "/containers/box/stop").status == 304


def test_kill(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    daemon.docker("kill", "-s", "KILL", "box")
    assert daemon.docker("wait", "box").out == "137\n"
    done = daemon.docker("kill", "box", check=False)
    assert done.code == 1
    assert "is not running" in done.err


def test_kill_with_a_signal_that_is_none(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    done = daemon.docker("kill", "-s", "NONE", "box", check=False)
    assert done.code == 1
    assert "nvalid signal: NONE" in done.err


def test_restart(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    before = field(daemon, "box", "{{.State.Pid}}")
    daemon.docker("restart", "-t", "0", "box")
    after = field(daemon, "box", "{{.State.Pid}} {{.State.Status}}").split()
    assert after[0] not in {before, "0"}
    assert after[1] == "running"


def test_start_again_keeps_what_was_written(daemon: Engine) -> None:
    daemon.docker("run", "--name", "box", "busybox", "sh", "-c", "echo x >>/n; wc -l </n")
    daemon.docker("start", "-a", "box")
    assert daemon.docker("logs", "box").out == "1\n2\n"


def test_pause(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    daemon.docker("pause", "box")
    assert field(daemon, "box", "{{.State.Status}}") == "paused"
    done = daemon.docker("exec", "box", "true", check=False)
    assert done.code == 1
    assert "is paused, unpause the container before exec" in done.err
    daemon.docker("unpause", "box")
    assert daemon.docker("exec", "box", "echo", "awake").out == "awake\n"


def test_restart_policy_counts_failures(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo x; exit 1")
    eventually(lambda: field(daemon, "box", "{{.RestartCount}} {{.State.Status}}"), lambda seen: seen == "2 exited", 20)
    assert daemon.docker("logs", "box").out == "x\n" * 3


def test_restarts_are_further_and_further_apart(daemon: Engine) -> None:
    """A tenth of a second first, then twice as long each time."""
    since = f"{time.time():.9f}"
    daemon.docker("run", "-d", "--name", "box", "--restart", "on-failure:4", "busybox", "false")
    eventually(lambda: field(daemon, "box", "{{.State.Status}} {{.RestartCount}}") == "exited 4", seconds=20)
    between = ("--since", since, "--until", f"{time.time():.9f}", "--filter", "container=box")
    told = daemon.docker("events", *between, "--format", "{{json .}}").out.splitlines()
    events = [(event["Action"], event["timeNano"] / 1e9) for event in map(json.loads, told)]
    ends = [moment for action, moment in events if action == "die"]
    starts = [moment for action, moment in events if action == "start"]
    waits = [start - end for end, start in zip(ends, starts[1:], strict=False)]
    assert len(waits) == 4 and all(wait >= 0.1 * 2**number for number, wait in enumerate(waits)), waits


def test_restart_policy_always_until_it_is_stopped(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "--restart", "always", "busybox", "sh", "-c", "exit 0")
    eventually(lambda: int(field(daemon, "box", "{{.RestartCount}}")) >= 2, seconds=20)
    daemon.docker("stop", "box")
    assert field(daemon, "box", "{{.State.Status}}") == "exited"


def test_states_and_times(daemon: Engine) -> None:
    daemon.docker("create", "--name", "box", "busybox", "true")
    assert field(daemon, "box", "{{.State.StartedAt}}") == "0001-01-01T00:00:00Z"
    daemon.docker("start", "-a", "box")
    state = json.loads(field(daemon, "box", "{{json .State}}"))
    assert "0001-01-01" < state["StartedAt"][:10] == state["FinishedAt"][:10]
    assert (state["Running"], state["Pid"], state["Error"]) == (False, 0, "")


def test_start_of_what_is_started_changes_nothing(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    assert daemon.http("POST", "/containers/box/start").status == 304


def test_events_tell_the_life(daemon: Engine) -> None:
    began = daemon.http("GET", "/info").json()["SystemTime"]
    daemon.docker("run", "--rm", "--name", "box", "--net", "none", "busybox", "sh", "-c", "exit 2", check=False)
    command = (
        "events",
        "--since",
        began,
        "--until",
        str(int(time.time()) + 1),
        "--filter",
        "container=box",
        "--format",
        "{{.Action}}",
    )
    seen = daemon.docker(*command).out.split()
    expected = ["create", "attach", "start", "die", "destroy"]
    assert [action for action in seen if action in expected] == expected


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "kill", "wait", "pause", "unpause"])
def test_of_no_container(daemon: Engine, verb: str) -> None:
    done = daemon.docker(verb, "nonesuch", check=False)
    assert done.code == 1
    assert "No such container: nonesuch" in done.err
