"""``cove rmi``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.failure import Failure, describe
from cove.cli.platforms import encode_all
from cove.errors import CoveError, NotFound
from cove.flags import BOOL, STRINGS, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    query = {
        "force": 1 if values.on("force") else None,
        "noprune": 1 if values.on("no-prune") else None,
        "platforms": encode_all(list(values.many("platform"))),
    }
    problems, fatal = [], False
    for name in arguments:
        try:
            removed = session.client.json("DELETE", f"/images/{name}", query)
        except CoveError as error:
            fatal = fatal or not isinstance(error, NotFound)
            problems.append(describe(error))
            continue
        for change in removed:
            session.print(
                f"Deleted: {change['Deleted']}" if change.get("Deleted") else f"Untagged: {change['Untagged']}"
            )
    if problems and values.on("force") and not fatal:
        session.warn("\n".join(problems))
    elif problems:
        raise Failure("\n".join(problems))
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE [IMAGE...]",
    at_least(1),
    (
        Flag("force", BOOL, "Force removal of the image", "f"),
        Flag("no-prune", BOOL, "Do not delete untagged parents"),
        Flag(
            "platform",
            STRINGS,
            'Remove only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
        ),
    ),
)
