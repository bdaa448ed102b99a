"""docs/security.md: each line of its table names tests that are there, each attack is in the name of a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ATTACKS = ROOT / "tests" / "system" / "test_attacks.py"

ROWS = [
    line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and line.count(" | ") == 4
][2:]
FILE = re.compile(r"`([\w/]*test_\w+\.py)`(?:: ((?:`test_\w+…?`(?:, )?)+))?")


def _functions(file: Path) -> list[str]:
    return re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_line_names_tests_that_are_there(row: list[str]) -> None:
    named = FILE.findall(row[4])
    assert named, row
    for path, tests in named:
        found = _functions(ROOT / path if "/" in path else ROOT / "tests" / "system" / path)
        for test in re.findall(r"`(\w+)(…?)`", tests):
            assert any(name == test[0] or (test[1] and name.startswith(test[0])) for name in found), test


def test_each_attack_has_a_test() -> None:
    (listed,) = re.findall(r"^## Attacks\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    numbers = set(re.findall(r"\b20\d\d-\d{4,5}\b", listed))
    tried = {f"{year}-{number}" for year, number in re.findall(r"def test_(20\d\d)_(\d{4,5})_", ATTACKS.read_text())}
    assert len(numbers) > 10 and numbers == tried
