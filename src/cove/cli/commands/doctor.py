"""``cove doctor``: what the host offers, and what is unsafe on it, in the daemon's settings and in containers."""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.failure import Failure
from cove.cli.options import OBJECT_FORMAT
from cove.cli.tabwriter import align
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Diagnosis = dict[str, Any]

SEVERITIES = ("high", "medium", "low")
"""The worst first."""


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    shown = _wanted(values.text("severity"))
    diagnosis = session.client.json("GET", "/cove/doctor", {"container": arguments} if arguments else None)
    diagnosis["Findings"] = [item for item in diagnosis["Findings"] if item["Severity"] in shown]
    form = values.text("format")
    if form:
        from cove.cli.records import render_object

        session.print(render_object(form, diagnosis, "doctor.Diagnosis"))
    else:
        session.print("\n".join(_lines(diagnosis)))
    return 1 if values.on("strict") and diagnosis["Findings"] else 0


def _wanted(severity: str) -> tuple[str, ...]:
    """This severity and the worse ones."""
    if severity not in SEVERITIES:
        raise Failure(f'invalid severity "{severity}": use {", ".join(SEVERITIES)}', 125)
    return SEVERITIES[: SEVERITIES.index(severity) + 1]


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    there = [item for item in diagnosis["Offers"] if item["Available"]]
    missing = [item for item in diagnosis["Offers"] if not item["Available"]]
    yield from _section("The host offers:", [f"{item['Name']}\t{item['Value']}" for item in there])
    yield from _section("It lacks:", [f"{item['Name']}\t{item['Cost']}" for item in missing])
    findings = diagnosis["Findings"]
    for subject in dict.fromkeys(sorted((item["Subject"] for item in findings), key=_order)):
        yield f"{subject[0].upper()}{subject[1:]}:"
        for item in findings:
            if item["Subject"] == subject:
                yield f"  {item['Severity']:<6}  {item['Id']}: {item['Evidence']}"
                yield f"          why: {item['Why']}"
                yield f"          do:  {item['Remedy']}"
        yield ""
    yield _total(diagnosis)


def _order(subject: str) -> tuple[int, str]:
    """The host, the daemon, then containers by name."""
    return (("host", "daemon").index(subject) if subject in ("host", "daemon") else 2), subject


def _section(title: str, rows: list[str]) -> Iterator[str]:
    if rows:
        yield title
        yield align("\n".join(f"  {row}" for row in rows))
        yield ""


def _total(diagnosis: Diagnosis) -> str:
    counts = [sum(item["Severity"] == severity for item in diagnosis["Findings"]) for severity in SEVERITIES]
    words = ", ".join(f"{count} {severity}" for count, severity in zip(counts, SEVERITIES, strict=True))
    plural = "" if diagnosis["Containers"] == 1 else "s"
    return f"Findings: {words} ({diagnosis['Containers']} container{plural} looked at)"


COMMAND = Command(
    _run,
    "[OPTIONS] [CONTAINER...]",
    at_least(0),
    (
        OBJECT_FORMAT,
        Flag("severity", STRING, "Show findings that are as bad as this, or worse (high, medium, low)", default="low"),
        Flag("strict", BOOL, "Exit with 1 when a finding is shown"),
    ),
    long="Tell what the host offers, and what is unsafe on it, in the daemon's settings and in containers",
)
