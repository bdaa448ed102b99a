"""``docker exec``: further processes in a running container."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.needs import TESTING_THE_TESTS
from harness.terminal import on_terminal
from harness.waiting import eventually


@pytest.fixture
def box(daemon: Engine) -> str:
    daemon.docker("run", "-d", "--name", "box", "-e", "FROM=container", "--hostname", "box", "busybox", "sleep", "600")
    return "box"


def test_output_code_and_environment(daemon: Engine, box: str) -> None:
    done = daemon.docker("exec", "-e", "X=1", box, "sh", "-c", "echo $FROM $X; echo err >&2; exit 5", check=False)
    assert done == (5, "container 1\n", "err\n")


def test_input(daemon: Engine, box: str) -> None:
    assert daemon.docker("exec", "-i", box, "wc", "-c", input="x" * 70_000).out.strip() == "70000"


def test_shares_the_namespaces(daemon: Engine, box: str) -> None:
    assert daemon.docker("exec", box, "sh", "-c", "hostname; cat /proc/1/comm").out.split() == ["box", "sleep"]


def test_user_and_directory(daemon: Engine, box: str) -> None:
    assert daemon.docker("exec", "-u", "nobody", "-w", "/tmp", box, "sh", "-c", "id -un; pwd").out.split() == [
        "nobody",
        "/tmp",
    ]


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("nonesuch", 127, 'exec: "nonesuch": executable file not found in $PATH'),
        ("/etc/passwd", 126, "permission denied"),
    ],
)
def test_command_that_cannot_start(daemon: Engine, box: str, command: str, code: int, words: str) -> None:
    done = daemon.docker("exec", box, command, check=False)
    assert done.code == (126 if TESTING_THE_TESTS else code)  # before Docker 23 both were 126
    assert words in done.out + done.err


def test_detached(daemon: Engine, box: str) -> None:
    assert daemon.docker("exec", "-d", box, "touch", "/tmp/was-here").out == ""
    eventually(lambda: daemon.docker("exec", box, "test", "-e", "/tmp/was-here", check=False).code == 0)


def test_has_the_containers_limits_and_rights(daemon: Engine, box: str) -> None:
    inside = daemon.docker("exec", box, "sh", "-c", "cat /proc/1/cgroup; echo --; cat /proc/self/cgroup").out
    first, own = inside.split("--\n")
    assert first == own
    assert "00000000a80425fb" in daemon.docker("exec", box, "grep", "CapEff", "/proc/self/status").out


def test_in_a_container_that_does_not_run(daemon: Engine) -> None:
    container = daemon.docker("run", "-d", "busybox", "true").out.strip()
    daemon.docker("wait", container)
    done = daemon.docker("exec", container, "true", check=False)
    assert done.code == 1
    assert f"{container} is not running" in done.err.replace("container ", "").lower()


def test_in_no_container(daemon: Engine) -> None:
    done = daemon.docker("exec", "nonesuch", "true", check=False)
    assert done.code == 1
    assert "No such container: nonesuch" in done.err


def test_inspect(daemon: Engine, box: str) -> None:
    created = daemon.http("POST", f"/containers/{box}/exec", {"Cmd": ["sh", "-c", "exit 4"], "AttachStdout": True})
    assert created.status == 201
    target = f"/exec/{created.json()['Id']}"
    assert daemon.http("GET", f"{target}/json").json()["Running"] is False
    daemon.http("POST", f"{target}/start", {"Detach": False, "Tty": False})
    seen = eventually(lambda: daemon.http("GET", f"{target}/json").json(), lambda seen: seen["ExitCode"] is not None)
    assert (seen["Running"], seen["ExitCode"]) == (False, 4)
    assert seen["ProcessConfig"]["arguments"] == ["-c", "exit 4"]


def test_terminal(daemon: Engine, box: str) -> None:
    argv = ["docker", "exec", "-it", box, "sh"]
    with on_terminal(argv, daemon.client_environment(), rows=33, columns=77) as terminal:
        terminal.expect("# ")
        terminal.send("stty size\r")
        terminal.expect("33 77")
        terminal.send("exit 6\r")
        assert terminal.wait() == 6


def test_ends_with_its_container(daemon: Engine, box: str) -> None:
    with daemon.spawned("docker", "exec", box, "sh", "-c", "echo up; sleep 600") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        daemon.docker("kill", box)
        assert process.wait(20) == 137


@pytest.mark.parametrize("mode", [(), ("--pid", "host")], ids=["own processes", "the host's processes"])
def test_what_it_left_behind_ends_with_the_container(daemon: Engine, mode: tuple[str, ...]) -> None:
    """Also where no namespace of processes ends with it, and though they are nobody's children any more."""
    identity = daemon.docker("run", "-di", "--name", "box", *mode, "busybox", "sh", "-c", "read x").out.strip()
    daemon.docker("exec", "box", "sh", "-c", "setsid sleep 3600 & (trap '' TERM HUP; sleep 3600) & exit 0")
    assert len(members(identity)) == 3, "the program and two that sleep"
    with daemon.spawned("docker", "attach", "box") as client:
        client.communicate(b"\n", 20)
    daemon.docker("wait", "box")
    eventually(lambda: members(identity) == [])


def members(container: str) -> list[str]:
    """The processes in the container's control groups."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cgroup"):
        with contextlib.suppress(OSError):
            if container in file.read_text():
                found.append(file.parent.name)
    return found


@pytest.mark.parametrize("client", ["docker", "cove"])
def test_privileges(daemon: Engine, box: str, client: str) -> None:
    run = daemon.docker if client == "docker" else daemon.cove
    look = (box, "grep", "CapEff", "/proc/self/status")
    plain, privileged = (int(run("exec", *flags, *look).out.split()[1], 16) for flags in ((), ("--privileged",)))
    assert plain == 0xA80425FB and privileged & ~plain


def test_many_one_after_another_leave_no_process(daemon: Engine, box: str) -> None:
    for number in range(10):
        assert daemon.docker("exec", box, "echo", str(number)).out == f"{number}\n"
    assert daemon.docker("exec", box, "sh", "-c", "echo /proc/[0-9]*").out.split()[:-1] == ["/proc/1"]


def test_sdk(daemon: Engine, box: str) -> None:
    result = daemon.sdk.containers.get(box).exec_run(["sh", "-c", "echo out; echo err >&2; exit 2"], demux=True)
    assert (result.exit_code, result.output) == (2, (b"out\n", b"err\n"))


def test_a_hundred_at_once(daemon: Engine) -> None:
    """All end with their own code, none stays in the list, and what they leave behind goes with the container."""
    daemon.docker("run", "-d", "--name", "box", "--stop-timeout", "0", "busybox", "sleep", "100")
    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(lambda number: _exec_code(daemon, number), range(100)))
    assert codes == [number % 50 for number in range(100)]
    assert daemon.http("GET", "/containers/box/json").json()["ExecIDs"] is None
    daemon.docker("exec", "-d", "box", "sh", "-c", "sleep 200 & sleep 200")
    daemon.docker("stop", "box")


def _exec_code(daemon: Engine, number: int) -> int:
    body = {"Cmd": ["sh", "-c", f"exit {number % 50}"], "AttachStdout": True}
    made = daemon.http("POST", "/containers/box/exec", body).json()["Id"]
    assert daemon.http("POST", f"/exec/{made}/start", {"Detach": False}).status == 200
    code = daemon.http("GET", f"/exec/{made}/json").json()["ExitCode"]
    assert isinstance(code, int)
    return code


def test_a_directory_that_is_relative(daemon: Engine) -> None:
    daemon.docker("run", "-d", "--name", "box", "busybox", "sleep", "600")
    done = daemon.docker("exec", "-w", "tmp", "box", "pwd", check=False)
    assert done.code == 126
    assert "OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown" in done.out + done.err
