"""Networks drawn as SVG: each is a lane from top to bottom, each container a row with a dot on its lanes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Json = dict[str, Any]

BOX, LANE, ROW, TOP, MARGIN = 260, 190, 64, 76, 16
"""Pixels: the width of a container's box and of a lane, the height of a row and of the head, the border."""

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")

_STYLE = "text{font:12px sans-serif;fill:#222}.n{font-weight:bold}.s{font-size:10px;fill:#666}"


def picture(graph: Json) -> str:
    """The answer of ``GET /cove/network/graph`` as one SVG document."""
    lanes = [item for item in graph["Networks"] if item["Members"] or item["Name"] not in ("host", "none", "bridge")]
    rows = {item["Id"]: number for number, item in enumerate(graph["Containers"])}
    width = MARGIN * 2 + BOX + LANE * len(lanes)
    height = MARGIN * 2 + TOP + ROW * len(rows)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *(line for number, lane in enumerate(lanes) for line in _lane(number, lane, height)),
        *(line for item in graph["Containers"] for line in _box(item, rows[item["Id"]])),
        *(line for number, lane in enumerate(lanes) for line in _dots(number, lane, rows)),
        "</svg>",
    ]
    return "\n".join(lines)


def _lane(number: int, network: Json, height: int) -> Iterator[str]:
    x, colour = _x(number), COLOURS[number % len(COLOURS)]
    dashes = ' stroke-dasharray="7 5"' if network["Internal"] else ""
    yield f'<path d="M{x} {MARGIN + TOP - 16}V{height - MARGIN}" stroke="{colour}" stroke-width="3"{dashes}/>'
    yield _text(x, MARGIN + 14, network["Name"], "n", "middle")
    words = network["Driver"] + (", internal" if network["Internal"] else "")
    yield _text(x, MARGIN + 29, words, "s", "middle")
    yield _text(x, MARGIN + 43, " ".join(network["Subnets"]), "s", "middle")


def _box(container: Json, row: int) -> Iterator[str]:
    y = _y(row) - ROW // 2 + 6
    fill = "#eef5ff" if container["Status"] == "running" else "#eee"
    yield f'<rect x="{MARGIN}" y="{y}" width="{BOX - 30}" height="{ROW - 12}" rx="6" fill="{fill}" stroke="#557"/>'
    yield _text(MARGIN + 8, y + 16, container["Name"], "n")
    yield _text(MARGIN + 8, y + 30, ", ".join(container["Ports"]) or container["Status"], "s")
    if container["Egress"] != "none":
        yield _text(MARGIN + 8, y + 44, f"egress {container['Egress']}", "s")


def _dots(number: int, network: Json, rows: dict[str, int]) -> Iterator[str]:
    x, colour = _x(number), COLOURS[number % len(COLOURS)]
    for member in network["Members"]:
        if (row := rows.get(member["Container"])) is not None:
            yield f'<path d="M{MARGIN + BOX - 30} {_y(row)}H{x}" stroke="{colour}" stroke-width="1.5"/>'
            yield f'<circle cx="{x}" cy="{_y(row)}" r="6" fill="{colour}"/>'
            yield _text(x + 10, _y(row) - 6, " ".join(member["Addresses"]), "s")


def _text(x: int, y: int, words: str, kind: str, anchor: str = "start") -> str:
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escaped}</text>'


def _x(lane: int) -> int:
    return MARGIN + BOX + LANE * lane + LANE // 2


def _y(row: int) -> int:
    return MARGIN + TOP + ROW * row + ROW // 2
