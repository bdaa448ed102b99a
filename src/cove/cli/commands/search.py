"""``cove search``"""

from __future__ import annotations

import json

from cove.cli import credentials
from cove.cli.command import Command, exactly
from cove.cli.formatter import show
from cove.cli.humanize import ellipsis
from cove.cli.options import encode_filters, filters
from cove.cli.view import View
from cove.flags import BOOL, INT, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

DESCRIPTION_WIDTH = 45


def search_view(truncate: bool) -> View:
    return View(
        "*formatter.searchContext",
        ("Name", "Description", "StarCount", "IsOfficial"),
        {
            "Name": ("NAME", lambda item: item["name"]),
            "Description": ("DESCRIPTION", lambda item: _description(item, truncate)),
            "StarCount": ("STARS", lambda item: str(item["star_count"])),
            "IsOfficial": ("OFFICIAL", lambda item: "[OK]" if item["is_official"] else ""),
            "IsAutomated": ("AUTOMATED", lambda item: "[OK]" if item["is_automated"] else ""),
        },
    )


def _description(item: dict[str, Any], truncate: bool) -> str:
    text = " ".join(str(item["description"]).replace("\r", " ").replace("\n", " ").split(" "))
    return ellipsis(text, DESCRIPTION_WIDTH) if truncate else text


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    query = {
        "term": arguments[0],
        "limit": values.text("limit") if values.changed("limit") else None,
        "filters": encode_filters(values.many("filter")),
    }
    headers = {"X-Registry-Auth": credentials.header(session, arguments[0])}
    found = json.loads(session.client.stream("GET", "/images/search", query, None, headers).read())
    show(session, search_view(not values.on("no-trunc")), found, values.text("format"))
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] TERM",
    exactly(1),
    (
        filters(),
        Flag("format", STRING, "Pretty-print search using a Go template"),
        Flag("limit", INT, "Max number of search results"),
        Flag("no-trunc", BOOL, "Don't truncate output"),
    ),
)
