"""Fields, filters and rules of containers, one by one: the same from both engines."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from harness.compare import Observed, answer, ask, scrubbed
from harness.engine import Engine

pytestmark = pytest.mark.needs("root", "dockerd", "busybox-static")

FILTERS: dict[str, list[str]] = {
    "id": ["$web", "$web12", "nothing"],
    "name": ["web", "^/web$", "w.b", "b", "nothing"],
    "label": ["a", "a=1", "a=2", "nothing"],
    "status": ["running", "exited", "created", "paused", "dead"],
    "exited": ["3", "0", "-1"],
    "ancestor": ["busybox", "busybox:latest", "nothing", "$image", "$image12"],
    "before": ["web", "$web"],
    "since": ["web", "$web12"],
    "volume": ["data", "/data", "nothing", "/tmp"],
    "network": ["mine", "$mine", "$mine12", "min", "bridge", "none", "host"],
    "publish": ["18090", "18090/tcp", "18090/udp", "18000-18100", "80"],
    "expose": ["80", "80/tcp", "443", "18090", "400-500/tcp"],
    "health": ["none", "starting", "healthy", "unhealthy"],
    "is-task": ["true", "false"],
    "isolation": ["default", "process"],
}


def test_list_filters(alike: Any) -> None:
    alike("list filters", _filters)


def _filters(engine: Engine) -> Observed:
    engine.docker("network", "create", "mine")
    engine.docker("create", "--name", "first", "--net", "none", "busybox", "true")
    options = [
        "--name",
        "web",
        "--net",
        "mine",
        "-p",
        "18090:80",
        "--expose",
        "443",
        "--label",
        "a=1",
        "-v",
        "data:/data",
    ]
    health = ["--health-cmd", "true", "--health-interval", "1h", "--stop-timeout", "0"]
    engine.docker("run", "-d", *options, *health, "busybox", "sleep", "100")
    engine.docker(
        "run", "--name", "ended", "--label", "a=2", "-v", "/tmp:/there", "busybox", "sh", "-c", "exit 3", check=False
    )
    names = {
        "$web": engine.docker("inspect", "-f", "{{.Id}}", "web").out.strip(),
        "$image": engine.docker("inspect", "-f", "{{.Image}}", "web").out.strip().removeprefix("sha256:"),
        "$mine": engine.docker("network", "inspect", "-f", "{{.Id}}", "mine").out.strip(),
    }
    names |= {f"{key}12": value[:12] for key, value in names.items()}
    return {
        f"{kind}={value}": _listed(engine, {kind: [names.get(value, value)]})
        for kind, values in FILTERS.items()
        for value in values
    } | {
        "two labels": _listed(engine, {"label": ["a", "a=1"]}),
        "two names": _listed(engine, {"name": ["web", "first"]}),
        "two kinds": _listed(engine, {"name": ["e"], "status": ["exited"]}),
        "old form": _listed(engine, {"status": {"exited": True, "running": False}}),
        "limit": ask(engine, "GET", "/containers/json?limit=1").json()[0]["Names"],
        "running only": [one["Names"] for one in ask(engine, "GET", "/containers/json").json()],
        "before too": [
            one["Names"]
            for one in ask(engine, "GET", "/containers/json?all=0&filters=" + quote('{"before":["ended"]}')).json()
        ],
    }


def _listed(engine: Engine, filters: Any) -> Any:
    got = ask(engine, "GET", f"/containers/json?all=1&filters={quote(json.dumps(filters))}")
    return (
        sorted(one["Names"][0] for one in got.json())
        if got.status == 200
        else f"{got.status} {scrubbed(str(got.json()['message'])).strip()}"
    )


USERS = [
    "",
    "0",
    "root",
    "nobody",
    "daemon",
    "1000",
    "1000:",
    "1000:1000",
    "nobody:daemon",
    "1000:daemon",
    "65534",
    ":daemon",
    "0:5",
    "-1",
    "nobody:nothing",
    "4294967296",
]


def test_users(alike: Any) -> None:
    alike("users", _users)


def _users(engine: Engine) -> Observed:
    seen: dict[str, Any] = {}
    for user in USERS:
        for groups in ((), ("daemon", "77")):
            options = [f"--group-add={group}" for group in groups]
            done = engine.docker(
                "run", "--rm", f"--user={user}", *options, "busybox", "sh", "-c", "id; echo $HOME", check=False
            )
            seen[f"{user or 'none'} {groups}"] = [done.code, done.out, _why(done.err)]
    done = engine.docker("run", "--rm", "--group-add=nothing", "busybox", "id", check=False)
    seen["no such group"] = [done.code, _why(done.err)]
    return seen


def test_environment_and_directory(alike: Any) -> None:
    alike("environment", _environment)


def _why(error: str) -> str:
    """The last words of a refusal, without the prefixes that name programs."""
    found = re.search(r"(unable to find|uids and gids|chdir to cwd).*?(?=: unknown|\.?\n|$)", error, re.IGNORECASE)
    return found[0].lower() if found else ""


def _environment(engine: Engine) -> Observed:
    engine.docker("create", "--name", "base", "busybox")
    changes = ["ENV A=1 B=2", "ENV PATH=/bin:/made", "WORKDIR /from/image", "USER daemon", "LABEL l=1 m=2", "EXPOSE 80"]
    engine.docker("commit", *(word for change in changes for word in ("--change", change)), "base", "based")
    show = "env | grep -v HOSTNAME; pwd; id -un; ls -ld $PWD | cut -c1-10"
    seen = {}
    for name, options in {
        "plain": [],
        "env": ["-e", "B=3", "-e", "C=4", "-e", "A=", "-e", "UNSET"],
        "twice": ["-e", "B=5", "-e", "B=6"],
        "home": ["-e", "HOME=/x", "-e", "TERM=y"],
        "tty": ["-t"],
        "directory": ["-w", "/a/b/c"],
        "root": ["-u", "root", "-w", "/a/b"],
        "domain": ["--domainname", "d.test", "--hostname", "h"],
        "relative": ["-w", "a"],
    }.items():
        done = engine.docker("run", "--rm", *options, "based", "sh", "-c", show, check=False)
        seen[name] = [done.code, done.out.splitlines(), done.err.partition("docker: ")[2].splitlines()[:1]]
    # By the API: the stock command line hands several variables over in no order.
    made = {"Image": "based", "Cmd": ["true"], "Env": ["Z=1", "B=9"], "Labels": {"m": "3"}}
    assert ask(engine, "POST", "/containers/create?name=kept", made).status == 201
    config = ask(engine, "GET", "/containers/kept/json").json()["Config"]
    seen["config"] = {key: config[key] for key in ("Env", "Labels", "ExposedPorts", "WorkingDir", "User")}
    done = engine.docker(
        "run",
        "--rm",
        "--domainname",
        "d.test",
        "--hostname",
        "h",
        "busybox",
        "sh",
        "-c",
        "hostname; dnsdomainname; cat /etc/hosts | tail -1 | cut -f2",
        check=False,
    )
    seen["names"] = [done.code, done.out]
    return seen


ENTRIES: dict[str, list[str]] = {
    "shell cmd": ["CMD echo $0 a"],
    "exec cmd": ['CMD ["echo", "a"]'],
    "entrypoint": ['ENTRYPOINT ["echo", "e"]'],
    "both": ['ENTRYPOINT ["echo", "e"]', 'CMD ["c"]'],
    "shell entrypoint": ["ENTRYPOINT echo e $0"],
    "shell both": ["ENTRYPOINT echo e $0", 'CMD ["c"]'],
    "cmd first": ['CMD ["c"]', 'ENTRYPOINT ["echo", "e"]'],
}


def test_entry_points(alike: Any) -> None:
    alike("entry points", _entries)


def _entries(engine: Engine) -> Observed:
    seen: dict[str, Any] = {}
    engine.docker("create", "--name", "base", "busybox", "original")
    for number, (name, changes) in enumerate(ENTRIES.items()):
        image = f"entry{number}"
        engine.docker("commit", *(word for change in changes for word in ("--change", change)), "base", image)
        for case, (options, words) in {
            "nothing": ([], []),
            "command": ([], ["x", "y"]),
            "entry": (["--entrypoint", "echo"], []),
            "entry and command": (["--entrypoint", "echo"], ["x"]),
            "no entry": (["--entrypoint", ""], ["echo", "n"]),
            "no entry alone": (["--entrypoint", ""], []),
        }.items():
            done = engine.docker("run", "--name", "it", *options, image, *words, check=False)
            found = ask(engine, "GET", "/containers/it/json").json()
            shown = [
                found.get("Path"),
                found.get("Args"),
                (found.get("Config") or {}).get("Cmd"),
                (found.get("Config") or {}).get("Entrypoint"),
            ]
            seen[f"{name}: {case}"] = [done.code, done.out, shown]
            engine.docker("rm", "-f", "it", check=False)
    return seen


OWN = ("AttachStderr", "AttachStdout", "Hostname", "Image")
"""What 20.10 keeps in an image, and is the container's own."""

CHANGES = [
    "CMD",
    "CMD []",
    'CMD ["a", "b"]',
    "CMD a b",
    "ENTRYPOINT []",
    "ENV A=1",
    "ENV A 1",
    "ENV A=1 B='x y' C=\"z\"",
    "ENV A",
    "EXPOSE 80 81/udp 90-92",
    "EXPOSE x",
    "LABEL a=b",
    "LABEL a",
    'LABEL "a b"=c',
    "ONBUILD RUN true",
    "ONBUILD FROM x",
    "ONBUILD ONBUILD RUN x",
    "STOPSIGNAL SIGINT",
    "STOPSIGNAL 9",
    "STOPSIGNAL NOPE",
    "USER bin:daemon",
    "USER",
    "VOLUME /a /b",
    'VOLUME ["/a b"]',
    "VOLUME",
    "WORKDIR /a",
    "WORKDIR b",
    "HEALTHCHECK NONE",
    "HEALTHCHECK CMD true",
    'HEALTHCHECK --interval=5s --timeout=1s --retries=2 --start-period=1m CMD ["true"]',
    "HEALTHCHECK --nope CMD true",
    'SHELL ["/bin/sh", "-e"]',
    "SHELL x",
    "MAINTAINER me",
    "RUN true",
    "COPY a b",
    "FROM x",
    "ARG A",
    "NOPE x",
    "",
    "# comment",
    "cmd lower",
]


def test_commit_changes(alike: Any) -> None:
    alike("commit changes", _changes)


def _changes(engine: Engine) -> Observed:
    options = ("--name", "base", "-e", "BASE=1", "--label", "base=1", "--expose", "70", "-w", "/base", "-u", "daemon")
    engine.docker("create", *options, "busybox", "original", "command")
    seen: dict[str, Any] = {}
    for change in CHANGES:
        got = ask(engine, "POST", f"/commit?container=base&changes={quote(change)}")
        if got.status == 201:
            config = ask(engine, "GET", f"/images/{got.json()['Id']}/json").json()["Config"]
            seen[change or "no change"] = {
                key: value for key, value in sorted(config.items()) if value and key not in OWN
            }
            ask(engine, "DELETE", f"/images/{got.json()['Id']}")
        else:
            seen[change or "no change"] = f"{got.status} {got.json()['message'].strip()}"
    got = ask(
        engine,
        "POST",
        "/commit?container=base&author=me&comment=why&repo=made&tag=1",
        {"Cmd": ["given"], "Env": ["GIVEN=1"], "Labels": {"given": "1"}, "WorkingDir": "/given"},
    )
    found = ask(engine, "GET", "/images/made:1/json").json()
    seen["body"] = [
        got.status,
        {key: found["Config"][key] for key in ("Cmd", "Env", "Labels", "WorkingDir", "User")},
        found["Author"],
        found["Comment"],
    ]
    history = ask(engine, "GET", "/images/made:1/history").json()[0]
    seen["history"] = {key: history[key] for key in ("Comment", "CreatedBy", "Size", "Tags")}
    for case, query in {
        "nobody": "container=nobody",
        "nothing": "",
        "bad repo": "container=base&repo=UP",
        "bad tag": "container=base&repo=x&tag=%20",
    }.items():
        seen[case] = answer(engine, "POST", f"/commit?{query}")
    return seen


def test_changed_files(alike: Any) -> None:
    alike("changed files", _files)


def _files(engine: Engine) -> Observed:
    made = (
        "mkdir /a /a/b /a/c; echo 1 >/a/f; ln -s /etc /a/l; touch /a/b/x /a/c/y; mkdir -p /t/d;"
        " echo 1 >/t/file; ln -s x /t/link"
    )
    engine.docker("run", "--name", "base", "busybox", "sh", "-c", made)
    engine.docker("commit", "base", "filed")
    change = (
        "rm -r /a/b; rm /a/f; mkdir /a/f; touch /a/f/in; rm /a/l; echo 1 >/a/l; rm -r /a/c; mkdir /a/c; rm -r /t/d;"
        "ln -s y /t/d;"
        "echo 2 >>/t/file; chmod 600 /t/link; rm /t/link; touch /new; mkdir -p /deep/er;"
        " chmod 700 /etc; touch /dev/shm/x; mkfifo /pipe"
    )
    engine.docker(
        "run", "--name", "changed", "-v", "/vol", "--tmpfs", "/tmpfs", "filed", "sh", "-c", change, check=False
    )
    seen: dict[str, Any] = {
        "changes": sorted(
            (one["Path"], one["Kind"]) for one in ask(engine, "GET", "/containers/changed/changes").json()
        )
    }
    engine.docker("create", "--name", "fresh", "filed")
    seen["fresh"] = ask(engine, "GET", "/containers/fresh/changes").json()
    engine.docker("commit", "changed", "again")
    seen["again"] = engine.docker(
        "run", "--rm", "again", "sh", "-c", "ls -l / /a /a/c /a/f /t | awk '{print $1, $NF}' | grep -v total"
    ).out.splitlines()
    return seen


def test_top_arguments(alike: Any) -> None:
    alike("top arguments", _tops)


def _tops(engine: Engine) -> Observed:
    engine.docker("run", "-d", "--name", "runs", "-u", "daemon", "--stop-timeout", "0", "busybox", "sleep", "100")
    seen = {}
    for given in (
        "",
        "-ef",
        "aux",
        "-o pid,comm",
        "-o user,ppid,args",
        "-eo pid,cmd",
        "-o pid=P,comm=C",
        "-p 1",
        "-e",
        "-A",
        "-o comm",
        "-l",
        "axo pid,comm",
        "-o pid -o comm",
        "nope",
        "-o nope",
    ):
        got = ask(engine, "GET", f"/containers/runs/top?ps_args={quote(given)}")
        found = got.json()
        seen[given or "none"] = (
            [found["Titles"], [row[-1] for row in found["Processes"] or []]] if got.status == 200 else got.status
        )
    return seen


def test_execs_in_detail(alike: Any) -> None:
    alike("execs", _execs)


def _execs(engine: Engine) -> Observed:
    engine.docker(
        "run",
        "-d",
        "--name",
        "runs",
        "-e",
        "A=1",
        "-w",
        "/tmp",
        "-u",
        "daemon",
        "--stop-timeout",
        "0",
        "busybox",
        "sleep",
        "100",
    )
    seen: dict[str, Any] = {}
    for name, options in {
        "plain": [],
        "user": ["-u", "nobody"],
        "user and group": ["-u", "1000:5"],
        "no user": ["-u", "nothing"],
        "directory": ["-w", "/etc"],
        "no directory": ["-w", "/nothing"],
        "environment": ["-e", "A=2", "-e", "B=3"],
    }.items():
        done = engine.docker(
            "exec",
            *options,
            "runs",
            "sh",
            "-c",
            "id; pwd; env | grep -v HOSTNAME; grep CapEff /proc/self/status",
            check=False,
        )
        seen[name] = [done.code, done.out.splitlines(), _why(done.err)]
    made = ask(
        engine,
        "POST",
        "/containers/runs/exec",
        {
            "Cmd": ["sleep", "100"],
            "Tty": True,
            "Env": ["X=1"],
            "User": "root",
            "AttachStdin": True,
            "DetachKeys": "ctrl-a",
        },
    ).json()["Id"]
    seen["before"] = _shown(ask(engine, "GET", f"/exec/{made}/json").json())
    seen["resize before"] = answer(engine, "POST", f"/exec/{made}/resize?h=5&w=6")
    seen["start"] = answer(engine, "POST", f"/exec/{made}/start", {"Detach": True, "Tty": True})
    during = ask(engine, "GET", f"/exec/{made}/json").json()
    seen["during"] = {**_shown(during), "Pid": during["Pid"] > 0}
    seen["ids"] = len(ask(engine, "GET", "/containers/runs/json").json()["ExecIDs"] or [])
    seen["resize"] = answer(engine, "POST", f"/exec/{made}/resize?h=5&w=6")
    seen["again"] = answer(engine, "POST", f"/exec/{made}/start", {"Detach": True})
    seen["nobody"] = [
        answer(engine, "GET", "/exec/nothing/json"),
        answer(engine, "POST", "/exec/nothing/start", {"Detach": True}),
        answer(engine, "POST", "/exec/nothing/resize?h=1&w=1"),
    ]
    late = ask(engine, "POST", "/containers/runs/exec", {"Cmd": ["true"]}).json()["Id"]
    engine.docker("pause", "runs")
    seen["create in paused"] = answer(engine, "POST", "/containers/runs/exec", {"Cmd": ["true"]})
    seen["start in paused"] = answer(engine, "POST", f"/exec/{late}/start", {"Detach": True})
    engine.docker("unpause", "runs")
    engine.docker("stop", "runs")
    seen["create in stopped"] = answer(engine, "POST", "/containers/runs/exec", {"Cmd": ["true"]})
    seen["start in stopped"] = answer(engine, "POST", f"/exec/{late}/start", {"Detach": True})
    seen["after"] = answer(engine, "GET", f"/exec/{made}/json")
    engine.docker("run", "-d", "--name", "again", "--restart", "always", "busybox", "false")
    engine.docker("wait", "again", check=False)
    return seen


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in ("ID", "ContainerID", "Pid", "DetachKeys")}
