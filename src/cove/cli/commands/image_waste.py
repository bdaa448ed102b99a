"""``cove image waste``: what each layer adds, and what of it nobody sees, as a picture."""

from __future__ import annotations

import shutil

from cove.cli.command import Command, exactly
from cove.cli.humanize import ellipsis, short_size
from cove.cli.options import OBJECT_FORMAT
from cove.cli.tabwriter import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Waste = dict[str, Any]

USED, DEAD = "█", "░"
BAR, STEP = 32, 40
"""Columns of the longest bar, and of what made a layer."""
SHOWN = 10
"""Files that are listed."""


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    found = session.client.json("GET", "/cove/images/waste", {"name": arguments[0]})
    form = values.text("format")
    if form:
        from cove.cli.records import render_object

        session.print(render_object(form, found, "images.Waste"))
    else:
        width = max(min(BAR, shutil.get_terminal_size().columns - 60), 8)
        session.print("\n".join(_lines(found, width)))
    return 0


def _lines(found: Waste, width: int) -> Iterator[str]:
    yield from _picture(found["Layers"], width)
    yield ""
    wasted, total = found["Wasted"], found["Total"]
    share = 100 * (total - wasted) / total if total else 100.0
    words = f"{short_size(wasted)} of {short_size(total)} are wasted: efficiency {share:.1f} %"
    yield f"{words} ({DEAD} is what nobody sees)"
    if found["Worst"]:
        yield ""
        rows = ["WASTED\tLAYERS\tPATH"]
        for file in found["Worst"][:SHOWN]:
            layers = ",".join(str(number) for number in file["Layers"])
            rows.append(f"{short_size(file['Wasted'])}\t{layers}\t{file['Path']}")
        yield align("\n".join(rows))


def _picture(layers: list[Waste], width: int) -> Iterator[str]:
    largest = max((layer["Size"] for layer in layers), default=0)
    rows = ["LAYER\tADDS\tFILES\tOVERWRITES\tDELETES\tREPEATS\t\tCREATED BY"]
    for number, layer in enumerate(layers, 1):
        sizes = (layer["Overwritten"], layer["Deleted"], layer["Repeated"])
        cells = [str(number), short_size(layer["Size"]), str(layer["Files"]), *map(short_size, sizes)]
        step = ellipsis(layer["CreatedBy"].replace("\t", " "), STEP)
        rows.append("\t".join((*cells, _bar(layer, largest, width), step)))
    yield from (line.rstrip() for line in align("\n".join(rows)).split("\n"))


def _bar(layer: Waste, largest: int, width: int) -> str:
    """As long as the layer's size is to the largest; its end is what higher layers hide."""
    if not layer["Size"]:
        return ""
    length: int = max(round(width * layer["Size"] / largest), 1)
    dead = min(-(-length * int(layer["Dead"]) // int(layer["Size"])), length)
    return USED * (length - dead) + DEAD * dead


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE",
    exactly(1),
    (OBJECT_FORMAT,),
    long="Show what each layer of an image adds, overwrites and deletes, and what of that is wasted",
)
