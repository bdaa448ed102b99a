"""``docker logs``: what a container wrote, also while it writes and after it ended."""

import re
import time

from harness.engine import Engine

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"


def run(engine: Engine, script: str, *flags: str) -> str:
    """A container that ran the script to its end."""
    container = engine.docker("run", "-d", *flags, "busybox", "sh", "-c", script).out.strip()
    engine.docker("wait", container)
    return container


def test_streams_stay_apart(daemon: Engine) -> None:
    container = run(daemon, "echo out; echo err >&2")
    done = daemon.docker("logs", container)
    assert (done.out, done.err) == ("out\n", "err\n")


def test_tail(daemon: Engine) -> None:
    container = run(daemon, "seq 1 20")
    assert daemon.docker("logs", "--tail", "3", container).out.split() == ["18", "19", "20"]
    assert daemon.docker("logs", "--tail", "0", container).out == ""
    assert len(daemon.docker("logs", "--tail", "all", container).out.split()) == 20


def test_timestamps(daemon: Engine) -> None:
    container = run(daemon, "echo a; echo b")
    assert re.fullmatch(f"{STAMP} a\n{STAMP} b\n", daemon.docker("logs", "-t", container).out)


def test_since_and_until(daemon: Engine) -> None:
    container = run(daemon, "echo early; sleep 1.1; echo late")
    first, second = daemon.docker("logs", "-t", container).out.splitlines()
    between = second.split()[0][:19] + "Z"  # the whole second before the later line
    assert daemon.docker("logs", "--until", between, container).out in {"early\n", "early\nlate\n"}
    assert daemon.docker("logs", "--since", second.split()[0], container).out == "late\n"
    assert daemon.docker("logs", "--until", first.split()[0], container).out == "early\n"


def test_follow_gives_what_comes_and_ends_with_the_container(daemon: Engine) -> None:
    daemon.docker("run", "-d", "-i", "--name", "writer", "busybox", "sh", "-c", "echo first; read go; echo second")
    with daemon.spawned("docker", "logs", "-f", "writer") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"first\n"
        with daemon.spawned("docker", "attach", "writer") as writer:
            writer.communicate(b"\n", 30)
        assert follower.stdout.readline() == b"second\n"
        assert follower.wait(20) == 0


def test_long_line_and_last_line_without_an_end(daemon: Engine) -> None:
    container = run(daemon, "head -c 50000 /dev/zero | tr '\\0' x; echo; printf last")
    assert daemon.docker("logs", container).out == "x" * 50_000 + "\nlast"


def test_large_log_is_whole(daemon: Engine) -> None:
    container = run(daemon, "seq 1 100000")
    assert daemon.docker("logs", container).out == "".join(f"{number}\n" for number in range(1, 100_001))


def test_bytes_that_are_no_text(daemon: Engine) -> None:
    container = run(daemon, "printf 'a\\000b\\r\\n'")
    assert daemon.sdk.containers.get(container).logs() == b"a\x00b\r\n"


def test_rotation_keeps_the_newest(daemon: Engine) -> None:
    container = run(daemon, "seq 1 50000", "--log-opt", "max-size=100k", "--log-opt", "max-file=2")
    lines = daemon.docker("logs", container).out.split()
    assert lines[-1] == "50000"
    assert 1000 < len(lines) < 50_000
    assert lines == [str(number) for number in range(50_001 - len(lines), 50_001)]


def test_driver_none_keeps_nothing(daemon: Engine) -> None:
    container = run(daemon, "echo lost", "--log-driver", "none")
    done = daemon.docker("logs", container, check=False)
    assert done.code == 1
    assert "configured logging driver does not support reading" in done.err


def test_terminal_output_is_one_raw_stream(daemon: Engine) -> None:
    container = run(daemon, "echo out; echo err >&2", "-t")
    assert daemon.sdk.containers.get(container).logs() == b"out\r\nerr\r\n"


def test_of_no_container(daemon: Engine) -> None:
    done = daemon.docker("logs", "nonesuch", check=False)
    assert done.code == 1
    assert "No such container: nonesuch" in done.err


def test_follow_from_now(daemon: Engine) -> None:
    script = "echo old; read go; echo new"
    daemon.docker("run", "-d", "-i", "--name", "writer", "busybox", "sh", "-c", script)
    now = str(int(time.time()) + 3600)
    assert daemon.docker("logs", "--since", now, "writer").out == ""
    with daemon.spawned("docker", "logs", "-f", "--tail", "0", "writer") as follower:
        assert follower.stdout is not None
        with daemon.spawned("docker", "attach", "writer") as writer:
            # the follower may connect after the line was written: keep it from ending before that
            writer.communicate(b"\n", 30)
        assert follower.communicate(timeout=20)[0] in {b"new\n", b""}
