"""What a person sees, kept in files: tables, help, failures, progress. COVE_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cove.cli.progress import Screen, display

GOLDEN = Path(__file__).parent / "golden"
DAY = 86400
NOW = 1_800_000_000

CONTAINERS = [
    {
        "Id": "77a1fa15ddc08c1e69a1db7339016834607c6deedccf189fdda997640f02b529",
        "Names": ["/web"],
        "Image": "busybox",
        "ImageID": "sha256:9864dd484caf",
        "Command": "sh -c 'while true; do sleep 1; done'",
        "Created": NOW - 120,
        "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"PrivatePort": 443, "Type": "tcp"},
        ],
        "Labels": {"a": "1", "b": "2"},
        "State": "running",
        "Status": "Up 2 minutes",
        "NetworkSettings": {"Networks": {"bridge": {}, "app": {}}},
        "Mounts": [{"Type": "volume", "Name": "a-volume-with-a-long-name", "Driver": "local"}],
        "SizeRw": 1234,
        "SizeRootFs": 1984000,
    },
    {
        "Id": "b9161cfeb49bb2f569a9da70c1ec03f2714fa864a10809082226afe39560a74c",
        "Names": ["/other", "/web/alias"],
        "Image": "sha256:9864dd484caf3a8d9a2b",
        "ImageID": "sha256:9864dd484caf3a8d9a2b",
        "Command": "sleep 100",
        "Created": NOW - 3 * DAY,
        "Ports": [],
        "Labels": {},
        "State": "exited",
        "Status": "Exited (0) 2 days ago",
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    },
]
IMAGES = [
    {
        "Id": "sha256:9864dd484cafaaaa",
        "RepoTags": ["busybox:latest", "host:5000/app:1.2"],
        "RepoDigests": ["busybox@sha256:feed"],
        "Created": NOW - 40 * DAY,
        "Size": 1984000,
        "SharedSize": -1,
        "Containers": -1,
    },
    {
        "Id": "sha256:0123456789abcdef",
        "RepoTags": ["<none>:<none>"],
        "RepoDigests": ["<none>@<none>"],
        "Created": NOW - 1,
        "Size": 123456789,
        "SharedSize": -1,
        "Containers": -1,
    },
]
HISTORY = [
    {
        "Id": "sha256:9864dd484cafaaaa",
        "Created": NOW - 3600,
        "CreatedBy": '/bin/sh -c #(nop)  CMD ["sh"] and a rather long tail',
        "Size": 0,
        "Comment": "",
    },
    {
        "Id": "<missing>",
        "Created": NOW - DAY,
        "CreatedBy": "ADD file:abc in /",
        "Size": 1984000,
        "Comment": "from a tar",
    },
]
ANSWERS: dict[str, Any] = {
    "GET /containers/json": CONTAINERS,
    "GET /images/json": IMAGES,
    "GET /images/busybox/history": HISTORY,
    "GET /containers/web/top": {
        "Titles": ["PID", "USER", "COMMAND"],
        "Processes": [["1", "root", "sh"], ["7", "root", "sleep 1"]],
    },
    "GET /containers/web/changes": [
        {"Path": "/tmp", "Kind": 0},
        {"Path": "/tmp/x", "Kind": 1},
        {"Path": "/gone", "Kind": 2},
    ],
    "GET /containers/web/json": {
        "Id": "abc",
        "Name": "/web",
        "NetworkSettings": {
            "Ports": {
                "443/tcp": None,
                "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
            }
        },
    },
}
CASES = {
    "ps": ("ps",),
    "ps-all-columns": ("ps", "-a", "-s", "--no-trunc"),
    "ps-quiet": ("ps", "-q"),
    "ps-json": ("ps", "--format", "json"),
    "ps-template": ("ps", "--format", 'table {{.Names}}\\t{{.Label "a"}}\\t{{.Mounts}}\\t{{.Networks}}'),
    "images": ("images",),
    "images-digests": ("images", "--digests", "--no-trunc"),
    "history": ("history", "busybox"),
    "history-raw": ("history", "--no-trunc", "--human=false", "busybox"),
    "top": ("top", "web"),
    "diff": ("diff", "web"),
    "port": ("port", "web"),
    "inspect": ("inspect", "web"),
    "help-run": ("run", "--help"),
    "help-ps": ("ps", "--help"),
    "help-cp": ("cp", "--help"),
    "help-container": ("container", "--help"),
    "help-image-bootstrap": ("image", "bootstrap", "--help"),
    "failure-flag": ("ps", "--nope"),
    "failure-count": ("rename", "a"),
    "failure-command": ("nope",),
    "failure-format": ("ps", "--format", "{{.Nope}}"),
}


def check(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("COVE_UPDATE_GOLDEN"):
        path.write_bytes(text.encode())
    assert text == path.read_bytes().decode()


@pytest.mark.parametrize("name", CASES)
def test_output(
    name: str, cove: Callable[..., Any], engine: Any, fake: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: float(NOW))
    monkeypatch.setenv("TZ", "UTC")
    engine.answers.update({target: fake.Reply(200, body) for target, body in ANSWERS.items()})
    found = cove(*CASES[name])
    check(name, f"{found.out}{found.err}exit code {found.code}\n")


def test_the_whole_help_names_every_command(cove: Callable[..., Any]) -> None:
    check("help", cove("--help").out.replace(os.path.expanduser("~"), "~"))


PULL = [
    {"status": "Pulling from library/busybox", "id": "latest"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aaa"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "bbb"},
    {"status": "Downloading", "progressDetail": {"current": 500000, "total": 2000000}, "id": "aaa"},
    {"status": "Downloading", "progressDetail": {"current": 2000000, "total": 2000000}, "id": "aaa"},
    {"status": "Pull complete", "progressDetail": {}, "id": "aaa"},
    {"status": "Extracting", "progressDetail": {"current": 7, "units": "s"}, "id": "bbb"},
    {"status": "Digest: sha256:feed"},
    {"status": "Status: Downloaded newer image for busybox:latest"},
    {"stream": "Loaded image: busybox:latest\n"},
]


def test_progress_without_a_terminal() -> None:
    out = io.StringIO()
    display((json.dumps(message).encode() for message in PULL), out)
    check("progress-plain", out.getvalue())


def test_progress_on_a_terminal() -> None:
    out = io.StringIO()
    screen = Screen(out)
    screen.terminal = True
    for message in PULL:
        screen.show(message)
    check("progress-terminal", out.getvalue())


def test_completion_scripts_know_the_commands(cove: Callable[..., Any]) -> None:
    for shell in ("bash", "fish", "zsh"):
        script = cove("completion", shell).out
        for word in ("bootstrap", "--publish", "system", "restart"):
            assert word.removeprefix("--") in script, (shell, word)
    assert "unknown command: cove completion tcsh" in cove("completion", "tcsh").err


def test_bootstrap_shows_progress_and_sends_what_was_asked(
    cove: Callable[..., Any], engine: Any, fake: ModuleType
) -> None:
    lines = b"".join(
        json.dumps(message).encode() + b"\n"
        for message in ({"status": "Fetching", "id": "busybox"}, {"aux": {"ID": "sha256:feed"}})
    )
    engine.answers["POST /cove/images/bootstrap"] = fake.Reply(200, raw=lines)
    assert (
        cove("image", "bootstrap", "--mirror", "http://mirror.test/d", "-t", "base:1", "busybox").out
        == "busybox: Fetching\n"
    )
    assert engine.requests[-1].target.endswith("?recipe=busybox&tag=base%3A1&mirror=http%3A%2F%2Fmirror.test%2Fd")
    assert cove("image", "bootstrap", "-q", "busybox").out == "sha256:feed\n"
