"""``cove history``"""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.formatter import show
from cove.cli.humanize import ago, ellipsis, iso_time, short_size
from cove.cli.options import LIST_FORMAT
from cove.cli.platforms import encode
from cove.cli.view import View
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

COMMAND_WIDTH = 45


def history_view(truncate: bool, human: bool) -> View:
    return View(
        "*formatter.historyContext",
        ("ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment"),
        {
            "ID": ("IMAGE", lambda item: item["Id"].removeprefix("sha256:")[:12] if truncate else item["Id"]),
            "CreatedSince": ("CREATED", lambda item: _since(item["Created"])),
            "CreatedAt": ("CREATED AT", lambda item: iso_time(item["Created"])),
            "CreatedBy": ("CREATED BY", lambda item: _created_by(item, truncate)),
            "Size": ("SIZE", lambda item: short_size(item["Size"]) if human else str(item["Size"])),
            "Comment": ("COMMENT", lambda item: item["Comment"]),
        },
    )


def _since(created: int) -> str:
    # A history entry with no date carries Go's zero time or the epoch.
    return "N/A" if created <= 0 else ago(created)


def _created_by(item: dict[str, Any], truncate: bool) -> str:
    text = str(item["CreatedBy"]).replace("\t", " ")
    return ellipsis(text, COMMAND_WIDTH) if truncate else text


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    query = {"platform": encode(values.text("platform"))}
    items = session.client.json("GET", f"/images/{arguments[0]}/history", query)
    view = history_view(not values.on("no-trunc"), values.on("human"))
    show(session, view, items, values.text("format"), quiet="ID" if values.on("quiet") else "")
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE",
    exactly(1),
    (
        LIST_FORMAT,
        Flag("human", BOOL, "Print sizes and dates in human readable format", "H", True),
        Flag("no-trunc", BOOL, "Don't truncate output"),
        Flag(
            "platform",
            STRING,
            'Show history for the given platform. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
            needs="1.48",
        ),
        Flag("quiet", BOOL, "Only show image IDs", "q"),
    ),
)
