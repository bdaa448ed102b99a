"""Start-up: what short commands import. The list is data; a longer one is a decision."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

# Of Cove itself, for "cove version".
OWN = {
    "cove",
    "cove.cli",
    "cove.cli.catalog",
    "cove.cli.command",
    "cove.cli.commands",
    "cove.cli.commands.version",
    "cove.cli.failure",
    "cove.flags",
    "cove.cli.humanize",
    "cove.cli.main",
    "cove.cli.options",
    "cove.cli.session",
    "cove.client",
    "cove.client.api",
    "cove.client.http",
    "cove.client.transport",
    "cove.errors",
}
# Of the standard library, beyond what the interpreter has imported before our first line.
STANDARD = {
    "collections",
    "collections.abc",
    "copyreg",
    "enum",
    "functools",
    "importlib",
    "itertools",
    "json",
    "keyword",
    "operator",
    "re",
    "reprlib",
    "select",
    "selectors",
    "socket",
    "types",
    "errno",
    "array",
    "math",
    "calendar",
    "datetime",
    "locale",
    "warnings",
    "importlib._bootstrap",
    "importlib._bootstrap_external",
    "json.decoder",
    "json.encoder",
    "json.scanner",
    "re._casefix",
    "re._compiler",
    "re._constants",
    "re._parser",
}
NEVER = (
    "argparse",
    "asyncio",
    "dataclasses",
    "email",
    "http",
    "inspect",
    "msgspec",
    "rich",
    "ssl",
    "subprocess",
    "typing",
    "urllib",
    "tempfile",
    "threading",
    "logging",
)

SCRIPT = """
import sys
before = set(sys.modules)
from cove.cli.main import main
code = main(sys.argv[1:])
print("\\n".join(sorted(set(sys.modules) - before)), file=sys.stderr)
sys.exit(code)
"""


def _imported(engine: Any, *words: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "-H", engine.host, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.fixture
def answering(engine: Any, fake: ModuleType) -> Any:
    engine.answers["GET /version"] = fake.Reply(200, {"Version": "1", "Components": []})
    engine.answers["GET /containers/json"] = fake.Reply(200, [])
    return engine


def test_version_imports_no_more_than_it_needs(answering: Any) -> None:
    found = {name for name in _imported(answering, "version") if not name.startswith("_")}
    assert {name for name in found if name.startswith("cove")} == OWN
    assert {name for name in found if not name.startswith("cove")} <= STANDARD


@pytest.mark.parametrize("words", [("version",), ("ps",), ("run", "-d", "busybox"), ("ps", "--help")], ids=" ".join)
def test_common_commands_stay_light(words: tuple[str, ...], answering: Any) -> None:
    found = _imported(answering, *words)
    assert not {name for name in found if name.split(".")[0] in NEVER}


def test_importing_cove_imports_nothing() -> None:
    code = "import sys; before = set(sys.modules); import cove; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "['cove']"
