"""A check: what is looked at, how bad it is, why, and what to do. Tables of them are all that doctor knows."""

from collections.abc import Callable, Iterable
from typing import Generic, NamedTuple, TypeVar

from cove.wire.doctor import Finding, Severity

Subject = TypeVar("Subject")

SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")
"""The worst first."""


class Check(NamedTuple, Generic[Subject]):
    """``look``: the evidence, in few words, or "" when all is well. ``why`` and ``remedy``: one line each."""

    id: str
    severity: Severity
    look: Callable[[Subject], str]
    why: str
    remedy: str


def examine(checks: Iterable[Check[Subject]], thing: Subject, subject: str, container_id: str = "") -> list[Finding]:
    """What the checks find wrong with a thing, in the table's order."""
    found = []
    for check in checks:
        evidence = check.look(thing)
        if evidence:
            found.append(
                Finding(
                    id=check.id,
                    severity=check.severity,
                    subject=subject,
                    evidence=evidence,
                    why=check.why,
                    remedy=check.remedy,
                    container_id=container_id,
                )
            )
    return found
