"""How containers are called and what they are told of it: the same from both engines."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from harness.compare import Observed, scrubbed
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

SLEEP = ("busybox", "sleep", "600")
GIVEN = ("--dns", "192.0.2.1", "--dns-search", "a.test", "--dns-search", "b.test", "--dns-option", "ndots:3")
QUERY = """
import sys, dns.message, dns.query, dns.rcode
answer = dns.query.udp(dns.message.make_query(sys.argv[1], sys.argv[2]), "127.0.0.11", timeout=5)
count = sum(len(each) for each in answer.answer)
print(dns.rcode.to_text(answer.rcode()), count, *{each.ttl for each in answer.answer})
"""


def test_resolv_conf(alike: Any) -> None:
    alike("resolv.conf", _resolv_conf)


def _resolv_conf(engine: Engine) -> Observed:
    engine.docker("network", "create", "mine")
    found = {}
    for network in ("bridge", "mine"):
        for name, flags in (("plain", ()), ("given", GIVEN), ("no search", ("--dns-search", "."))):
            text = engine.docker("run", "--rm", "--network", network, *flags, "busybox", "cat", "/etc/resolv.conf").out
            found[f"{network} {name}"] = sorted(line for line in text.splitlines() if line and not line.startswith("#"))
    return found


def test_hosts(alike: Any) -> None:
    alike("hosts", _hosts)


def _hosts(engine: Engine) -> Observed:
    flags = (
        "--hostname",
        "box",
        "--domainname",
        "d.test",
        "--add-host",
        "other:192.0.2.7",
        "--add-host",
        "six:2001:db8::1",
    )
    engine.docker("network", "create", "mine")
    found = {}
    for network in ("bridge", "mine", "none"):
        text = engine.docker("run", "--rm", "--network", network, *flags, "busybox", "cat", "/etc/hosts").out
        found[network] = dict(enumerate(_addressless(text).splitlines()))
    return found


def test_links(alike: Any) -> None:
    alike("links", _links)


def _links(engine: Engine) -> Observed:
    engine.docker("run", "-d", "--name", "web", "-e", "A=1", "--expose", "80", "--expose", "81", *SLEEP)
    flags = ("--name", "user", "--link", "web:the-db", "--link", "web")
    engine.docker("run", "-d", *flags, *SLEEP)
    env = engine.docker("exec", "user", "env").out.splitlines()
    told = [_addressless(line) for line in env if line.startswith(("THE_DB", "WEB"))]
    hosts = _addressless(engine.docker("exec", "user", "cat", "/etc/hosts").out).splitlines()
    stopped = engine.docker("run", "--rm", "--link", "nobody:x", "busybox", "true", check=False)
    return {
        "env": sorted(line for line in told if not line.partition("=")[0].endswith(("_START", "_END"))),
        "range": sorted(line for line in told if line.partition("=")[0].endswith(("_START", "_END"))),
        "hosts": sorted(line for line in hosts if "web" in line),
        "shown": sorted(json.loads(engine.docker("inspect", "user").out)[0]["HostConfig"]["Links"]),
        "nobody": f"{stopped.code} {scrubbed(stopped.err)}",
    }


def test_names(alike: Any) -> None:
    alike("names", _names)


def _names(engine: Engine) -> Observed:
    engine.docker("network", "create", "--internal", "mine")
    flags = ("--network", "mine", "--network-alias", "www", "--hostname", "box")
    identity = engine.docker("run", "-d", "--name", "web", *flags, *SLEEP).out.strip()
    engine.docker("run", "-d", "--name", "second", "--network", "mine", "--network-alias", "www", *SLEEP)
    engine.docker("run", "-d", "--name", "user", "--network", "mine", "--link", "web:db", *SLEEP)
    inside = json.loads(engine.docker("inspect", "user").out)[0]["State"]["Pid"]
    shown = json.loads(engine.docker("inspect", "web").out)[0]["NetworkSettings"]["Networks"]["mine"]["IPAddress"]
    reverse = ".".join(reversed(shown.split("."))) + ".in-addr.arpa"
    names = {"name": "web", "alias": "www", "short id": identity[:12], "with network": "web.mine", "capitals": "WEB"}
    names |= {"host name": "box", "link": "db", "id": identity, "another network": "web.other", "nobody": "nobody.mine"}
    found = {place: _asked(inside, name, "A") for place, name in names.items()}
    return found | {
        "no address of this kind": _asked(inside, "web", "AAAA"),
        "mail": _asked(inside, "web", "MX"),
        "address": _asked(inside, reverse, "PTR"),
    }


def _asked(pid: int, name: str, kind: str) -> dict[str, str]:
    """Of an answer the code, how many records, and how long they may be kept."""
    command = ["nsenter", "-t", str(pid), "-n", sys.executable, "-c", QUERY, name, kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    code, count, *ttl = done.stdout.split() or [done.stderr.strip().splitlines()[-1], ""]
    return {"code": code, "records": count, "ttl": " ".join(ttl)}


def _addressless(text: str) -> str:
    return re.sub(r"\b172\.\d+\.\d+\.\d+", "ADDRESS", scrubbed(text))
