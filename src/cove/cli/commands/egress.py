"""``cove network egress``: where a container may go, and where it went while its policy was ``learn``."""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.options import OBJECT_FORMAT
from cove.cli.tabwriter import align
from cove.flags import BOOL, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cove.cli.session import Session
    from cove.flags import Values

    Report = dict[str, Any]


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    report = session.client.json("GET", f"/containers/{arguments[0].strip('/')}/egress")
    form = values.text("format")
    if values.on("quiet"):
        session.print(report["Allow"])
    elif form:
        from cove.cli.records import render_object

        session.print(render_object(form, report, "egress.Report"))
    else:
        session.print(_text(report))
    return 0


def _text(report: Report) -> str:
    lines = [f"Policy: {report['Policy']}"]
    if report["Learned"]:
        rows = ["DESTINATION\tPORT\tADDRESSES", *(_row(item) for item in report["Learned"])]
        lines += ["", *align("\n".join(rows)).splitlines(), "", f"--egress {report['Allow']}"]
    return "\n".join(lines)


def _row(item: Report) -> str:
    port = f"{item['Port']}/{item['Protocol']}" if item["Port"] else item["Protocol"]
    own = item["Addresses"] == [item["Name"]]
    return f"{item['Name']}\t{port}\t{'' if own else ', '.join(item['Addresses'])}".rstrip("\t")


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER",
    exactly(1),
    (OBJECT_FORMAT, Flag("quiet", BOOL, "Only show a policy that allows what was learned", "q")),
    long="Show where a container may go, and where it went while its egress policy was learn",
)
