"""``cove rename``"""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.failure import Failure, describe
from cove.errors import CoveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    old, new = (name.strip() for name in arguments)
    if not old or not new:
        raise Failure("Error: Neither old nor new names may be empty")
    try:
        session.client.json("POST", f"/containers/{old}/rename", {"name": new})
    except CoveError as error:
        raise Failure(f"{describe(error)}\nError: failed to rename container named {old}") from error
    return 0


COMMAND = Command(_run, "CONTAINER NEW_NAME", exactly(2))
