"""``cove image slim``: an image of what some commands need of another."""

from __future__ import annotations

from cove.cli.command import Command, exactly
from cove.cli.progress import display_made
from cove.flags import BOOL, LIST, STRING, UINT, Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cove.cli.session import Session
    from cove.flags import Values


def _run(session: Session, values: Values, arguments: list[str]) -> int:
    query = {
        "image": arguments[0],
        "tag": values.text("tag") or None,
        "probe": values.many("probe"),
        "keep": values.many("keep"),
        "keepPackage": values.many("keep-package"),
        "seconds": values.number("probe-seconds"),
    }
    response = session.client.stream("POST", "/cove/images/slim", query)
    display_made(response.lines(), session, quiet=values.on("quiet"))
    return 0


COMMAND = Command(
    _run,
    "[OPTIONS] IMAGE",
    exactly(1),
    (
        Flag("keep", LIST, "Keep this path, with all below it"),
        Flag("keep-package", LIST, "Keep all files of this installed package"),
        Flag("probe", LIST, "Keep what this command opens (in quotes, without a shell of its own)"),
        Flag("probe-seconds", UINT, "Stop a probe that still runs after so long, and take it as done", default=30),
        Flag("quiet", BOOL, "Only show the image ID", "q"),
        Flag("tag", STRING, "Tag to give the image (default: the image's name with the tag slim)", "t"),
    ),
)
