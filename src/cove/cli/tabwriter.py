"""Columns aligned with spaces, as Go's text/tabwriter does it for Docker's tables.

A cell is what a tab ends; the last text of a line is in no column. A column is a run of neighbouring lines that have a
cell there, at least ``minimum`` wide with ``padding`` spaces after its widest cell.
"""

from __future__ import annotations


def align(text: str, minimum: int = 10, padding: int = 3) -> str:
    lines = [line.split("\t") for line in text.split("\n")]
    widths: list[list[int]] = [[] for _ in lines]
    _measure(lines, widths, 0, len(lines), 0, minimum, padding)
    return "\n".join(
        "".join(cell.ljust(width) for cell, width in zip(cells, row, strict=False)) + cells[-1]
        for cells, row in zip(lines, widths, strict=True)
    )


def _measure(
    lines: list[list[str]],
    widths: list[list[int]],
    start: int,
    end: int,
    column: int,
    minimum: int,
    padding: int,
) -> None:
    """Set the width of ``column`` in each run of lines that have it, and then of the columns right of it."""
    at = start
    while at < end:
        if len(lines[at]) - 1 <= column:
            at += 1
            continue
        first = at
        while at < end and len(lines[at]) - 1 > column:
            at += 1
        width = max(minimum, *(len(cells[column]) + padding for cells in lines[first:at]))
        for row in widths[first:at]:
            row.append(width)
        _measure(lines, widths, first, at, column + 1, minimum, padding)
