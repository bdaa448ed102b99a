"""The examples in our pages are true: each ``console`` block is run, and what it prints is compared."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from harness.engine import BIN, Engine

ROOT = Path(__file__).parents[2]
PAGES = [
    path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if "```console\n" in path.read_text()
]
PREPARED = re.compile(r"cove image bootstrap busybox$")
"""Commands that the fixture has done already; the daemon of a test has no way to a mirror."""

CURL = f"""
curl() {{ {sys.executable} - "${{@: -1}}" <<'END'
import sys, time, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
for attempt in range(500):
    try:
        sys.exit(sys.stdout.write(opener.open(sys.argv[1], timeout=5).read().decode()) and 0)
    except OSError:
        time.sleep(0.02)
END
}}
"""
"""curl for machines without it; the server in a container that was just started may need a moment."""


class Example(NamedTuple):
    """A command and the lines that it should print."""

    command: str
    expected: list[str]


def examples(text: str) -> Iterator[Example]:
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = block.splitlines()
        while lines:
            command = lines.pop(0)
            assert command[:2] in {"$ ", "# "}, f"not a command: {command}"
            while command.endswith("\\"):
                command += "\n" + lines.pop(0)
            expected = []
            while lines and lines[0][:2] not in {"$ ", "# "}:
                expected.append(lines.pop(0))
            yield Example(command[2:], expected)


def pattern(expected: list[str]) -> str:
    """A regular expression for what was printed, with single spaces."""
    parts = []
    for line in expected:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            words = re.escape(" ".join(line.split())).replace(r"\ ", " ").replace("…", ".*")
            parts.append(words.replace(".* ", ".*") + r" ?\n")
    return "".join(parts)


def run(engine: Engine, command: str, directory: Path) -> str:
    environment = engine.client_environment()
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    done = subprocess.run(
        engine.netns.command(["bash", "-c", CURL + command]),
        cwd=directory,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.needs("cove")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples(daemon: Engine, page: Path, tmp_path: Path) -> None:
    for example in examples(page.read_text()):
        if PREPARED.search(example.command):
            continue
        printed = run(daemon, example.command, tmp_path)
        lines = "".join(" ".join(line.split()) + "\n" for line in printed.splitlines())
        assert not example.expected or re.fullmatch(pattern(example.expected), lines), f"{example.command}\n{printed}"


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        (["a b"], "a b\n", True),
        (["a b"], "a c\n", False),
        (["a … c"], "a b b c\n", True),
        (["…", "end"], "x\ny\nend\n", True),
        (["one"], "one\ntwo\n", False),
        (["1.5"], "1x5\n", False),
    ],
)
def test_comparison(expected: list[str], printed: str, same: bool) -> None:
    assert bool(re.fullmatch(pattern(expected), printed)) is same
