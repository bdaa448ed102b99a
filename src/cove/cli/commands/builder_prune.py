"""``cove builder prune``."""

from __future__ import annotations

from cove.cli.command import NO_ARGUMENTS, Command
from cove.cli.commands.prune import BY_LAST_USE, SURE, confirmed, planned_prune
from cove.cli.creation.kinds import BYTES
from cove.cli.humanize import size
from cove.cli.options import encode_filters
from cove.flags import BOOL, FILTER, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    everything = values.on("all")
    which = "all build cache" if everything else "all dangling build cache"
    warning = f"WARNING! This will remove {which}."
    planned = planned_prune(session, values, {"build-cache": everything}, warning)
    if planned is not None:
        return planned
    if not values.on("force") and not confirmed(session, f"{warning}\n{SURE}"):
        return 0
    query = {
        "all": everything or None,
        "filters": encode_filters(values.many("filter")),
        "reserved-space": values.number("keep-storage") or None,
    }
    report = session.client.json("POST", "/build/prune", query)
    if deleted := report.get("CachesDeleted"):
        session.print("\n".join(["Deleted build cache objects:", *deleted, ""]))
    session.print(f"Total reclaimed space: {size(report.get('SpaceReclaimed', 0))}")
    return 0


COMMAND = Command(
    _run,
    "",
    NO_ARGUMENTS,
    (
        Flag("all", BOOL, "Remove all unused build cache, not just dangling ones", "a"),
        Flag("filter", FILTER, 'Provide filter values (e.g. "until=24h")'),
        Flag("force", BOOL, "Do not prompt for confirmation", "f"),
        Flag("keep-storage", BYTES, "Amount of disk space to keep for cache"),
        *BY_LAST_USE,
    ),
)
