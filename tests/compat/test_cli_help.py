"""Help: the same texts as Docker's, but for the program's name and what only one of them has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cove.cli.catalog import ALIASES, COMMANDS

# Commands that Docker's command line does not have, or that are about the program itself. ``build`` is what it is with
# BuildKit, which is a program of its own there; the stock command line alone shows the older builder's options.
ONLY_OURS = re.compile(
    r"((image|builder) )?build|builder (export|import)-mounts|(container )?why|undo|doctor|network (egress|graph|trace)"
    r"|registry serve|trash .*|socket .*|daemon|install-.*"
    r"|image (bootstrap|copy|verify|diff|ls-files|referrers|slim|waste)|completion|version"
    r"|volume (rename|clone|snapshots?|restore|diff|backup|browse|resize)"
)
SHARED = [name for name in COMMANDS if name not in ALIASES and not ONLY_OURS.fullmatch(name)]

# Options of clustered volumes, which this command line does not have.
LACKING = {
    "volume create": (
        *("--availability", "--group", "--limit-bytes", "--required-bytes", "--scope", "--secret", "--sharing"),
        *("--topology-preferred", "--topology-required", "--type"),
    ),
    "volume ls": ("--cluster",),
}

PLANS = ("--dry-run", "--keep-bytes", "--unused-for")

# What only this command line has.
OURS = {
    "container prune": ("--now", *PLANS),
    "image prune": PLANS,
    "volume prune": ("--now", *PLANS),
    "network prune": ("--dry-run", "--unused-for"),
    "builder prune": ("--dry-run", "--unused-for"),
    "volume rm": ("--now",),
    "system prune": ("--now", *PLANS),
    "container rm": ("--now",),
    "create": ("--egress", "--health-on-failure"),
    "logs": ("--removed", "--grep", "--ignore-case", "--context", "--before-context", "--after-context"),
    "rm": ("--now",),
    "run": ("--egress", "--health-on-failure"),
    "update": ("--egress", "--health-on-failure", "--mount-add", "--mount-rm", "--publish-add", "--publish-rm"),
    "volume create": ("--size",),
    "inspect": ("--as",),
    "container inspect": ("--as",),
}


def _help(program: str, command: str, directory: Path, fake: ModuleType) -> str:
    with fake.FakeEngine(directory, "1.50") as engine:
        argv = ["docker"] if program == "docker" else [sys.executable, "-m", "cove.cli.main"]
        done = subprocess.run(
            [*argv, "-H", engine.host, *command.split(), "--help"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_cove(text: str) -> str:
    text = re.sub(r"\n*EXPERIMENTAL:\n.*?/experimental/(?=\n|$)", "", text, flags=re.S)
    return re.sub(r"(?<!docs\.)\bdocker\b", "cove", text)


def _entries(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the options, and each option with its text on one line."""
    head, _, options = text.partition("Options:\n")
    entries: dict[str, str] = {}
    current = ""
    for line in options.splitlines():
        if match := re.match(r"\s+(?:-\w, )?(--[\w-]+)", line):
            current = match[1]
            entries[current] = ""
        entries[current] += " " + " ".join(line.split())
    return head, entries


@pytest.mark.parametrize("command", SHARED)
def test_help_is_the_same(command: str, tmp_path: Path, fake: ModuleType, host: str) -> None:
    docker_text = as_cove(_help("docker", command, tmp_path, fake))
    (tmp_path / "engine.sock").unlink()
    docker = _entries(docker_text)
    cove = _entries(_help("cove", command, tmp_path, fake))
    assert cove[0] == docker[0]
    member = command.removeprefix("container ")
    for option in LACKING.get(command, ()):
        docker[1].pop(option, None)
    for option in OURS.get(command, OURS.get(member, ())):
        cove[1].pop(option, None)
    assert cove[1] == docker[1]


def test_help_is_laid_out_the_same(tmp_path: Path, fake: ModuleType, host: str) -> None:
    docker = _help("docker", "exec", tmp_path, fake)
    (tmp_path / "engine.sock").unlink()
    assert _help("cove", "exec", tmp_path, fake) == as_cove(docker)
