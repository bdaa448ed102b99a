"""What the host offers, and what is unsafe on it, in the daemon's settings and in containers: an extension of ours."""

from typing import ClassVar, Literal

from msgspec import field

from cove.wire.base import Wire

Severity = Literal["high", "medium", "low"]
"""``high``: a way to root on the host, or nearly. ``medium``: harms others, or widens a way in. ``low``: hardening."""


class Offer(Wire):
    """Something of the kernel or of a library. ``value``: what there is; ``cost``: what its absence costs."""

    name: str
    available: bool
    value: str = ""
    cost: str = ""


class Finding(Wire):
    """``subject``: ``host``, ``daemon``, or ``container NAME``. ``evidence``: what was seen, never a secret."""

    omit_empty: ClassVar[frozenset[str]] = frozenset({"container_id"})

    id: str
    severity: Severity
    subject: str
    evidence: str
    why: str
    remedy: str
    container_id: str = field(name="ContainerID", default="")


class Diagnosis(Wire):
    """``findings``: the worst first. ``containers``: how many were looked at."""

    offers: list[Offer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    containers: int = 0
