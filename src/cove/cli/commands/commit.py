"""``cove commit``"""

from __future__ import annotations

from cove.cli.command import Arguments, Command
from cove.cli.references import repository_and_tag
from cove.flags import BOOL, LIST, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    repository, tag = repository_and_tag(arguments[1]) if len(arguments) > 1 else ("", "")
    query = {
        "container": arguments[0],
        "repo": repository or None,
        "tag": (tag or "latest") if repository else None,
        "comment": values.text("message") or None,
        "author": values.text("author") or None,
        "changes": values.many("change") or None,
        "pause": None if values.on("pause") else 0,
    }
    session.print(session.client.json("POST", "/commit", query)["Id"])
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    Arguments(1, 2),
    (
        Flag("author", STRING, 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', "a"),
        Flag("change", LIST, "Apply Dockerfile instruction to the created image", "c"),
        Flag("message", STRING, "Commit message", "m"),
        Flag("pause", BOOL, "Pause container during commit", "p", True),
    ),
)
