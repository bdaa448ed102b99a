"""``cove tag``"""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.references import repository_and_tag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    source, target = arguments
    repository, tag = repository_and_tag(target)
    session.client.json("POST", f"/images/{source}/tag", {"repo": repository, "tag": tag or "latest"})
    return 0


COMMAND = Command(_run, "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", exactly(2))
