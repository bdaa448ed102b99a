"""Pruning that tells beforehand, keeps some, and goes by the last use: an extension of ours."""

from msgspec import field

from cove.wire.base import Wire


class PruneItem(Wire):
    """``size`` in bytes. ``last_used``: RFC 3339."""

    kind: str
    id: str
    name: str
    size: int
    last_used: str


class PruneReport(Wire):
    """What goes, or would go, the longest unused first. ``kept``: of what could go, how many stay for another time."""

    items: list[PruneItem] = field(default_factory=list)
    kept: int = 0
    space_reclaimed: int = 0
    dry_run: bool = False
