"""``cove pull``"""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.failure import Failure
from cove.cli.pulling import pull
from cove.cli.references import canonical
from cove.flags import BOOL, STRING, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    image, every = arguments[0], values.on("all-tags")
    tagged = ":" in image.rpartition("/")[2] or "@" in image
    if every and tagged:
        raise Failure("tag can't be used with --all-tags/-a")
    quiet = values.on("quiet")
    if not tagged and not every and not quiet:
        session.print("Using default tag: latest")
    pull(session, image, values.text("platform"), quiet=quiet, to_stderr=False, all_tags=every)
    name = image if tagged or every else f"{image}:latest"
    session.print(canonical(name))
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    exactly(1),
    (
        Flag("all-tags", BOOL, "Download all tagged images in the repository", "a"),
        Flag("disable-content-trust", BOOL, "Skip image verification", default=True),
        Flag("platform", STRING, "Set platform if server is multi-platform capable"),
        Flag("quiet", BOOL, "Suppress verbose output", "q"),
    ),
)
