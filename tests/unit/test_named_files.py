"""Files that the documentation names are where it says."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = (ROOT / "src" / "cove", ROOT, ROOT / "docs", ROOT / "tests")
NAMED = re.compile(r"`([a-z0-9_.-]+(?:/[a-z0-9_.-]+)+\.(?:py|md|toml|json|yaml))`")


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_names_files_that_are_there(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not any((place / name).is_file() for place in PLACES)] == []
