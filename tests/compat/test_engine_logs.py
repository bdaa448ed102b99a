"""Log drivers as our engine and Docker's show them: refusals, failing starts, records, ``logs`` in all flags."""

import json
import re
import subprocess
from typing import Any

import pytest

from harness.compare import Observed, answer, ask
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "docker-cli", "busybox-static")

UDP = {"syslog-address": "udp://127.0.0.1:5"}
GELF = {"gelf-address": "udp://127.0.0.1:5"}
REFUSED: list[tuple[str, dict[str, str]]] = [
    ("nope", {}),
    ("json-file", {"nope": "1"}),
    ("json-file", {"mode": "x"}),
    ("json-file", {"mode": "non-blocking", "max-buffer-size": "x"}),
    ("json-file", {"max-buffer-size": "1m"}),
    ("local", {"tag": "x"}),
    ("local", {"labels": "x"}),
    ("syslog", {"nope": "1"}),
    ("syslog", {"syslog-address": "x"}),
    ("syslog", {"syslog-address": "http://x"}),
    ("syslog", {"syslog-address": "unix:///nope"}),
    ("syslog", {"syslog-facility": "nope"}),
    ("syslog", {"syslog-format": "nope"}),
    ("syslog", {**UDP, "cache-disabled": "x"}),
    ("journald", {"nope": "1"}),
    ("fluentd", {"nope": "1"}),
    ("fluentd", {"fluentd-address": "127.0.0.1:x"}),
    ("fluentd", {"fluentd-async": "x"}),
    ("fluentd", {"fluentd-async-connect": "true", "fluentd-async": "true"}),
    ("fluentd", {"fluentd-buffer-limit": "x"}),
    ("fluentd", {"fluentd-retry-wait": "x"}),
    ("fluentd", {"fluentd-max-retries": "x"}),
    ("gelf", {}),
    ("gelf", {"gelf-address": "x"}),
    ("gelf", {"gelf-address": "udp://127.0.0.1"}),
    ("gelf", {**GELF, "gelf-compression-type": "x"}),
    ("gelf", {**GELF, "gelf-compression-level": "10"}),
    ("gelf", {**GELF, "gelf-tcp-max-reconnect": "1"}),
    ("gelf", {"gelf-address": "tcp://127.0.0.1:5", "gelf-compression-type": "gzip"}),
]
FAILING: list[tuple[str, dict[str, str]]] = [
    ("json-file", {"max-size": "-1"}),
    ("json-file", {"max-size": "0"}),
    ("json-file", {"max-file": "0"}),
    ("json-file", {"max-file": "x"}),
    ("json-file", {"compress": "yes"}),
    ("json-file", {"tag": "{{.Nope}}"}),
    ("json-file", {"labels-regex": "("}),
    ("local", {"max-size": "x"}),
    ("local", {"max-file": "1"}),
    ("local", {"compress": "x"}),
    ("syslog", {"syslog-address": "tcp://127.0.0.1:5"}),
    ("syslog", {"syslog-address": "tcp://127.0.0.1"}),
    ("syslog", {}),
    ("journald", {}),
    ("fluentd", {"fluentd-address": "127.0.0.1:5"}),
    ("gelf", {"gelf-address": "tcp://127.0.0.1:5"}),
]


def test_refusals(alike: Any) -> None:
    alike("log options", _refusals)


def _refusals(engine: Engine) -> Observed:
    seen = {}
    for driver, options in REFUSED:
        body = {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": driver, "Config": options}}}
        seen[f"{driver} {json.dumps(options)}"] = answer(engine, "POST", "/containers/create", body)
    return seen


def test_starts_that_fail(alike: Any) -> None:
    alike("log starts", _failing)


def _failing(engine: Engine) -> Observed:
    """In the words of ``docker run``, whether it is the creation or the start that is refused."""
    seen = {}
    for driver, options in FAILING:
        given = [word for name, value in options.items() for word in ("--log-opt", f"{name}={value}")]
        done = engine.docker("run", "--rm", "--log-driver", driver, *given, "busybox", "true", check=False)
        words = done.err.partition("Run 'docker")[0].strip().removeprefix("docker: ").rstrip(".")
        seen[f"{driver} {json.dumps(options)}"] = f"{done.code} {words}"
    return seen


QUERIES = [
    "stdout=1",
    "stderr=1",
    "stdout=1&stderr=1&details=1",
    "stdout=1&tail=1",
    "stdout=1&tail=2",
    "stdout=1&tail=0",
    "stdout=1&since=4000000000",
    "stdout=1&until=1",
    "stdout=1&tail=2&until=4000000000",
]


@pytest.mark.parametrize("driver", ["json-file", "local", "syslog", "none"])
def test_reading(alike: Any, driver: str) -> None:
    def observe(engine: Engine) -> Observed:
        given = ("--log-opt", "syslog-address=udp://127.0.0.1:5") if driver == "syslog" else ()
        long = "head -c 20000 /dev/zero | tr '\\0' x; echo; " if driver == "json-file" else ""
        script = f"echo one; {long}printf three; usleep 50000; echo err >&2"
        engine.docker("run", "--name", "it", "--log-driver", driver, *given, "busybox", "sh", "-c", script)
        seen: dict[str, Any] = {}
        for query in QUERIES:
            got = ask(engine, "GET", f"/containers/it/logs?{query}")
            seen[query] = (got.status, got.body)
        stamped = ask(engine, "GET", "/containers/it/logs?stdout=1&timestamps=1").body
        seen["stamps"] = len(re.findall(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", stamped))
        return seen

    alike(f"logs of {driver}", observe)


def test_records(alike: Any) -> None:
    alike("log records", _records)


def _records(engine: Engine) -> Observed:
    options = "labels=a.b labels-regex=^x- env=A env-regex=^Q tag={{.Name}}/{{.ImageName}}/{{.DaemonName}}".split()
    given = [word for option in options for word in ("--log-opt", option)]
    flags = ("-l", "a.b=<1>", "-l", "x-y=3", "-l", "n=4", "-e", "A=5", "-e", "QQ=6", "-e", "R=7", "--name", "it")
    script = "printf 'a\\t\"<\\033[1m\\377\\\\\\n'; head -c 16384 /dev/zero | tr '\\0' x; echo; echo end"
    engine.docker("run", "-d", *given, *flags, "busybox", "sh", "-c", script)
    engine.docker("wait", "it")
    path = ask(engine, "GET", "/containers/it/json").json()["LogPath"]
    with open(path, "rb") as file:
        lines = [re.sub(rb'"time":"[^"]*"', b'"time":""', line) for line in file]
    shown = ask(engine, "GET", "/containers/it/logs?stdout=1&details=1").body
    return {"lines": lines, "details": shown}


def test_follow_until(alike: Any) -> None:
    alike("follow until", _follow_until)


def _follow_until(engine: Engine) -> Observed:
    """Whether a client that follows a container's log up to a time that has passed is let go while that runs."""
    engine.docker("run", "-d", "--name", "it", "busybox", "sh", "-c", "echo one; exec sleep 600")
    with engine.spawned("docker", "logs", "-f", "--until", "1m", "it") as client:
        try:
            ended = client.wait(8) == 0
        except subprocess.TimeoutExpired:
            ended = False
    engine.docker("rm", "-f", "it")
    return {"ends": ended}
