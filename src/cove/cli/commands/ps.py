"""``cove ps``"""

from __future__ import annotations

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.formatter import check_format, config_format, show, uses
from cove.cli.humanize import ago, ellipsis, local_time, short_size
from cove.cli.options import LIST_FORMAT, encode_filters, filters
from cove.cli.published import summary
from cove.cli.view import View
from cove.flags import BOOL, INT, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Item = dict[str, Any]

COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
# A list with nothing in it still refuses a format with an unknown field.
NO_CONTAINER = {"Id": "", "Image": "", "Command": "", "Created": 0, "Status": ""}
COMMAND_WIDTH = 20
MOUNT_WIDTH = 15


def container_view(truncate: bool) -> View:
    """What can be shown of an entry of the container list."""

    def cut(text: str, width: int) -> str:
        return ellipsis(text, width) if truncate else text

    return View(
        "*formatter.ContainerContext",
        COLUMNS,
        {
            "ID": ("CONTAINER ID", lambda item: item["Id"][:12] if truncate else item["Id"]),
            "Names": ("NAMES", lambda item: ",".join(_names(item, truncate))),
            "Image": ("IMAGE", lambda item: _image(item, truncate)),
            "Command": ("COMMAND", lambda item: f'"{cut(item["Command"], COMMAND_WIDTH)}"'),
            "CreatedAt": ("CREATED AT", lambda item: local_time(item["Created"])),
            "RunningFor": ("CREATED", lambda item: ago(item["Created"])),
            "Ports": ("PORTS", lambda item: summary(item.get("Ports") or [])),
            "State": ("STATE", lambda item: item.get("State", "")),
            "Status": ("STATUS", lambda item: item["Status"]),
            "Size": ("SIZE", _size),
            "Labels": ("LABELS", lambda item: _labels(item)),
            "Label": ("", lambda item: lambda name: (item.get("Labels") or {}).get(name, "")),
            "Mounts": ("MOUNTS", lambda item: ",".join(cut(name, MOUNT_WIDTH) for name in _mounts(item))),
            "LocalVolumes": ("LOCAL VOLUMES", _local_volumes),
            "Networks": ("NETWORKS", lambda item: ",".join(sorted(_networks(item)))),
            "Platform": ("PLATFORM", _platform),
        },
    )


def _names(item: Item, truncate: bool) -> list[str]:
    """The container's own name; links to it (``/other/alias``) only when nothing is cut."""
    names = [name.removeprefix("/") for name in item.get("Names") or []]
    return [name for name in names if "/" not in name] if truncate else names


def _image(item: Item, truncate: bool) -> str:
    image = str(item["Image"]) or "<no image>"
    if not truncate:
        return image
    if image.removeprefix("sha256:")[:12] == item.get("ImageID", "").removeprefix("sha256:")[:12]:
        return image.removeprefix("sha256:")[:12]
    return image.partition("@")[0]


def _size(item: Item) -> str:
    own, whole = item.get("SizeRw", 0), item.get("SizeRootFs", 0)
    return short_size(own) + (f" (virtual {short_size(whole)})" if whole > 0 else "")


def _labels(item: Item) -> str:
    return ",".join(f"{key}={value}" for key, value in (item.get("Labels") or {}).items())


def _mounts(item: Item) -> list[str]:
    return [mount.get("Name") or mount.get("Source", "") for mount in item.get("Mounts") or []]


def _local_volumes(item: Item) -> str:
    return str(sum(mount.get("Driver") == "local" for mount in item.get("Mounts") or []))


def _networks(item: Item) -> list[str]:
    return list((item.get("NetworkSettings") or {}).get("Networks") or {})


def _platform(item: Item) -> Any:
    found = (item.get("ImageManifestDescriptor") or {}).get("platform")
    return found or None


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    form = config_format(session, "psFormat", values.text("format"), values.on("quiet"))
    size = values.on("size")
    last = 1 if values.on("latest") and values.number("last") == -1 else values.number("last")
    query = {
        "all": 1 if values.on("all") else None,
        "limit": last if last > 0 else None,
        "size": 1 if size or uses(form, ".Size") else None,
        "filters": encode_filters(values.many("filter")),
    }
    items = session.client.json("GET", "/containers/json", query)
    view = container_view(not values.on("no-trunc"))
    if not items:
        check_format(view, form, NO_CONTAINER)
    columns = (*COLUMNS, "Size") if size else COLUMNS
    show(session, view, items, form, columns, "ID" if values.on("quiet") else "")
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (
        Flag("all", BOOL, "Show all containers (default shows just running)", "a"),
        filters(),
        LIST_FORMAT,
        Flag("last", INT, "Show n last created containers (includes all states)", "n", -1),
        Flag("latest", BOOL, "Show the latest created container (includes all states)", "l"),
        Flag("no-trunc", BOOL, "Don't truncate output"),
        Flag("quiet", BOOL, "Only display container IDs", "q"),
        Flag("size", BOOL, "Display total file sizes", "s"),
    ),
)
