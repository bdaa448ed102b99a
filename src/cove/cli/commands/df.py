"""``cove system df``"""

from __future__ import annotations

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.commands.images import image_view
from cove.cli.commands.ps import container_view
from cove.cli.commands.volume import volume_view
from cove.cli.formatter import show
from cove.cli.humanize import ago, parse_rfc3339, size
from cove.cli.options import LIST_FORMAT
from cove.cli.view import View
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Item = dict[str, Any]

_IMAGE_COLUMNS = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
_CONTAINER_COLUMNS = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
_ACTIVE_STATES = ("running", "paused", "restarting")

SUMMARY = View(
    "*formatter.diskUsageContext",
    ("Type", "TotalCount", "Active", "Size", "Reclaimable"),
    {
        "Type": ("TYPE", lambda row: row["Type"]),
        "TotalCount": ("TOTAL", lambda row: str(row["TotalCount"])),
        "Active": ("ACTIVE", lambda row: str(row["Active"])),
        "Size": ("SIZE", lambda row: size(row["Size"])),
        "Reclaimable": ("RECLAIMABLE", lambda row: _reclaimable(row)),
    },
)

BUILD_CACHE = View(
    "*formatter.buildCacheContext",
    ("ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"),
    {
        "ID": ("CACHE ID", lambda item: item["ID"][:12] + ("*" if item.get("InUse") else "")),
        "CacheType": ("CACHE TYPE", lambda item: item["Type"]),
        "Size": ("SIZE", lambda item: size(item["Size"])),
        "CreatedSince": ("CREATED", lambda item: _since(item.get("CreatedAt"))),
        "LastUsedSince": ("LAST USED", lambda item: _since(item.get("LastUsedAt"))),
        "UsageCount": ("USAGE", lambda item: str(item["UsageCount"])),
        "Shared": ("SHARED", lambda item: "true" if item["Shared"] else "false"),
    },
)


def _since(text: str | None) -> str:
    return ago(parse_rfc3339(text)[0]) if text else ""


def _reclaimable(row: Item) -> str:
    text = size(row["Reclaimable"])
    return f"{text} ({row['Reclaimable'] * 100 // row['Size']}%)" if row["Percent"] and row["Size"] > 0 else text


def summary_rows(usage: Item) -> list[Item]:
    """Totals of images, containers, volumes and build cache, from the API's disk usage."""
    return [_images(usage), _containers(usage), _volumes(usage), _cache(usage)]


def _row(kind: str, total: int, active: int, used: int, reclaimable: int, percent: bool) -> Item:
    return {
        "Type": kind,
        "TotalCount": total,
        "Active": active,
        "Size": used,
        "Reclaimable": reclaimable,
        "Percent": percent,
    }


def _images(usage: Item) -> Item:
    images, total = usage.get("Images") or [], usage.get("LayersSize", 0)
    used = sum(
        image["Size"] - image["SharedSize"]
        for image in images
        if image["Containers"] != 0 and -1 not in (image["Size"], image["SharedSize"])
    )
    active = sum(image["Containers"] > 0 for image in images)
    return _row("Images", len(images), active, total, total - used, True)


def _containers(usage: Item) -> Item:
    containers = usage.get("Containers") or []
    running = [item for item in containers if item["State"] in _ACTIVE_STATES]
    total = sum(item.get("SizeRw", 0) for item in containers)
    idle = total - sum(item.get("SizeRw", 0) for item in running)
    return _row("Containers", len(containers), len(running), total, idle, True)


def _volumes(usage: Item) -> Item:
    volumes = [(item, item.get("UsageData") or {}) for item in usage.get("Volumes") or []]
    total = sum(data.get("Size", 0) for _, data in volumes if data.get("Size", -1) != -1)
    active = [data for _, data in volumes if data.get("RefCount", 0) > 0]
    used = sum(data["Size"] for data in active if data.get("Size", -1) != -1)
    return _row("Local Volumes", len(volumes), len(active), total, total - used, True)


def _cache(usage: Item) -> Item:
    records = usage.get("BuildCache") or []
    in_use = [record for record in records if record.get("InUse")]
    total = sum(record["Size"] for record in records if not record.get("Shared"))
    total = usage.get("BuilderSize") or total
    used = sum(record["Size"] for record in in_use if not record.get("Shared"))
    return _row("Build Cache", len(records), len(in_use), total, total - used, False)


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    usage = session.client.json("GET", "/system/df")
    form = values.text("format")
    if values.on("verbose") and form in ("", "table"):
        _verbose(session, usage)
    else:
        show(session, SUMMARY, summary_rows(usage), form)
    return 0


def _verbose(session: Session, usage: Item) -> None:
    images = [{**image, **_first_name(image)} for image in usage.get("Images") or []]
    containers = [{**item, "SizeRootFs": 0} for item in usage.get("Containers") or []]
    session.print("Images space usage:\n")
    show(session, image_view(True), images, "", _IMAGE_COLUMNS)
    session.print("\nContainers space usage:\n")
    show(session, container_view(True), containers, "", _CONTAINER_COLUMNS)
    session.print("\nLocal Volumes space usage:\n")
    show(session, volume_view(), usage.get("Volumes") or [], "", ("Name", "Links", "Size"))
    session.print(f"\nBuild cache usage: {size(_cache(usage)['Size'])}\n")
    show(session, BUILD_CACHE, usage.get("BuildCache") or [], "")


def _first_name(image: Item) -> dict[str, str]:
    names = image.get("RepoTags") or ["<none>:<none>"]
    repository, _, tag = names[0].rpartition(":")
    return {"repository": repository, "tag": tag, "digest": "<none>"}


COMMAND = Command(
    _run,
    "[OPTIONS]",
    NO_ARGUMENTS,
    (LIST_FORMAT, Flag("verbose", BOOL, "Show detailed information on space usage", "v")),
)
