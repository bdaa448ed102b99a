"""``cove trash``: what was removed and can be brought back."""

from __future__ import annotations

from urllib.parse import quote

from cove.cli.command import NO_ARGUMENTS, Command, at_least
from cove.cli.humanize import ago, duration, parse_rfc3339, size
from cove.cli.options import LIST_FORMAT
from cove.cli.session import for_each
from cove.cli.view import View
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Trashed = dict[str, Any]


def _ls(session: Session, values: Values, arguments: list[str]) -> int:
    from cove.cli.formatter import config_format, show

    quiet = values.on("quiet")
    form = config_format(session, "trashFormat", values.text("format"), quiet)
    items = session.client.json("GET", "/trash")
    show(session, _view(values.on("no-trunc")), items, form, quiet="ID" if quiet else "")
    return 0


def _view(whole: bool) -> View:
    return View(
        "*formatter.trashContext",
        ("ID", "Kind", "Name", "Image", "RemovedSince", "ExpiresIn", "Size"),
        {
            "ID": ("ID", lambda item: item["Id"] if whole else item["Id"][:12]),
            "Kind": ("KIND", lambda item: item["Kind"]),
            "Name": ("NAME", lambda item: item["Name"]),
            "Image": ("IMAGE", lambda item: item["Image"]),
            "Removed": ("REMOVED AT", lambda item: item["Removed"]),
            "RemovedSince": ("REMOVED", lambda item: ago(parse_rfc3339(item["Removed"])[0])),
            "Expires": ("EXPIRES AT", lambda item: item["Expires"]),
            "ExpiresIn": ("EXPIRES IN", _left),
            "Size": ("SIZE", lambda item: "-" if item.get("Size") is None else size(item["Size"])),
            "Volumes": ("VOLUMES", lambda item: ",".join(item["Volumes"])),
        },
    )


def _left(item: Trashed) -> str:
    import time

    return duration(max(0.0, parse_rfc3339(item["Expires"])[0] - time.time()))


def _rm(session: Session, values: Values, arguments: list[str]) -> int:
    return for_each(
        session,
        arguments,
        lambda name: session.client.json("DELETE", f"/trash/{quote(name.strip('/'), safe='')}"),
    )


def _empty(session: Session, values: Values, arguments: list[str]) -> int:
    from cove.cli.commands.prune import SURE, confirmed

    words = "WARNING! This will delete everything in the trash."
    if not values.on("force") and not confirmed(session, f"{words}\n{SURE}"):
        return 0
    emptied = session.client.json("POST", "/trash/prune")
    for name in emptied["Deleted"]:
        session.print(name)
    session.print(f"Total reclaimed space: {size(emptied['SpaceReclaimed'])}")
    return 0


LS = Command(
    _ls,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (
        LIST_FORMAT,
        Flag("no-trunc", BOOL, "Don't truncate output"),
        Flag("quiet", BOOL, "Only display container IDs", "q"),
    ),
)
RM = Command(_rm, "CONTAINER [CONTAINER...]", at_least(1))
EMPTY = Command(_empty, "[OPTIONS]", NO_ARGUMENTS, (Flag("force", BOOL, "Do not prompt for confirmation", "f"),))
