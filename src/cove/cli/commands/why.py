"""``cove why``: one report of why a container is as it is."""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.humanize import ago, memory, parse_rfc3339
from cove.cli.options import OBJECT_FORMAT
from cove.cli.tabwriter import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Report = dict[str, Any]

RUNS = 5


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    report = session.client.json("GET", f"/containers/{arguments[0].strip('/')}/why")
    form = values.text("format")
    if form:
        from cove.cli.records import render_object

        session.print(render_object(form, report, "why.Report"))
    else:
        session.print("\n".join(_lines(report)))
    return 0


def _lines(report: Report) -> Iterator[str]:
    yield f"{report['Name']} ({report['Id'][:12]}, {report['Image']}) {report['Status']}: {report['Summary']}"
    yield from (f"  {line}" for line in report["Explanation"])
    facts = "\n".join(f"  {name}\t{text}" for name, text in _facts(report))
    if facts:
        yield align(facts)
    yield from _section("Health check, last failure", _probe(report))
    yield from _section("Last output", report["Logs"])
    yield from _section("Runs, newest first", align("\n".join(_runs(report))).splitlines() if report["Runs"] else [])
    yield from _section("Changed since the last good run", _changes(report))
    needs = [f"{item['Name']} ({item['How']}, {item['Status']})" for item in report["Dependents"]]
    yield from _section("Needed by", needs)


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    if report["Status"] not in ("running", "paused", "created"):
        signal = f" ({report['Signal']})" if report["Signal"] else ""
        yield "Exit code:", f"{report['ExitCode']}{signal}"
    for name, key in (("Started:", "StartedAt"), ("Ended:", "FinishedAt")):
        if report[key]:
            yield name, ago(parse_rfc3339(report[key])[0])
    use = report.get("Memory")
    if use:
        limit = f" of {memory(use['Limit'])}" if use["Limit"] else ", no limit"
        killed = f"; processes killed for want of it: {use['Kills']}" if use["Kills"] else ""
        yield "Memory:", f"at most {memory(use['Peak'])}{limit}{killed}"
    yield "Restart policy:", f"{report['RestartPolicy']}, restarted {report['RestartCount']} times"


def _probe(report: Report) -> list[str]:
    probe = report.get("Probe")
    if not probe:
        return []
    return [f"exit code {probe['ExitCode']}, {ago(parse_rfc3339(probe['End'])[0])}", *probe["Output"].splitlines()]


def _runs(report: Report) -> Iterator[str]:
    for run in report["Runs"][:RUNS]:
        end = ago(parse_rfc3339(run["FinishedAt"])[0]) if run["FinishedAt"] else "never started"
        how = "out of memory" if run["OOMKilled"] else run["Error"] or f"exit code {run['ExitCode']}"
        yield f"{end}\t{'good' if run['Good'] else 'bad'}\t{how}"


def _changes(report: Report) -> list[str]:
    return [f"{item['What']}: {item['Before'] or '-'} → {item['Now'] or '-'}" for item in report["Changes"]]


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in lines)


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER",
    exactly(1),
    (OBJECT_FORMAT,),
    long="Tell why a container is as it is: how it ended and what that means, its last output, its runs, what changed",
)
