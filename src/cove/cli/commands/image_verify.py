"""``cove image verify``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.humanize import size
from cove.cli.options import OBJECT_FORMAT
from cove.cli.tabwriter import align
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Report = dict[str, Any]


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    query = {"name": arguments or None, "repair": 1 if values.on("repair") else None}
    report = session.client.json("POST", "/cove/images/verify", query)
    form = values.text("format")
    if form:
        from cove.cli.records import render_object

        session.print(render_object(form, report, "images.Report"))
    else:
        session.print("\n".join(_lines(report)))
    return 1 if _damaged(report) else 0


def _damaged(report: Report) -> list[Report]:
    return [problem for problem in report["Problems"] if not problem["Repaired"]]


def _lines(report: Report) -> list[str]:
    counts = ", ".join(
        f"{report[key]} {word}{'' if report[key] == 1 else 's'}"
        for key, word in (("Images", "image"), ("Blobs", "blob"), ("Layers", "layer"))
    )
    lines = [f"Verified {counts}: {size(report['Bytes'])}"]
    if report["Problems"]:
        rows = ["KIND\tNAME\tIMAGES\tPROBLEM", *(_row(problem) for problem in report["Problems"])]
        lines.append(align("\n".join(rows)))
    if damaged := _damaged(report):
        again = "" if len(damaged) == 1 else "s"
        lines.append(f"{len(damaged)} problem{again}: pull or load the images again, which replaces what is damaged")
    return lines


def _row(problem: Report) -> str:
    short = problem["Name"].removeprefix("sha256:")[:12]
    words = problem["Problem"] + (" (repaired)" if problem["Repaired"] else "")
    return "\t".join((problem["Kind"], short, ", ".join(problem["Images"]) or "-", words))


COMMAND = Command(
    _run,
    "[OPTIONS] [IMAGE...]",
    at_least(0),
    (OBJECT_FORMAT, Flag("repair", BOOL, "Make damaged layers again of their blobs")),
    long="Read images, all when none is named, and compare every blob and layer with its digest.\n"
    "Exits with 1 when something is damaged or missing; a pull or load of it then replaces it",
)
