"""``cove image ls-files``: what is in an image, without a container."""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.formatter import show
from cove.cli.humanize import short_size
from cove.cli.options import LIST_FORMAT
from cove.cli.view import View
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    File = dict[str, Any]


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    name, path = split(arguments[0])
    files = session.client.json("GET", "/cove/images/files", {"name": name, "path": path or None})
    show(session, _view(values.on("human")), files, values.text("format"), quiet="Path" if values.on("quiet") else "")
    return 0


def split(argument: str) -> tuple[str, str]:
    """``IMAGE[:PATH]``; the path begins with a slash, so that it is no tag."""
    name, colon, path = argument.rpartition(":/")
    return (name, f"/{path}") if colon else (argument, "")


def _view(human: bool) -> View:
    return View(
        "*formatter.imageFileContext",
        ("Mode", "Owner", "Size", "Modified", "Layer", "Path"),
        {
            "Mode": ("MODE", lambda item: _mode(item["Mode"])),
            "Owner": ("OWNER", lambda item: f"{item['UID']}:{item['GID']}"),
            "Size": ("SIZE", lambda item: short_size(item["Size"]) if human else str(item["Size"])),
            "Modified": ("MODIFIED", lambda item: _time(item["Modified"])),
            "Layer": ("LAYER", lambda item: item["Layer"]),
            "Path": ("PATH", lambda item: item["Path"]),
            "Target": ("TARGET", lambda item: item.get("Target", "")),
        },
    )


def _mode(mode: int) -> str:
    import stat

    return stat.filemode(mode)


def _time(seconds: int) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE[:PATH]",
    exactly(1),
    (
        LIST_FORMAT,
        Flag("human", BOOL, "Print sizes in human readable format", "H"),
        Flag("quiet", BOOL, "Only show paths", "q"),
    ),
    long="List the files of an image, or those at a path and below it, and the layer that each is from",
)
