"""``cove top``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.tabwriter import align

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    container, *options = arguments
    query = {"ps_args": " ".join(options) if options else None}
    found = session.client.json("GET", f"/containers/{container}/top", query)
    rows = [found["Titles"], *(found["Processes"] or [])]
    session.print(align("\n".join("\t".join(row) for row in rows), minimum=20))
    return 0


COMMAND = Command(_run, "CONTAINER [ps OPTIONS]", at_least(1), interspersed=False)
