"""What the stock command line shows of our engine and of Docker's: lists, logs, events, removals."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import quote

import pytest

from harness.compare import Observed, ask, scrubbed
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "docker-cli", "busybox-static")

FILTERS: list[dict[str, list[str]]] = [
    {"name": ["web"]},
    {"name": ["^/web$"]},
    {"name": ["web", "done"]},
    {"id": ["nope"]},
    {"label": ["a"]},
    {"label": ["a=b"]},
    {"label": ["a", "c"]},
    {"label": ["a=nope"]},
    {"status": ["running"]},
    {"status": ["exited", "created"]},
    {"status": ["paused"]},
    {"exited": ["3"]},
    {"exited": ["0", "3"]},
    {"ancestor": ["busybox"]},
    {"ancestor": ["busybox:latest"]},
    {"ancestor": ["nope"]},
    {"before": ["done"]},
    {"since": ["done"]},
    {"volume": ["data"]},
    {"volume": ["/data"]},
    {"network": ["bridge"]},
    {"network": ["none"]},
    {"network": ["nope"]},
    {"health": ["none"]},
    {"health": ["healthy"]},
    {"publish": ["18083"]},
    {"publish": ["80"]},
    {"expose": ["80"]},
    {"expose": ["80/udp"]},
    {"is-task": ["false"]},
    {"is-task": ["true"]},
]


def test_lists(alike: Any) -> None:
    alike("lists", _lists)


def _lists(engine: Engine) -> Observed:
    options = ("-l", "a=b", "-v", "data:/data", "-p", "18083:80")
    engine.docker("run", "-d", "--name", "web", *options, "busybox", "sleep", "60")
    engine.docker("run", "--name", "done", "-l", "c=d", "--net", "none", "busybox", "sh", "-c", "exit 3", check=False)
    engine.docker("create", "--name", "made", "-l", "a=z", "-l", "c", "busybox")
    seen = {}
    for filters in FILTERS:
        listed = ask(engine, "GET", f"/containers/json?all=1&filters={quote(json.dumps(filters))}")
        names = [each["Names"] for each in listed.json()] if listed.status == 200 else listed.body
        seen[json.dumps(filters).replace("*", "")] = names
    for query in ("", "all=1", "limit=1", "limit=2", "all=0&limit=-1", 'filters={"status":["exited"]}'):
        seen[query] = [
            each["Names"] for each in ask(engine, "GET", f"/containers/json?{quote(query, safe='=&')}").json()
        ]
    rows = ask(engine, "GET", "/containers/json?all=1").json()
    seen["rows"] = {row["Names"][0]: {key: row[key] for key in _ROW} for row in rows}
    return seen


_ROW = ("Image", "Command", "Labels", "State", "Ports")


def test_logs(alike: Any) -> None:
    alike("logs", _logs)


def _logs(engine: Engine) -> Observed:
    script = "echo one; echo two >&2; sleep 0.01; printf three"
    engine.docker("run", "--name", "it", "busybox", "sh", "-c", script)
    queries = (
        "stdout=1",
        "stderr=1",
        "stdout=1&stderr=1&tail=1",
        "stdout=1&stderr=1&tail=0",
        "stdout=1&tail=all",
        "stdout=1&tail=-1",
        "stdout=1&tail=nope",
        "stdout=1&since=4000000000",
        "stdout=1&until=1",
        "stdout=1&since=1.5",
        "stdout=1&until=4000000000",
        "stdout=1&details=1",
    )
    seen = {query: ask(engine, "GET", f"/containers/it/logs?{query}").body for query in queries}
    stamped = ask(engine, "GET", "/containers/it/logs?stdout=1&timestamps=1").body
    return {**seen, "stamped": scrubbed(stamped[8:].split(b"\n")[0].decode())}


def _now(engine: Engine) -> float:
    return datetime.fromisoformat(ask(engine, "GET", "/info").json()["SystemTime"][:19] + "+00:00").timestamp()


COMMANDS: list[tuple[str, ...]] = [
    ("ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Ports}} {{.Mounts}} {{.Networks}}"),
    ("images", "--format", "{{.Repository}}:{{.Tag}}"),
    ("tag", "busybox", "a:1"),
    ("tag", "busybox", "a:2"),
    ("rmi", "a:1", "a:2", "a:3"),
    ("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}} {{.Internal}} {{.IPv6}}"),
    ("volume", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"),
    ("history", "--format", "{{.CreatedBy}} {{.Comment}}", "busybox"),
    ("save", "nobody"),
    ("load", "--input", "/dev/null"),
    ("run", "--rm", "busybox", "nosuchprogram"),
    ("run", "--rm", "busybox", "/etc"),
    ("run", "--rm", "--pull", "never", "nobody"),
    ("run", "--name", "web", "busybox"),
    ("exec", "web", "nosuchprogram"),
    ("exec", "web", "/etc"),
    ("exec", "made", "true"),
    ("exec", "-u", "nope", "web", "true"),
    ("exec", "-w", "/no/such", "web", "true"),
    ("attach", "made"),
    ("port", "web"),
    ("logs", "--tail", "1", "web"),
    ("rm", "web"),
    ("rmi", "busybox"),
    ("volume", "rm", "data"),
    ("network", "rm", "bridge"),
    ("inspect", "nobody"),
    ("run", "--rm", "--net", "nope", "busybox"),
    ("run", "--rm", "-p", "18084:80", "busybox", "true"),
    ("stop", "-t", "0", "web"),
    ("wait", "web"),
    ("start", "web"),
    ("kill", "web"),
    ("kill", "web"),
    ("rm", "-v", "web", "made"),
    ("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}"),
    ("container", "prune", "-f"),
    ("volume", "prune", "-f"),
    ("network", "prune", "-f"),
    ("image", "prune", "-f"),
]


def test_commands(alike: Any) -> None:
    alike("commands", _commands)


def _commands(engine: Engine) -> Observed:
    command = ("busybox", "sh", "-c", "echo up; exec sleep 60")
    engine.docker("run", "-d", "--name", "web", "-v", "data:/data", "-p", "18084:80", *command)
    engine.docker("create", "--name", "made", "busybox")
    seen = {}
    for number, words in enumerate(COMMANDS):
        done = engine.docker(*words, check=False)
        outcome = f"{done.code} {done.out!r} {done.err!r}".replace(str(engine.base), "ROOT")
        seen[f"{number:02} {' '.join(words)}"] = scrubbed(outcome)
    return seen


def test_a_saved_image_loads(alike: Any) -> None:
    alike("save and load", _saved)


def _saved(engine: Engine) -> Observed:
    engine.docker("tag", "busybox", "a:1")
    archive = engine.base / "a.tar"
    engine.docker("save", "-o", str(archive), "a:1")
    seen = {"removed": scrubbed(engine.docker("rmi", "a:1").out)}
    seen["loaded"] = engine.docker("load", "-i", str(archive)).out
    seen["loaded again"] = engine.docker("load", "-i", str(archive)).out
    answers = engine.http("POST", "/v1.41/images/load", archive.read_bytes(), {"Content-Type": "application/x-tar"})
    seen["answer"] = scrubbed(answers.body.decode())
    archive.unlink()
    return seen
