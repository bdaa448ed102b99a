"""Drivers that send: what arrives at a server that reads its protocol strictly; and ``docker logs`` beside them."""

import contextlib
import fcntl
import os
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import log_servers
from harness.daemon import Daemon
from harness.engine import Engine
from harness.log_servers import LogServer, gelf_message, journal_entry, syslog_message
from harness.processes import logging_processes
from harness.waiting import eventually

JOURNAL = Path("/run/systemd/journal/socket")


def run(engine: Engine, driver: str, options: dict[str, str], script: str, *flags: str) -> str:
    """Run the script with a log driver to its end; the container's id."""
    given = [word for name, value in options.items() for word in ("--log-opt", f"{name}={value}")]
    done = engine.docker("run", "-d", "--log-driver", driver, *given, *flags, "busybox", "sh", "-c", script)
    engine.docker("wait", done.out.strip())
    return done.out.strip()


STAMP, MOMENT, ZONE = r"[A-Z][a-z]{2} [ \d]\d [\d:]{8}", r"\d{4}-\d\d-\d\dT[\d:]{8}", "(Z|[+-][\\d:]{5})"
FORMS = {"": STAMP, "rfc3164": STAMP, "rfc5424": f"{MOMENT}{ZONE}", "rfc5424micro": rf"{MOMENT}\.\d{{6}}{ZONE}"}
"""How the time of a message looks in each."""


@contextlib.contextmanager
def syslog_server(engine: Engine, transport: str, place: Path) -> Iterator[tuple[LogServer, str]]:
    """A server, and its address for the driver."""
    if transport == "udp":
        with log_servers.datagrams(engine.netns.path, syslog_message) as server:
            yield server, f"udp://127.0.0.1:{server.port}"
    elif transport == "tcp":
        with log_servers.lines(engine.netns.path, syslog_message) as server:
            yield server, f"tcp://127.0.0.1:{server.port}"
    elif transport == "unix":
        with log_servers.lines(None, syslog_message, path=place / "log") as server:
            yield server, f"unix://{place}/log"
    else:
        with log_servers.unix_datagrams(place / "log", syslog_message) as server:
            yield server, f"unixgram://{place}/log"


@pytest.mark.parametrize("transport", ["udp", "tcp", "unix", "unixgram"])
@pytest.mark.parametrize("form", FORMS)
def test_syslog(daemon: Engine, tmp_path: Path, form: str, transport: str) -> None:
    with syslog_server(daemon, transport, tmp_path) as (server, address):
        options = {"syslog-address": address, "syslog-format": form, "tag": "t/{{.Name}}"}
        container = run(daemon, "syslog", options, "echo out; echo err >&2; echo", "--name", "it")
        messages = sorted(server.take(2), key=lambda message: str(message["pri"]))
    assert [(message["pri"], message["tag"], message["text"]) for message in messages] == [
        ("27", "t/it", "err"),
        ("30", "t/it", "out"),
    ]
    assert all(re.fullmatch(FORMS[form], message["time"]) for message in messages), messages
    assert {"host" in message for message in messages} == {form != ""}
    assert {message.get("id") for message in messages} == ({"t/it"} if "5424" in form else {None})
    assert daemon.docker("logs", container).out == "out\n\n"


def test_syslog_over_tcp_with_a_facility_and_the_id_for_a_tag(daemon: Engine) -> None:
    with log_servers.lines(daemon.netns.path, syslog_message) as server:
        options = {"syslog-address": f"tcp://127.0.0.1:{server.port}", "syslog-facility": "local3"}
        container = run(daemon, "syslog", options, "seq 1 500")
        messages = server.take(500)
    assert [message["text"] for message in messages] == [str(number) for number in range(1, 501)]
    assert {(message["pri"], message["tag"]) for message in messages} == {(str(19 * 8 + 6), container[:12])}


def test_syslog_over_tls(daemon: Engine, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1".split()
    subprocess.run(["openssl", *words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with log_servers.length_framed(daemon.netns.path, context) as server:
        options = {
            "syslog-address": f"tcp+tls://127.0.0.1:{server.port}",
            "syslog-tls-ca-cert": str(certificate),
            "syslog-format": "rfc5424",
        }
        run(daemon, "syslog", options, "echo secret")
        assert server.next()["text"] == "secret"
    with log_servers.lines(daemon.netns.path, syslog_message, tls=context) as server:
        options = {"syslog-address": f"tcp+tls://127.0.0.1:{server.port}"}
        given = [word for name, value in options.items() for word in ("--log-opt", f"{name}={value}")]
        refused = daemon.docker("run", "--rm", "--log-driver", "syslog", *given, "busybox", "true", check=False)
        assert refused.code == 125 and "failed to verify certificate" in refused.err


def gelf_flags(port: int, **more: str) -> dict[str, str]:
    return {"gelf-address": f"udp://127.0.0.1:{port}", **more}


PACKED = {"": "gzip", "gzip": "gzip", "zlib": "zlib", "none": "plain"}


@pytest.mark.parametrize("compression", PACKED)
def test_gelf_over_udp(daemon: Engine, compression: str) -> None:
    receiver = log_servers.Gelf()
    with log_servers.datagrams(daemon.netns.path, receiver.datagram) as server:
        more = {"gelf-compression-type": compression} if compression else {}
        options = gelf_flags(server.port, **more, labels="com.example.a", env="B", tag="{{.ImageName}}")
        script = "echo short; head -c 9000 /dev/urandom | od | head -c 15000 | tr '\\n' ' '; echo; echo err >&2"
        flags = ("--label", "com.example.a=x", "-e", "B=y", "--name", "it")
        container = run(daemon, "gelf", options, script, *flags)
        messages = server.take(3)
    short = next(message for message in messages if message["short_message"] == "short")
    expected = {"_container_id": container, "_container_name": "it", "_tag": "busybox", "_command": f"sh -c {script}"}
    assert expected.items() <= short.items()
    assert short["level"] == 6 and short["_com.example.a"] == "x" and short["_B"] == "y"
    assert sorted(len(message["short_message"]) for message in messages) == [3, 5, 15000]
    assert {message["level"] for message in messages if message["short_message"] == "err"} == {3}
    assert receiver.forms == {PACKED[compression]}
    assert receiver.chunked == 1, "the long one came in pieces"


def test_gelf_over_tcp(daemon: Engine) -> None:
    with log_servers.lines(daemon.netns.path, lambda data: gelf_message(data[:-1]), end=b"\0") as server:
        run(daemon, "gelf", {"gelf-address": f"tcp://127.0.0.1:{server.port}"}, "seq 1 200")
        assert [message["short_message"] for message in server.take(200)] == [str(n) for n in range(1, 201)]


@pytest.mark.parametrize("precise", [False, True])
def test_fluentd(daemon: Engine, precise: bool) -> None:
    began = time.time()
    with log_servers.forward(daemon.netns.path) as server:
        options = {"fluentd-address": f"127.0.0.1:{server.port}", "fluentd-sub-second-precision": str(precise).lower()}
        container = run(daemon, "fluentd", {**options, "env": "A"}, "echo out; printf '\\377\\n' >&2", "-e", "A=b")
        messages = server.take(2)
    by_source = {message["record"]["source"]: message for message in messages}
    name = daemon.docker("inspect", "-f", "{{.Name}}", container).out.strip()
    fixed = {"container_id": container, "container_name": name, "A": "b"}
    assert by_source["stdout"]["record"] == {**fixed, "source": "stdout", "log": "out"}
    assert by_source["stderr"]["record"] == {**fixed, "source": "stderr", "log": "\udcff"}
    assert {message["tag"] for message in messages} == {container[:12]}
    for message in messages:
        assert began - 1 <= message["time"] <= time.time() and (message["time"] % 1 != 0) == precise


def test_fluentd_over_a_unix_socket_says_which_pieces_are_one_line(daemon: Engine, tmp_path: Path) -> None:
    with log_servers.forward(None, path=tmp_path / "sock") as server:
        script = "head -c 40000 /dev/zero | tr '\\0' x; echo"
        run(daemon, "fluentd", {"fluentd-address": f"unix://{tmp_path}/sock"}, script)
        records = [message["record"] for message in server.take(3)]
    assert [len(record["log"]) for record in records] == [16384, 16384, 40000 - 2 * 16384]
    assert [record["partial_ordinal"] for record in records] == ["1", "2", "3"]
    assert [record["partial_last"] for record in records] == ["false", "false", "true"]
    assert len({record["partial_id"] for record in records}) == 1


def test_fluentd_that_acknowledges_gets_every_message_over_a_break(daemon: Engine) -> None:
    """The server goes away without acknowledging, and comes back; nothing is lost, and the program waited."""
    with log_servers.forward(daemon.netns.path, acks=False) as server:
        port = server.port
        options = {"fluentd-address": f"127.0.0.1:{port}", "fluentd-request-ack": "true", "fluentd-retry-wait": "100ms"}
        given = [word for name, value in options.items() for word in ("--log-opt", f"{name}={value}")]
        script = "for i in $(seq 1 20); do echo $i; done"
        daemon.docker("run", "-d", "--name", "it", "--log-driver", "fluentd", *given, "busybox", "sh", "-c", script)
        assert server.next()["record"]["log"] == "1"
    with log_servers.forward(daemon.netns.path, port=port) as server:
        seen = [message["record"]["log"] for message in server.take(20)]
    assert seen == [str(number) for number in range(1, 21)]


@pytest.mark.parametrize(("interval", "second"), [("100ms", 2), ("0", 1)])
def test_fluentd_async_connects_anew(daemon: Engine, interval: str, second: int) -> None:
    """The second line comes a second after the first one, at least."""
    with log_servers.forward(daemon.netns.path) as server:
        options = {
            "fluentd-address": f"127.0.0.1:{server.port}",
            "fluentd-async": "true",
            "fluentd-async-reconnect-interval": interval,
        }
        run(daemon, "fluentd", options, "echo one; sleep 1; echo two")
        seen = [(message["record"]["log"], message["connection"]) for message in server.take(2)]
        assert seen == [("one", 1), ("two", second)]


def test_fluentd_async_begins_without_a_server(daemon: Engine) -> None:
    with log_servers.forward(daemon.netns.path) as server:
        port = server.port
    options = {"fluentd-address": f"127.0.0.1:{port}", "fluentd-async": "true", "fluentd-retry-wait": "50ms"}
    given = [word for name, value in options.items() for word in ("--log-opt", f"{name}={value}")]
    daemon.docker("run", "-d", "--name", "it", "--log-driver", "fluentd", *given, "busybox", "echo", "late")
    daemon.docker("wait", "it")
    with log_servers.forward(daemon.netns.path, port=port) as server:
        assert server.next()["record"]["log"] == "late"


def test_a_server_that_does_not_read_blocks_the_program_or_not(daemon: Engine) -> None:
    """In blocking mode the program waits, and everything else goes on; in non-blocking mode output is dropped."""
    with log_servers.forward(daemon.netns.path, acks=False) as server:
        base = {"fluentd-address": f"127.0.0.1:{server.port}", "fluentd-request-ack": "true"}
        for mode in ("blocking", "non-blocking"):
            given = [
                word for name, value in {**base, "mode": mode}.items() for word in ("--log-opt", f"{name}={value}")
            ]
            script = "yes 0123456789 | head -c 4000000; echo done > /end; sleep 100"
            words = ("--name", mode, "--log-driver", "fluentd", *given, "busybox", "sh", "-c", script)
            daemon.docker("run", "-d", "--stop-timeout", "0", *words)
        eventually(lambda: daemon.docker("exec", "non-blocking", "cat", "/end", check=False).code == 0)
        assert daemon.docker("exec", "blocking", "cat", "/end", check=False).code == 1
        daemon.docker("rm", "-f", "blocking", "non-blocking")
        eventually(lambda: not logging_processes(daemon))  # they try for a while


@pytest.fixture
def journal() -> Iterator[LogServer]:
    """The journal's socket of this machine, which has none; one test at a time."""
    with open("/tmp/cove-test-journal.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = [parent for parent in reversed(JOURNAL.parents) if not parent.exists()]
        JOURNAL.parent.mkdir(parents=True, exist_ok=True)
        with log_servers.unix_datagrams(JOURNAL, journal_entry) as server:
            yield server
        for parent in reversed(made):
            parent.rmdir()


@pytest.mark.needs("no-journald")
def test_journald(daemon: Engine, journal: LogServer) -> None:
    options = {"labels": "com.example-x.y", "tag": "my-{{.Name}}"}
    script = "echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x; echo"
    container = run(daemon, "journald", options, script, "--label", "com.example-x.y=z", "--name", "it")
    entries = journal.take(4)
    out = next(entry for entry in entries if entry["MESSAGE"] == b"out")
    assert out == {
        "MESSAGE": b"out",
        "PRIORITY": b"6",
        "CONTAINER_ID": container[:12].encode(),
        "CONTAINER_ID_FULL": container.encode(),
        "CONTAINER_NAME": b"it",
        "CONTAINER_TAG": b"my-it",
        "IMAGE_NAME": b"busybox",
        "SYSLOG_IDENTIFIER": b"my-it",
        "COM_EXAMPLE_X_Y": b"z",
    }
    assert {entry["MESSAGE"]: entry["PRIORITY"] for entry in entries}[b"err"] == b"3"
    parts = {len(entry["MESSAGE"]): entry.get("CONTAINER_PARTIAL_MESSAGE") for entry in entries}
    assert parts[16384] == b"true" and parts[20000 - 16384] is None


def test_remote_logs_are_read_from_a_cache_unless_that_is_off(daemon: Engine) -> None:
    with log_servers.datagrams(daemon.netns.path, syslog_message) as server:
        options = {"syslog-address": f"udp://127.0.0.1:{server.port}"}
        kept = run(daemon, "syslog", options, "seq 1 9")
        assert daemon.docker("logs", "--tail", "2", kept).out == "8\n9\n"
        lost = run(daemon, "syslog", {**options, "cache-disabled": "true"}, "seq 1 9")
        server.take(18)
    done = daemon.docker("logs", lost, check=False)
    assert done.code == 1 and "configured logging driver does not support reading" in done.err


def test_a_driver_that_cannot_begin_says_why(daemon: Engine) -> None:
    cases = {
        ("syslog", "syslog-address=tcp://127.0.0.1:5"): "dial tcp 127.0.0.1:5: connect: connection refused",
        ("fluentd", "fluentd-address=127.0.0.1:5"): "dial tcp 127.0.0.1:5: connect: connection refused",
        ("gelf", "gelf-address=tcp://127.0.0.1:5"): (
            "gelf: cannot connect to GELF endpoint: 127.0.0.1:5 dial tcp 127.0.0.1:5: connect: connection refused"
        ),
    }
    for (driver, option), words in cases.items():
        done = daemon.docker("run", "--rm", "--log-driver", driver, "--log-opt", option, "busybox", "true", check=False)
        assert done.code == 125
        assert f"failed to initialize logging driver: {words}" in done.err


def test_a_killed_sender_costs_what_is_sent_and_not_the_container(daemon: Engine) -> None:
    with log_servers.forward(daemon.netns.path) as server:
        given = ("--log-driver", "fluentd", "--log-opt", f"fluentd-address=127.0.0.1:{server.port}")
        script = "echo one; read x; seq 1 20000"
        daemon.docker("run", "-d", "-i", "--name", "it", *given, "busybox", "sh", "-c", script)
        assert server.next()["record"]["log"] == "one"
        for sender in logging_processes(daemon):
            os.kill(sender, 9)
        with daemon.spawned("docker", "attach", "it") as writer:
            writer.communicate(b"\n", 30)
        daemon.docker("wait", "it")
        assert daemon.docker("logs", "--tail", "1", "it").out == "20000\n"


def test_a_remote_log_goes_on_over_the_daemon_s_end(fresh_daemon: Daemon) -> None:
    daemon = fresh_daemon
    with log_servers.forward(daemon.netns.path) as server:
        given = ("--log-driver", "fluentd", "--log-opt", f"fluentd-address=127.0.0.1:{server.port}")
        script = "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; usleep 5000; done"
        daemon.docker("run", "-d", "--name", "it", *given, "busybox", "sh", "-c", script)
        server.take(5)
        daemon.kill9()
        server.take(5)
        daemon.start()
        daemon.docker("wait", "it")
        assert [message["record"]["log"] for message in server.take(190)] == [str(n) for n in range(11, 201)]
    assert daemon.docker("logs", "it").out == "".join(f"{number}\n" for number in range(1, 201))
