"""``docker logs``: what a container wrote, also while it writes and after it ended."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from harness.daemon import Daemon
from harness.engine import Engine
from harness.waiting import eventually

MEGABYTES = int(os.environ.get("COVE_TEST_LOG_MB", "8"))
"""What a container writes as fast as it can; 1000 is the size that the engine is built for."""

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


@pytest.mark.parametrize("seconds", [-60, 2])
def test_follow_ends_when_its_time_has_come(daemon: Engine, seconds: int) -> None:
    """Though the container goes on and says nothing more."""
    daemon.docker("run", "-d", "--name", "it", "busybox", "sh", "-c", "echo one; exec sleep 600")
    eventually(lambda: daemon.docker("logs", "it").out == "one\n")
    began = time.time()
    done = daemon.docker("logs", "-f", "--until", f"{began + seconds:.9f}", "it")
    assert done.out == ("one\n" if seconds > 0 else "")
    assert time.time() >= began + seconds


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


LONG = 50_000
"""Characters of a line: more than the 16 KiB of which one record is made."""


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_long_lines_stay_whole_over_rotations(daemon: Engine, driver: str) -> None:
    """Their pieces are in several files; read later or while they are written."""
    options = ("--log-driver", driver, "--log-opt", "max-size=20k", "--log-opt", "max-file=30")
    write = f"for c in a b c d; do head -c {LONG} /dev/zero | tr '\\0' $c; echo; done"
    lines = [letter * LONG for letter in "abcd"]
    words = ("--name", "it", *options, "busybox", "sh", "-c", f"echo go; read x; {write}")
    daemon.docker("run", "-d", "-i", *words)
    with daemon.spawned("docker", "logs", "-f", "it") as follower:
        assert follower.stdout is not None and follower.stdout.readline() == b"go\n"
        with daemon.spawned("docker", "attach", "it") as writer:
            writer.communicate(b"\n", 30)
        assert follower.communicate(timeout=20)[0].decode().split() == lines
    assert daemon.docker("logs", "it").out.split() == ["go", *lines]
    if driver == "json-file":
        kept = Path(daemon.docker("inspect", "-f", "{{.LogPath}}", "it").out.strip()).parent
        assert len(list(kept.glob("*-json.log*"))) > 4


@pytest.mark.needs("cove")
def test_a_time_is_looked_for_and_not_read_up_to(daemon: Engine) -> None:
    """Of a large log that began before and went on after, little is read."""
    megabytes = 12
    script = f"echo first; sleep .1; yes {'x' * 99} | head -c {megabytes}000000; sleep .1; echo last"
    run(daemon, script, "--name", "it")
    stamps = [daemon.cove("logs", "-t", "--grep", word, "it").out.split()[0] for word in ("^first$", "^last$")]
    for flag, stamp, expected in (("--until", stamps[0], "first\n"), ("--since", stamps[1], "last\n")):
        before = bytes_read(daemon)
        assert daemon.docker("logs", flag, stamp, "it").out == expected
        assert bytes_read(daemon) - before < 2_000_000, flag


def bytes_read(engine: Engine) -> int:
    """By the daemon's process since it began."""
    return int(Path(f"/proc/{engine.pid}/io").read_text().split("rchar: ")[1].split()[0])


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
    eventually(lambda: daemon.docker("logs", "writer").out == "old\n")
    assert daemon.docker("logs", "--since", now, "writer").out == ""
    with daemon.spawned("docker", "logs", "-f", "--tail", "0", "writer") as follower:
        assert follower.stdout is not None
        with daemon.spawned("docker", "attach", "writer") as writer:
            # the follower may connect after the line was written: keep it from ending before that
            writer.communicate(b"\n", 30)
        assert follower.communicate(timeout=20)[0] in {b"new\n", b""}


def test_local_driver_shows_what_json_file_does(daemon: Engine) -> None:
    script = "echo out; echo err >&2; head -c 40000 /dev/zero | tr '\\0' x; echo; printf 'a\\377\\001 last'"
    seen = []
    for driver in ("json-file", "local"):
        container = run(daemon, script, "--log-driver", driver)
        seen.append([daemon.sdk.containers.get(container).logs(stdout=out, stderr=not out) for out in (True, False)])
    assert seen[1][1] == seen[0][1] == b"err\n"
    assert seen[1][0] == seen[0][0].replace("\ufffd".encode(), b"\xff")  # kept as it was


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_compressed_files_are_read_as_if_they_were_not(daemon: Engine, driver: str) -> None:
    options = [word for option in ("max-size=50k", "max-file=4", "compress=true") for word in ("--log-opt", option)]
    script = "for i in $(seq 1 60); do seq $((i * 1000 - 999)) $((i * 1000)); usleep 20000; done; sleep 1"
    container = run(daemon, script, "--log-driver", driver, *options)
    lines = daemon.docker("logs", container).out.split()
    assert lines == [str(number) for number in range(60_001 - len(lines), 60_001)]
    assert len(lines) > 2000 and daemon.docker("logs", "--tail", "1500", container).out.split() == lines[-1500:]
    directory = daemon.data_root / "containers" / container
    assert any(path.suffix == ".gz" for path in directory.iterdir())


def test_details_are_labels_environment_and_tag(daemon: Engine) -> None:
    options = ("labels=a.b", "labels-regex=^x-", "env=A", "env-regex=^Q", 'tag={{.Name}}/{{.ImageName}}/{{lower "T"}}')
    given = [word for option in options for word in ("--log-opt", option)]
    flags = ("-l", "a.b=1 2", "-l", "x-y=3", "-l", "n=4", "-e", "A=5", "-e", "QQ=6", "-e", "R=7", "--name", "it")
    container = run(daemon, "echo hello", *given, *flags)
    details = "A=5,QQ=6,a.b=1+2,tag=it%2Fbusybox%2Ft,x-y=3"
    assert daemon.docker("logs", "--details", container).out == f"{details} hello\n"
    bad = ("run", "--rm", "--log-opt", "tag={{.Nope}}", "busybox", "true")
    assert "can't evaluate field Nope in type *logger.Info" in daemon.docker(*bad, check=False).err


@pytest.mark.needs("cove")
def test_search(daemon: Engine) -> None:
    container = run(daemon, "seq 1 50000; echo Error: it broke >&2; echo after")
    assert daemon.cove("logs", "--grep", "^4999[0-9]$", "-n", "3", container).out == "49997\n49998\n49999\n"
    assert daemon.cove("logs", "--grep", "ERROR", "-i", container).err == "Error: it broke\n"
    around = daemon.cove("logs", "--grep", "^777$", "-C", "1", container).out
    assert around == "776\n777\n778\n"
    bad = daemon.cove("logs", "--grep", "(", container, check=False)
    assert bad.code == 1 and "error parsing regexp: missing closing )" in bad.err
    assert daemon.http("GET", f"/containers/{container}/logs?stdout=1&grep=(").status == 400
    assert daemon.http("GET", f"/containers/{container}/logs?stdout=1&grep=a&before=-1").status == 400
    assert "--context needs --grep" in daemon.cove("logs", "-C", "1", container, check=False).err


@pytest.mark.needs("cove")
def test_search_of_what_comes(daemon: Engine) -> None:
    script = "echo find 1; echo no; echo find 2; read go; echo no; echo find 3"
    daemon.docker("run", "-d", "-i", "--name", "it", "busybox", "sh", "-c", script)
    with daemon.spawned("cove", "logs", "-f", "-n", "1", "--grep", "find", "it") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"find 2\n"
        with daemon.spawned("docker", "attach", "it") as writer:
            writer.communicate(b"\n", 30)
        assert follower.communicate(timeout=20)[0] == b"find 3\n"


@pytest.mark.needs("cove")  # Docker keeps all of it
def test_a_follower_that_reads_nothing_holds_no_container_up(daemon: Engine) -> None:
    """However much is written meanwhile, what is kept of it is bounded, and ends where the program's output ends."""
    write = f"yes 'a line of a log, with some words in it, and a number 0123456789' | head -c {MEGABYTES}000000"
    daemon.docker(
        "run", "-d", "--name", "it", "busybox", "sh", "-c", f"echo go; usleep 300000; {write}; echo; echo end"
    )
    with daemon.spawned("docker", "logs", "-f", "it") as follower:
        assert follower.stdout is not None and follower.stdout.readline() == b"go\n"
        assert daemon.docker("wait", "it", timeout=60 + MEGABYTES).out == "0\n"
        follower.kill()
    assert daemon.docker("logs", "--tail", "1", "it").out == "end\n"
    kept = Path(daemon.docker("inspect", "-f", "{{.LogPath}}", "it").out.strip()).parent
    files = [file.stat().st_size for file in kept.glob("*-json.log*")]
    assert len(files) <= 5 and sum(files) < 5 * 21_000_000, files


def test_the_daemon_s_own_driver_and_options(fresh_daemon: Daemon) -> None:
    daemon = fresh_daemon
    assert "json-file" in daemon.docker("info").out and "Log Rotation: 5 files of 20MiB" in daemon.docker("info").out
    daemon.stop()
    daemon.flags = ("--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=2")
    daemon.start()
    info = daemon.http("GET", "/info").json()
    assert info["LoggingDriver"] == "local"
    assert info["Plugins"]["Log"] == ["fluentd", "gelf", "journald", "json-file", "local", "syslog"]
    container = run(daemon, "echo kept")
    shown = daemon.docker("inspect", "-f", "{{json .HostConfig.LogConfig}}", container).out
    assert json.loads(shown) == {"Type": "local", "Config": {"max-file": "2", "max-size": "1m"}}
    assert daemon.docker("logs", container).out == "kept\n"


def test_what_goes_with_a_log_is_bounded(daemon: Daemon) -> None:
    """The shim is told of it in one datagram."""
    large, most = "x" * 70_000, "x" * 60_000
    options = ("--log-opt", "labels=big", "--log-opt", "env=BIG")
    done = daemon.docker("create", *options, "--label", f"big={large}", "busybox", check=False)
    assert done.code == 1 and "bytes go with each log" in done.err
    done = daemon.docker("create", *options, "--label", f"big={most}", "-e", f"BIG={most}", "busybox", check=False)
    assert done.code == 1 and "log-opt labels and env: 12" in done.err
    assert daemon.docker("ps", "-aq").out == ""
    shown = daemon.docker("run", "--name", "big", *options, "--label", f"big={most}", "busybox", "echo", "hello")
    assert shown.out == "hello\n"
    assert daemon.docker("logs", "--details", "big").out == f"big={most} hello\n"
    done = daemon.docker(
        "run", "--log-opt", 'tag={{index .ContainerLabels "big"}}', "--label", f"big={large}", "busybox", check=False
    )
    assert done.code == 125 and "log-opt tag" in done.err
