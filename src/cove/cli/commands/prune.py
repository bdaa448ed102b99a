"""``prune`` of each group, and ``cove system prune``"""

from __future__ import annotations

import sys

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.failure import Failure
from cove.cli.formatter import show
from cove.cli.humanize import ago, parse_memory, parse_rfc3339, size
from cove.cli.options import encode_filters, prune_flags
from cove.cli.view import View
from cove.client.api import parse_version
from cove.errors import NotFound, Unimplemented
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.command import Run
    from cove.cli.session import Session
    from cove.flags import Values

    Pairs = list[tuple[str, str]]

SURE = "Are you sure you want to continue?"


def confirmed(session: Session, question: str) -> bool:
    session.stdout.write(f"{question} [y/N] ")
    session.stdout.flush()
    return sys.stdin.readline().strip().lower() == "y"


def _filters(session: Session, values: Values) -> Pairs:
    """What was asked for and what the configuration file always adds (``pruneFilters``)."""
    added = [tuple(text.partition("=")[::2]) for text in session.config.get("pruneFilters") or []]
    return [*values.many("filter"), *((str(key), str(value)) for key, value in added)]


class Pruned:
    """What one prune gave: the text about it, without its last newline, and the bytes."""

    def __init__(self, text: str, reclaimed: int) -> None:
        self.text = text
        self.reclaimed = reclaimed


def _listed(title: str, lines: list[str], reclaimed: int) -> Pruned:
    return Pruned(f"{title}\n" + "".join(f"{line}\n" for line in lines) if lines else "", reclaimed if lines else 0)


def prune_containers(session: Session, pairs: Pairs, everything: bool) -> Pruned:
    return _containers(session, pairs, now=False)


def _containers(session: Session, pairs: Pairs, *, now: bool) -> Pruned:
    """``now``: past the trash."""
    query = {"filters": encode_filters(pairs), "now": 1 if now else None}
    report = session.client.json("POST", "/containers/prune", query)
    return _listed("Deleted Containers:", report.get("ContainersDeleted") or [], report.get("SpaceReclaimed", 0))


def prune_images(session: Session, pairs: Pairs, everything: bool) -> Pruned:
    wanted = [*pairs, ("dangling", "false" if everything else "true")]
    report = session.client.json("POST", "/images/prune", {"filters": encode_filters(wanted)})
    lines = [
        f"untagged: {item['Untagged']}" if item.get("Untagged") else f"deleted: {item['Deleted']}"
        for item in report.get("ImagesDeleted") or []
    ]
    return _listed("Deleted Images:", lines, report.get("SpaceReclaimed", 0))


def prune_networks(session: Session, pairs: Pairs, everything: bool) -> Pruned:
    report = session.client.json("POST", "/networks/prune", {"filters": encode_filters(pairs)})
    return _listed("Deleted Networks:", report.get("NetworksDeleted") or [], 0)


def prune_volumes(session: Session, pairs: Pairs, everything: bool, *, now: bool = False) -> Pruned:
    wanted = [*pairs, *([("all", "true")] if everything else [])]
    query = {"filters": encode_filters(wanted), "now": 1 if now else None}
    report = session.client.json("POST", "/volumes/prune", query)
    return _listed("Deleted Volumes:", report.get("VolumesDeleted") or [], report.get("SpaceReclaimed", 0))


def prune_build_cache(session: Session, pairs: Pairs, everything: bool) -> Pruned:
    query = {"all": 1 if everything else None, "filters": encode_filters(pairs)}
    try:
        report = session.client.json("POST", "/build/prune", query)
    except (NotFound, Unimplemented):
        return Pruned("", 0)
    return _listed("Deleted build cache objects:", report.get("CachesDeleted") or [], report.get("SpaceReclaimed", 0))


def _container(session: Session, values: Values, arguments: list[str]) -> int:
    def prune(session: Session, pairs: Pairs, everything: bool) -> Pruned:
        return _containers(session, pairs, now=values.on("now"))

    warning = "WARNING! This will remove all stopped containers."
    planned = planned_prune(session, values, {"container": False}, warning)
    return _one(session, values, prune, warning) if planned is None else planned


def _image(session: Session, values: Values, arguments: list[str]) -> int:
    which = "images without at least one container associated to them" if values.on("all") else "dangling images"
    warning = f"WARNING! This will remove all {which}."
    planned = planned_prune(session, values, {"image": values.on("all")}, warning)
    return _one(session, values, prune_images, warning, values.on("all")) if planned is None else planned


def _volume(session: Session, values: Values, arguments: list[str]) -> int:
    everything = values.on("all")
    if everything and any(key == "all" for key, _ in values.many("filter")):
        raise Failure("conflicting options: cannot specify both --all and --filter all=1")
    session.client.negotiate()
    # Before 1.42 the daemon removed named volumes too.
    every = everything or parse_version(session.client.version) < (1, 42)
    which = "all local" if every else "anonymous local"
    words = f"WARNING! This will remove {which} volumes not used by at least one container."
    planned = planned_prune(session, values, {"volume": every}, words)
    if planned is not None:
        return planned

    def prune(session: Session, pairs: Pairs, everything: bool) -> Pruned:
        return prune_volumes(session, pairs, everything, now=values.on("now"))

    return _one(session, values, prune, words, everything)


def _network(session: Session, values: Values, arguments: list[str]) -> int:
    words = "WARNING! This will remove all custom networks not used by at least one container."
    planned = planned_prune(session, values, {"network": False}, words)
    if planned is not None:
        return planned
    if not values.on("force") and not confirmed(session, f"{words}\n{SURE}"):
        return 0
    pruned = prune_networks(session, _filters(session, values), False)
    if pruned.text:
        session.print(pruned.text)
    return 0


def planned_prune(session: Session, values: Values, plans: dict[str, bool], warning: str) -> int | None:
    """What Docker has not: told beforehand, some bytes kept, by the last use. None when none of it is asked for.

    ``plans``: the kinds, each with whether all of it that is unused goes.
    """
    if not any(values.changed(flag) for flag in ("dry-run", "keep-bytes", "unused-for")):
        return None
    dry = values.on("dry-run")
    if not dry and not values.on("force") and not confirmed(session, f"{warning}\n{SURE}"):
        return 0
    query = {
        "dryRun": 1 if dry else None,
        "keepBytes": _bytes_kept(values),
        "unusedFor": values.text("unused-for") or None,
        "now": 1 if "now" in values and values.on("now") else None,
        "filters": encode_filters(_filters(session, values)),
    }
    reports = [
        session.client.json("POST", "/cove/prune", {**query, "kind": kind, "all": 1 if everything else None})
        for kind, everything in plans.items()
    ]
    show(session, PLANNED, [item for report in reports for item in report["Items"]], "")
    reclaimed = sum(report["SpaceReclaimed"] for report in reports)
    session.print(f"Total {'reclaimable' if dry else 'reclaimed'} space: {size(reclaimed)}")
    return 0


def _bytes_kept(values: Values) -> int | None:
    if values.changed("keep-bytes"):
        return parse_memory(values.text("keep-bytes"))
    return values.number("keep-storage") if values.changed("keep-storage") else None


def _one(session: Session, values: Values, prune: Any, warning: str, everything: bool = False) -> int:
    if not values.on("force") and not confirmed(session, f"{warning}\n{SURE}"):
        return 0
    pruned = prune(session, _filters(session, values), everything)
    if pruned.text:
        session.print(pruned.text)
    session.print(f"Total reclaimed space: {size(pruned.reclaimed)}")
    return 0


def _system(session: Session, values: Values, arguments: list[str]) -> int:
    everything, volumes = values.on("all"), values.on("volumes")
    pairs = _filters(session, values)
    if volumes and any(key == "until" for key, _ in pairs):
        raise Failure('ERROR: The "until" filter is not supported with "--volumes"')
    warning = _system_warning(pairs, everything, volumes)
    plans = {"container": False, "network": False} | ({"volume": False} if volumes else {})
    plans |= {"image": everything, "build-cache": everything}
    planned = planned_prune(session, values, plans, warning.removesuffix(f"\n{SURE}"))
    if planned is not None:
        return planned
    if not values.on("force") and not confirmed(session, warning):
        return 0
    steps = [prune_containers, prune_networks, *([prune_volumes] if volumes else []), prune_images, prune_build_cache]
    reclaimed = 0
    for step in steps:
        # Named volumes are only removed by "volume prune --all".
        pruned = step(session, pairs, everything and step is not prune_volumes)
        reclaimed += pruned.reclaimed
        if pruned.text:
            session.print(pruned.text)
    session.print(f"Total reclaimed space: {size(reclaimed)}")
    return 0


def _system_warning(pairs: Pairs, everything: bool, volumes: bool) -> str:
    lines = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        lines.append("all anonymous volumes not used by at least one container")
    lines.append(
        "all images without at least one container associated to them" if everything else "all dangling images"
    )
    lines.append("all build cache" if everything else "unused build cache")
    text = "WARNING! This will remove:\n" + "".join(f"  - {line}\n" for line in lines)
    shown = sorted(f"{key}={value}" for key, value in pairs if key in ("label", "label!", "until"))
    if shown:
        text += "\n  Items to be pruned will be filtered with:\n" + "".join(f"  - {line}\n" for line in shown)
    return f"{text}\n{SURE}"


def _command(run: Run, *flags: Flag, example: str = "until=<timestamp>") -> Command:
    return Command(run, "[OPTIONS]", NO_ARGUMENTS, prune_flags(example, *flags))


PLANNED = View(
    "*formatter.pruneContext",
    ("Kind", "ID", "Name", "Size", "LastUsed"),
    {
        "Kind": ("KIND", lambda item: item["Kind"]),
        "ID": ("ID", lambda item: item["Id"].removeprefix("sha256:")[:12]),
        "Name": ("NAME", lambda item: item["Name"]),
        "Size": ("SIZE", lambda item: size(item["Size"])),
        "LastUsed": ("LAST USED", lambda item: ago(parse_rfc3339(item["LastUsed"])[0])),
    },
)
BY_LAST_USE = (
    Flag("dry-run", BOOL, "Tell what would be removed, and remove nothing"),
    Flag("unused-for", STRING, "Only what has not been used for so long (24h)"),
)
_PLANS = (
    *BY_LAST_USE,
    Flag("keep-bytes", STRING, "Remove the longest unused until so much is left of each kind (10GB)"),
)
_NOW = Flag("now", BOOL, "Delete at once, past the trash")

CONTAINER = _command(_container, _NOW, *_PLANS)
IMAGE = _command(_image, Flag("all", BOOL, "Remove all unused images, not just dangling ones", "a"), *_PLANS)
NETWORK = _command(_network, *BY_LAST_USE)
VOLUME = _command(
    _volume,
    Flag("all", BOOL, "Remove all unused volumes, not just anonymous ones", "a", needs="1.42"),
    _NOW,
    *_PLANS,
    example="label=<label>",
)
SYSTEM = _command(
    _system,
    Flag("all", BOOL, "Remove all unused images not just dangling ones", "a"),
    Flag("volumes", BOOL, "Prune anonymous volumes"),
    _NOW,
    *_PLANS,
    example="label=<key>=<value>",
)
