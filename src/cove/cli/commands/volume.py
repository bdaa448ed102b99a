"""``cove volume``: ls, create, rm, resize"""

from __future__ import annotations

from urllib.parse import quote

from cove.cli.command import NO_ARGUMENTS, Arguments, Command, at_least, exactly
from cove.cli.creation.kinds import LABEL
from cove.cli.failure import Failure
from cove.cli.formatter import config_format, show
from cove.cli.humanize import parse_memory, size
from cove.cli.options import LIST_FORMAT, encode_filters, filters
from cove.cli.session import for_each
from cove.cli.view import View
from cove.flags import BOOL, MAP, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Item = dict[str, Any]

MISSING = "N/A"


def volume_view() -> View:
    return View(
        "*formatter.volumeContext",
        ("Driver", "Name"),
        {
            "Name": ("VOLUME NAME", lambda item: item["Name"]),
            "Driver": ("DRIVER", lambda item: item["Driver"]),
            "Scope": ("SCOPE", lambda item: item.get("Scope", "")),
            "Mountpoint": ("MOUNTPOINT", lambda item: item.get("Mountpoint", "")),
            "Labels": ("LABELS", _labels),
            "Label": ("", lambda item: lambda name: (item.get("Labels") or {}).get(name, "")),
            "Links": ("LINKS", lambda item: _usage(item, "RefCount", str)),
            "Size": ("SIZE", lambda item: _usage(item, "Size", size)),
            "Group": ("GROUP", lambda item: MISSING),
            "Availability": ("AVAILABILITY", lambda item: MISSING),
            "Status": ("STATUS", lambda item: MISSING),
            "Used": ("USED", lambda item: _bounded(item, "Used")),
            "Limit": ("LIMIT", lambda item: _bounded(item, "Size")),
        },
        ours=("Used", "Limit"),
    )


def _labels(item: Item) -> str:
    return ",".join(f"{key}={value}" for key, value in (item.get("Labels") or {}).items())


def _usage(item: Item, key: str, write: Any) -> str:
    usage = item.get("UsageData")
    return MISSING if not usage else str(write(usage[key]))


def _bounded(item: Item, key: str) -> str:
    """Of a volume with a size."""
    status = item.get("Status") or {}
    return size(status[key]) if "Backing" in status else MISSING


def _ls(session: Session, values: Values, arguments: list[str]) -> int:
    found = session.client.json("GET", "/volumes", {"filters": encode_filters(values.many("filter"))})
    items = sorted(found.get("Volumes") or [], key=lambda item: item["Name"])
    form = config_format(session, "volumesFormat", values.text("format"), values.on("quiet"))
    show(session, volume_view(), items, form, quiet="Name" if values.on("quiet") else "")
    return 0


def _create(session: Session, values: Values, arguments: list[str]) -> int:
    name = values.text("name")
    if arguments:
        if name:
            raise Failure(
                "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
            )
        name = arguments[0]
    options = dict(values.many("opt"))
    if values.text("size"):
        options["size"] = values.text("size")
    body = {
        "Name": name,
        "Driver": values.text("driver"),
        "DriverOpts": options,
        "Labels": dict(label.partition("=")[::2] for label in values.many("label")),
    }
    session.print(session.client.json("POST", "/volumes/create", body=body)["Name"])
    return 0


def _rm(session: Session, values: Values, arguments: list[str]) -> int:
    query = {"force": 1 if values.on("force") else None, "now": 1 if values.on("now") else None}
    return for_each(session, arguments, lambda name: session.client.json("DELETE", f"/volumes/{name}", query))


def _resize(session: Session, values: Values, arguments: list[str]) -> int:
    name, size = arguments
    session.client.json("POST", f"/cove/volumes/{quote(name, safe='')}/resize", body={"Size": parse_memory(size)})
    session.print(name)
    return 0


LS = Command(
    _ls,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (
        Flag("cluster", BOOL, "Display only cluster volumes, and use cluster volume list formatting", hidden=True),
        filters('Provide filter values (e.g. "dangling=true")'),
        LIST_FORMAT,
        Flag("quiet", BOOL, "Only display volume names", "q"),
    ),
)
CREATE = Command(
    _create,
    "[OPTIONS] [VOLUME]",
    Arguments(0, 1),
    (
        Flag("driver", STRING, "Specify volume driver name", "d", "local"),
        Flag("label", LABEL, "Set metadata for a volume"),
        Flag("name", STRING, "Specify volume name", hidden=True),
        Flag("size", STRING, 'How much it may take, such as "10G": "volume resize" changes it'),
        Flag("opt", MAP, "Set driver specific options", "o", shown="map[]"),
    ),
)
RM = Command(
    _rm,
    "[OPTIONS] VOLUME [VOLUME...]",
    at_least(1),
    (
        Flag("force", BOOL, "Force the removal of one or more volumes", "f"),
        Flag("now", BOOL, "Delete at once, past the trash"),
    ),
)
RESIZE = Command(
    _resize,
    "VOLUME SIZE",
    exactly(2),
)
