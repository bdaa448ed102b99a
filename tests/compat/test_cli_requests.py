"""Commands on containers that are there: both command lines send the same request for the same options."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import pytest

IMAGE = "sha256:" + "1" * 64

# The request that decides: method and path. Then one command a line; env.list is in the test's directory.
LINES: dict[tuple[str, str], str] = {
    ("POST", "/containers/box/update"): """
        update --memory 64m --memory-swap 128m --memory-reservation 32m box
        update -m 64m --memory-swap -1 box
        update --cpus 1.5 box
        update --cpu-period 50000 --cpu-quota 25000 -c 512 --cpuset-cpus 0,1 --cpuset-mems 0 box
        update --cpu-rt-period 1000 --cpu-rt-runtime 900 --blkio-weight 300 --pids-limit 10 box
        update --cpu-shares 4 --pids-limit -1 box
        update --restart on-failure:3 box
        update --restart unless-stopped box
    """,
    ("POST", "/containers/box/stop"): """
        stop box
        stop -t 5 box
        stop -t -1 --signal SIGINT box
        stop --timeout 0 -s 9 box
    """,
    ("POST", "/containers/box/restart"): """
        restart box
        restart -t 0 --signal SIGHUP box
    """,
    ("POST", "/containers/box/kill"): """
        kill box
        kill -s USR1 box
        kill --signal 9 box
    """,
    ("POST", "/commit"): """
        commit box
        commit -a who -m why -p=false box some/name
        commit --pause --author who --message 'a long one' --change 'ENV A=1' -c 'CMD ["x"]' box name:tag
        commit box registry.test:5000/name:tag
    """,
    ("POST", "/containers/box/exec"): """
        exec box true
        exec -d box sleep 5
        exec -e A=1 -e B --env-file env.list --privileged -u 1000:5 -w /tmp box env
        exec -i box cat
        exec --detach --detach-keys ctrl-x,x --user nobody --workdir / box true
        exec -t box true
        exec -dt box true
    """,
    ("POST", "/exec/e/start"): """
        exec box true
        exec -d box true
        exec -i box cat
    """,
    ("DELETE", "/containers/box"): """
        rm box
        rm -f box
        rm -v box
        rm -l box
        rm --force --volumes --link box
    """,
    ("GET", "/containers/box/logs"): """
        logs box
        logs -f -t -n 5 box
        logs --details --follow --timestamps --tail all box
        logs --since 2024-01-02T03:04:05 --until 1700000000.5 box
    """,
    ("POST", "/containers/box/attach"): """
        attach box
        attach --no-stdin --sig-proxy=false box
        attach --detach-keys ctrl-x,x box
    """,
    ("POST", "/containers/box/start"): "start box",
    ("POST", "/containers/box/rename"): "rename box other",
    ("POST", "/containers/box/pause"): "pause box",
    ("POST", "/containers/box/unpause"): "unpause box",
    ("POST", "/containers/box/wait"): "wait box",
    ("GET", "/containers/box/top"): """
        top box
        top box -o pid,comm
    """,
    ("GET", "/containers/box/stats"): """
        stats --no-stream box
        stats --no-stream --no-trunc --format json box
    """,
    ("GET", "/containers/json"): """
        ps
        ps -a
        ps -n 3
        ps -a -n 3
        stats --all --no-stream
        ps -l -s
        ps --no-trunc --quiet --size --all
        ps -f status=exited -f label=a=b --filter name=x
    """,
    ("POST", "/containers/prune"): """
        container prune -f
        container prune --force --filter until=1h --filter label!=x
    """,
}

# What only changes how this side shows or asks; ``test_cli_lists`` and others look at it.
OURS = {
    "--detach-keys",  # in the creation of an exec and the query of an attachment, where the lines have it
    "--format",
    "--sig-proxy",
    "--attach",
    "--interactive",
    "--checkpoint",
    "--checkpoint-dir",
    "--last",
    "--latest",
    "--follow",
    "--signal",
    "--no-trunc",
}


def lines() -> list[tuple[str, str, str]]:
    return [
        (method, path, line.strip()) for (method, path), text in LINES.items() for line in text.strip().splitlines()
    ]


def test_every_option_is_in_a_line() -> None:
    commands = {line.split()[0] for _, _, line in lines()} - {"container"}
    for command in sorted(commands):
        text = subprocess.run(["docker", command, "--help"], capture_output=True, text=True, check=True).stdout
        spelled = re.findall(r"^\s+(?:-(\w), )?(--[\w-]+)", text.partition("Options:")[2], re.MULTILINE)
        words = [word for _, _, line in lines() if line.split()[0] == command for word in line.split()]
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        letters = {letter for word in words if re.match(r"-\w", word) for letter in word[1:]}
        assert not [long for short, long in spelled if long not in given | OURS and short not in letters], command


@pytest.mark.parametrize(("method", "path", "line"), lines(), ids=lambda value: value if " " in value else "")
def test_requests_are_the_same(method: str, path: str, line: str, host: str, fake: ModuleType, tmp_path: Path) -> None:
    sent = {program: _sent(program, method, path, line, fake, tmp_path / program) for program in ("docker", "cove")}
    assert sent["cove"] == sent["docker"]


def _sent(program: str, method: str, path: str, line: str, fake: ModuleType, directory: Path) -> Any:
    """Query and body of the request."""
    directory.mkdir()
    (directory / "env.list").write_text("FROM_FILE=1\n")
    with fake.FakeEngine(directory, "1.50", _answers(fake.Reply)) as engine:
        argv = ["docker"] if program == "docker" else [sys.executable, "-m", "cove.cli.main"]
        subprocess.run(
            [*argv, "-H", engine.host, *shlex.split(line)],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            env={**os.environ, "DOCKER_CONFIG": "/nonexistent"},
            check=False,
        )
        request = engine.sent(method, path)
    query = sorted(
        (key, json.loads(value) if key == "filters" else re.sub("^docker.io/(library/)?", "", value))
        for key, value in parse_qsl(request.target.partition("?")[2])
    )
    return query, _said(json.loads(request.body)) if request.body else None


def _said(value: Any) -> Any:
    """Without what says nothing: Go writes down every zero."""
    if isinstance(value, dict):
        return {key: said for key, each in value.items() if (said := _said(each))}
    return value


def _answers(reply: Any) -> dict[str, Any]:
    inspected = {
        "Id": "box",
        "Name": "/box",
        "State": {"Running": True, "Paused": False, "Restarting": False},
        "Config": {"Tty": False, "OpenStdin": True},
        "HostConfig": {"LogConfig": {"Type": "json-file"}},
    }
    stats = {"id": "box", "name": "/box", "read": "2024-01-02T03:04:05Z", "pids_stats": {"current": 1}}
    done = {f"POST /containers/box/{verb}": reply(204) for verb in ("stop", "restart", "kill", "start", "rename")}
    done |= {f"POST /containers/box/{verb}": reply(204) for verb in ("pause", "unpause")}
    return {
        **done,
        "GET /containers/box/json": reply(200, inspected),
        "POST /containers/box/update": reply(200, {"Warnings": []}),
        "POST /containers/box/wait": reply(200, {"StatusCode": 0}),
        "POST /containers/box/attach": reply(101, headers={"Connection": "Upgrade", "Upgrade": "tcp"}),
        "GET /containers/box/logs": reply(200, raw=b""),
        "GET /containers/box/top": reply(200, {"Titles": ["PID"], "Processes": [["1"]]}),
        "GET /containers/box/stats": reply(200, stats),
        "GET /containers/json": reply(200, []),
        "DELETE /containers/box": reply(204),
        "POST /containers/prune": reply(200, {"ContainersDeleted": [], "SpaceReclaimed": 0}),
        "POST /commit": reply(201, {"Id": IMAGE}),
        "POST /containers/box/exec": reply(201, {"Id": "e"}),
        "POST /exec/e/start": reply(101, headers={"Connection": "Upgrade", "Upgrade": "tcp"}),
        "GET /exec/e/json": reply(200, {"ID": "e", "ContainerID": "box", "Running": False, "ExitCode": 0, "Pid": 1}),
    }
