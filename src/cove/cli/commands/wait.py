"""``cove wait``"""

from __future__ import annotations

from cove.cli.command import Command, at_least
from cove.cli.failure import Failure, describe
from cove.errors import CoveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    problems = []
    for name in arguments:
        try:
            result = session.client.json("POST", f"/containers/{name}/wait")
        except CoveError as error:
            problems.append(describe(error))
            continue
        session.print(str(result["StatusCode"]))
        session.stdout.flush()
    if problems:
        raise Failure("\n".join(problems))
    return 0


COMMAND = Command(_run, "CONTAINER [CONTAINER...]", at_least(1))
