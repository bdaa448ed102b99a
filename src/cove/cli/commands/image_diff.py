"""``cove image diff``: what changes from one image to another."""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.humanize import size
from cove.cli.options import OBJECT_FORMAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Difference = dict[str, Any]

KINDS = "CAD"
"""Changed, added, deleted: the letters of ``diff`` of a container."""


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    before, after = arguments
    found = session.client.json("GET", "/cove/images/diff", {"before": before, "after": after})
    form = values.text("format")
    if form:
        from cove.cli.records import render_object

        session.print(render_object(form, found, "images.Difference"))
    else:
        session.print("\n".join(_lines(found)))
    return 0


def _lines(found: Difference) -> Iterator[str]:
    for change in found["Files"]:
        yield f"{KINDS[change['Kind']]} {change['Path']}{_grown(change)}"
    for setting in found["Settings"]:
        yield f"{setting['Name']}: {setting['Before'] or 'unset'} -> {setting['After'] or 'unset'}"
    counts = [sum(change["Kind"] == kind for change in found["Files"]) for kind in (1, 0, 2)]
    words = f"{counts[0]} added, {counts[1]} changed, {counts[2]} deleted"
    shared = found["Shared"]
    yield f"{words}; {_signed(sum(map(_growth, found['Files'])))}; {shared} layer{'' if shared == 1 else 's'} shared"


def _growth(change: Difference) -> int:
    return int(change["SizeAfter"]) - int(change["SizeBefore"])


def _grown(change: Difference) -> str:
    return f" ({_signed(_growth(change))})" if _growth(change) else ""


def _signed(count: int) -> str:
    return f"{'-' if count < 0 else '+'}{size(abs(count))}"


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE IMAGE",
    exactly(2),
    (OBJECT_FORMAT,),
    long="Show what changes from one image to another: files, by content and not by time, and settings",
)
