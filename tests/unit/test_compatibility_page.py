"""docs/compatibility.md shows every difference that the comparison with Docker's engine knows."""

import os
from pathlib import Path

from harness.compare import page, read_differences

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compatibility.md"
HEADING = "## Every difference\n\n"


def test_the_page_shows_the_table() -> None:
    rows = read_differences(ROOT / "tests" / "compat" / "differences.toml")
    head, _, shown = PAGE.read_text().partition(HEADING)
    if os.environ.get("COVE_WRITE_PAGES") == "1":
        PAGE.write_text(head + HEADING + page(rows))
    assert shown == page(rows), "to write the page anew, run this test with COVE_WRITE_PAGES=1"
