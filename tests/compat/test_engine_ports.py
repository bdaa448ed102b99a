"""Published ports: what is refused and in which words, conflicts, ranges, what inspections and lists show."""

from typing import Any

import pytest

from harness.compare import Observed, ask, scrubbed
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

BAD_KEYS = ("", "x", "0", "80/icmp", "70000", "-1", "80/tcp/udp", "80-90/tcp", " 80", "80/TCP")
BAD_BINDINGS: dict[str, dict[str, str]] = {
    "words": {"HostPort": "x"},
    "too large": {"HostPort": "70000"},
    "negative": {"HostPort": "-1"},
    "backwards": {"HostPort": "19010-19005"},
    "open range": {"HostPort": "19005-"},
    "no address": {"HostIp": "x", "HostPort": "19005"},
    "a name": {"HostIp": "localhost", "HostPort": "19005"},
    "nobody's address": {"HostIp": "198.51.100.77", "HostPort": "19005"},
    "spaces": {"HostPort": " 19005"},
}


def test_what_is_no_port(alike: Any) -> None:
    alike("bad ports", _bad)


def _bad(engine: Engine) -> Observed:
    seen: dict[str, Any] = {}
    for key in BAD_KEYS:
        seen[f"binding {key!r}"] = _started(engine, {"PortBindings": {key: [{"HostPort": "19001"}]}})
        seen[f"exposed {key!r}"] = _started(engine, {}, exposed=key)
    for name, binding in BAD_BINDINGS.items():
        seen[name] = _started(engine, {"PortBindings": {"80/tcp": [binding]}})
    return seen


def test_conflicts(alike: Any) -> None:
    alike("port conflicts", _conflicts)


def _conflicts(engine: Engine) -> Observed:
    engine.docker(
        "run", "-d", "--name", "first", "-p", "19020:80", "-p", "127.0.0.1:19021:81", "busybox", "sleep", "99"
    )
    tries = {
        "same": ("-p", "19020:80"),
        "one address of it": ("-p", "127.0.0.1:19020:80"),
        "all of its address": ("-p", "0.0.0.0:19021:80"),
        "another protocol": ("-p", "19020:80/udp"),
        "another address": ("-p", "127.0.0.2:19021:80"),
        "twice": ("-p", "19030:80", "-p", "19030:81"),
        "twice the same": ("-p", "19031:80", "-p", "19031:80"),
        "range over it": ("-p", "19019-19021:80-82"),
        "one of a range": ("-p", "19020-19022:80"),
        "a range that is taken": ("-p", "19020-19020:80"),
    }
    seen = {}
    for name, flags in tries.items():
        done = engine.docker("run", "--rm", "--name", "second", *flags, "busybox", "true", check=False)
        seen[name] = (done.code, scrubbed(done.err).split("driver failed")[-1])
    engine.docker("rm", "-f", "first")
    return seen


def test_what_is_shown(alike: Any) -> None:
    alike("ports shown", _shown)


def _shown(engine: Engine) -> Observed:
    tries = {
        "two addresses": ("-p", "127.0.0.1:19040:80", "-p", "127.0.0.2:19040:80"),
        "two ports": ("-p", "19041:80", "-p", "19042:80"),
        "range": ("-p", "19043-19045:80-82"),
        "udp too": ("-p", "19046:80", "-p", "19046:80/udp"),
        "exposed": ("--expose", "90-91", "--expose", "92/udp"),
        "exposed and published": ("--expose", "80", "-p", "19047:80"),
        "no network": ("--net", "none", "-p", "19048:80"),
        "host's network": ("--net", "host", "-p", "19049:80"),
    }
    seen: dict[str, Any] = {}
    for name, flags in tries.items():
        engine.docker("run", "-d", "--name", "one", *flags, "busybox", "sleep", "99")
        shown = ask(engine, "GET", "/containers/one/json").json()
        listed = ask(engine, "GET", "/containers/json").json()[0]["Ports"]
        seen[name] = {
            "bindings": shown["HostConfig"]["PortBindings"],
            "ports": {key: _v4(value) for key, value in (shown["NetworkSettings"]["Ports"] or {}).items()},
            "list": sorted(
                (each["PrivatePort"], each.get("PublicPort", 0), each["Type"], each.get("IP", ""))
                for each in listed
                if ":" not in each.get("IP", "")
            ),
            "port": engine.docker("port", "one").out.replace("[::]", "").count("->"),
        }
        engine.docker("stop", "-t", "0", "one")
        stopped = ask(engine, "GET", "/containers/one/json").json()
        seen[name]["stopped"] = stopped["NetworkSettings"]["Ports"]
        engine.docker("rm", "one")
    return seen


def _v4(bindings: Any) -> Any:
    """Whether the host has IPv6 is not what is compared."""
    return sorted((each["HostIp"], each["HostPort"]) for each in bindings or () if ":" not in each["HostIp"])


def _started(engine: Engine, host: dict[str, Any], exposed: str = "80/tcp") -> tuple[int, str]:
    """The status and words of the refusal, of the create or of the start."""
    body = {"Image": "busybox", "Cmd": ["true"], "ExposedPorts": {exposed: {}}, "HostConfig": host}
    made = ask(engine, "POST", "/containers/create?name=one", body)
    if made.status != 201:
        return made.status, scrubbed(made.json()["message"])
    begun = ask(engine, "POST", "/containers/one/start")
    engine.docker("rm", "-f", "one")
    return begun.status, scrubbed(begun.json()["message"]).split("driver failed")[-1] if begun.body else ""
